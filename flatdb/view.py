"""FrozenView: the leaves at one height, immovable while read.

Two makers. **iterators**: RocksDB iterators opened between two writes; microseconds, for this process. A fixed number
is opened, since one opened later would see later writes: that many passes may run at the same time.
**directory**: a RocksDB checkpoint directory, opened read-only; milliseconds and hard links, any number of passes, and
other processes may open the same directory (`FrozenView.open`). A rocksdict Snapshot is not used: it does not isolate
iteration.

A view may be read from any thread, each pass from one thread at a time; it is closed by the thread that made it.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from flatdb.cursor import Cursor
from flatdb.leaves import LeafCursor, Leaves
from flatdb.ledger import read_records
from flatdb.store import BLOBS, Store
from flatdb.types import HeightRecord

__all__ = ["FrozenView"]

AnyCursor = Cursor | LeafCursor


class CursorPool:
    """Cursors over leaves, or over one family, lent out a pass at a time. `open_more` may open another, or refuse."""

    def __init__(self, cursors: Sequence[AnyCursor], open_more: Callable[[], AnyCursor]) -> None:
        self._idle = list(cursors)
        self._all = list(cursors)
        self._open_more = open_more
        self._lock = threading.Lock()

    def items(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        cursor = self._borrow()
        try:
            yield from cursor.items(start, end)
        finally:
            self._give_back(cursor)

    def keys(self, start: bytes, end: bytes | None) -> Iterator[bytes]:
        cursor = self._borrow()
        try:
            yield from cursor.keys(start, end)
        finally:
            self._give_back(cursor)

    def get(self, key: bytes) -> bytes | None:
        cursor = self._borrow()
        try:
            return cursor.get(key)
        finally:
            self._give_back(cursor)

    def close(self) -> None:
        for cursor in self._all:
            cursor.close()

    def _borrow(self) -> AnyCursor:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            cursor = self._open_more()
            self._all.append(cursor)
            return cursor

    def _give_back(self, cursor: AnyCursor) -> None:
        with self._lock:
            self._idle.append(cursor)


class ViewDirectory:
    """A checkpoint directory, opened read-only when it is first needed, by whichever thread comes first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._closed = False

    def store(self) -> Store:
        """Raises RuntimeError once closed, DatabaseError if the directory cannot be opened."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the view is closed")
            self._store = self._store or Store.open(self.path, read_only=True)
            return self._store

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._closed = True
            if self._store is not None:
                self._store.close()


class FrozenView:
    """The leaves and blobs of one height. Made by `FlatDB.freeze` or `FrozenView.open`; a context manager."""

    def __init__(self, head: HeightRecord | None, leaves: CursorPool, blobs: CursorPool, path: Path | None) -> None:
        self.head = head
        self.path = path
        """The checkpoint directory, for other processes to `open`; None for a view made of iterators."""
        self._leaves = leaves
        self._blobs = blobs
        self._on_close: list[Callable[[], None]] = []

    @classmethod
    def of_iterators(cls, store: Store, leaves: Leaves, head: HeightRecord | None, count: int) -> Self:
        """Open `count` >= 1 leaf cursors and one blob cursor. Call it on the writer thread, between two writes."""
        if count < 1:
            raise ValueError("a view needs at least one iterator")

        def refuse() -> AnyCursor:
            raise RuntimeError(f"all iterators of this view are in use ({count} for leaves); freeze with more")

        pool = CursorPool([leaves.cursor() for _ in range(count)], refuse)
        return cls(head, pool, CursorPool([store.cursor(BLOBS)], refuse), None)

    @classmethod
    def of_directory(cls, store: Store, head: HeightRecord | None, path: Path) -> Self:
        """Link the present state into the new directory `path`; closing the view removes it.

        The directory is opened by the first pass, not here: that takes several times as long as the links do, and the
        writer waits for this call.
        """
        store.checkpoint(path)
        directory = ViewDirectory(path)
        view = cls._of(directory, head)
        view._on_close.append(lambda: shutil.rmtree(path, ignore_errors=True))
        return view

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open another process's checkpoint directory. Closing leaves the directory alone. Raises DatabaseError."""
        directory = ViewDirectory(path)
        try:
            records = read_records(directory.store())
        except BaseException:
            directory.close()
            raise
        return cls._of(directory, records[-1] if records else None)

    @classmethod
    def _of(cls, directory: ViewDirectory, head: HeightRecord | None) -> Self:
        leaves = CursorPool([], lambda: Leaves(directory.store()).cursor())
        view = cls(head, leaves, CursorPool([], lambda: directory.store().cursor(BLOBS)), directory.path)
        view._on_close.append(directory.close)
        return view

    def items(self, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Leaves with start <= key < end, in key order.

        Raises DatabaseCorruptError at a damaged block, RuntimeError if no iterator is left.
        """
        return self._leaves.items(start, end)

    def keys(self, start: bytes = b"", end: bytes | None = None) -> Iterator[bytes]:
        """As `items`, keys only: values are not read."""
        return self._leaves.keys(start, end)

    def get(self, key: bytes) -> bytes | None:
        """One leaf's value."""
        return self._leaves.get(key)

    def blobs(self) -> Iterator[tuple[bytes, bytes]]:
        """(hash, blob) in hash order."""
        return self._blobs.items(b"", None)

    def blob(self, digest: bytes) -> bytes | None:
        return self._blobs.get(digest)

    def close(self) -> None:
        """End every pass and let go of the height. Idempotent."""
        self._leaves.close()
        self._blobs.close()
        while self._on_close:
            self._on_close.pop(0)()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
