"""A reader of bincode: little-endian integers, 64-bit counts, options as one byte.

Knows no structure. INVARIANT: a count is judged against the bytes that are left before anything loops over it, so a
hostile manifest costs no more than its own size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from sidecar.errors import InvalidImportError

__all__ = ["BincodeReader"]


class BincodeReader:
    """A position in bytes; every read moves it, or raises InvalidImportError naming `where` and the byte."""

    def __init__(self, where: str, data: bytes) -> None:
        self._where = where
        self._data = data
        self._at = 0

    @property
    def remaining(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size > self.remaining:
            raise self.error(f"ends inside a field of {size} bytes")
        self._at += size
        return self._data[self._at - size : self._at]

    def hash(self) -> bytes:
        """A hash or an address: 32 bytes."""
        return self.take(32)

    def u8(self) -> int:
        return self.take(1)[0]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def flag(self) -> bool:
        """One byte that is 0 or 1."""
        value = self.u8()
        if value > 1:
            raise self.error(f"a flag is 0 or 1, not {value}")
        return bool(value)

    def count(self, item_bytes_min: int) -> int:
        """How many items follow, each of at least `item_bytes_min` bytes."""
        count = self.u64()
        if count * item_bytes_min > self.remaining:
            raise self.error(f"announces {count} items of {item_bytes_min} bytes or more; {self.remaining} bytes left")
        return count

    def records(self, layout: struct.Struct) -> Iterator[tuple[Any, ...]]:
        """A counted list of records of one fixed layout."""
        return layout.iter_unpack(self.take(self.count(layout.size) * layout.size))

    def error(self, reason: str) -> InvalidImportError:
        return InvalidImportError(f"{self._where} at byte {self._at}", reason)
