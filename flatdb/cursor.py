"""Reading one column family in key order, as it was at one moment.

A Cursor belongs to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from rocksdict import RdictIter

from flatdb.rocks_error import classify

__all__ = ["Cursor"]


class Cursor:
    """A RocksDB iterator over one column family, fixed at the moment it is opened: later writes are not seen.

    RdictIter and not Rdict.items(): the latter ends silently at a damaged block, which would pass for the end of the
    state. Only `status()` tells the two apart, and both run equally fast.
    """

    def __init__(self, iterator: RdictIter, path: Path) -> None:
        self._iterator: RdictIter | None = iterator
        self._path = path
        self._active: Generator[object, None, None] | None = None

    def items(self, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) with start <= key < end, in key order. Starting a pass ends the one before it."""
        self._end_pass()
        self._active = generator = self._items(self._open(), start, end)
        return generator

    def keys(self, start: bytes = b"", end: bytes | None = None) -> Iterator[bytes]:
        """As `items`, without reading the values."""
        self._end_pass()
        self._active = generator = self._keys(self._open(), start, end)
        return generator

    def get(self, key: bytes) -> bytes | None:
        """The value of exactly this key at the moment the cursor was opened."""
        return next((value for _, value in self.items(key, key + b"\0")), None)

    def close(self) -> None:
        """End the pass that is under way and let go of RocksDB. Idempotent.

        Raises ValueError if another thread is inside the pass at this instant.
        """
        self._end_pass()
        self._iterator = None

    def _open(self) -> RdictIter:
        if self._iterator is None:
            raise RuntimeError("the cursor is closed")
        return self._iterator

    def _end_pass(self) -> None:
        if self._active is not None:
            self._active.close()
            self._active = None

    def _items(
        self, iterator: RdictIter, start: bytes, end: bytes | None
    ) -> Generator[tuple[bytes, bytes], None, None]:
        valid, key_of, value_of, step = iterator.valid, iterator.key, iterator.value, iterator.next
        try:
            iterator.seek(start)
            while valid():
                key = key_of()
                if end is not None and key >= end:
                    return
                yield key, value_of()
                step()
            iterator.status()
        except Exception as error:
            raise classify(error, self._path) from error

    def _keys(self, iterator: RdictIter, start: bytes, end: bytes | None) -> Generator[bytes, None, None]:
        valid, key_of, step = iterator.valid, iterator.key, iterator.next
        try:
            iterator.seek(start)
            while valid():
                key = key_of()
                if end is not None and key >= end:
                    return
                yield key
                step()
            iterator.status()
        except Exception as error:
            raise classify(error, self._path) from error
