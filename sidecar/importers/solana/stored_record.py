"""One stored record on its way through the sorter: where it lies, and all that a leaf or a repair needs of it.

Records of one address sort by who wins: slot first, then the place in the slot's one file. Knows no sum.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["ADDRESS_BYTES", "StoredRecord"]

ADDRESS_BYTES = 32
_PLACE = struct.Struct(">QQ")
_FIXED = struct.Struct("<QB")


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record of an account at byte `offset` of the file of `slot`; `leaf` is None where it closes the account."""

    address: bytes
    slot: int
    offset: int
    rent_epoch: int
    leaf: bytes | None
    padding: bytes
    """What lies between the data and the next record: at most 7 bytes, not part of the account."""

    @property
    def place(self) -> tuple[int, int]:
        """Of two records of one address the greater place wins."""
        return self.slot, self.offset

    def encode(self) -> tuple[bytes, bytes]:
        """Key and value for the sorter."""
        value = _FIXED.pack(self.rent_epoch, len(self.padding)) + self.padding + (self.leaf or b"")
        return self.address + _PLACE.pack(self.slot, self.offset), value

    @classmethod
    def decode(cls, key: bytes, value: bytes) -> StoredRecord:
        """The record that `encode` wrote."""
        rent_epoch, padding_size = _FIXED.unpack_from(value)
        body = _FIXED.size + padding_size
        slot, offset = _PLACE.unpack_from(key, ADDRESS_BYTES)
        return cls(key[:ADDRESS_BYTES], slot, offset, rent_epoch, value[body:] or None, value[_FIXED.size : body])
