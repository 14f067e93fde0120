"""The leaf run: canonical bytes of sorted leaves.

One form serves as kernel input, as the body of a chunk and as the unit of digests:

    count      u32 little-endian
    key sizes  count x u32 little-endian
    value sizes count x u32 little-endian
    keys       joined
    values     joined

Fixed-width columns make the bytes a pure function of the leaves, and let a reader check every size against the
bytes that are there before it allocates anything.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from proofs.errors import LeafOrderError, MalformedProofError


@dataclass(frozen=True, slots=True)
class LeafRun:
    """Leaves in strictly ascending key order, as two columns of equal length."""

    keys: Sequence[bytes]
    values: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return zip(self.keys, self.values, strict=True)

    def __getitem__(self, part: slice) -> LeafRun:
        return LeafRun(self.keys[part], self.values[part])

    def encode(self) -> bytes:
        """Canonical bytes. Precondition: keys strictly ascending, every size below 2**32."""
        return b"".join(
            (
                len(self.keys).to_bytes(4, "little"),
                _sizes(self.keys),
                _sizes(self.values),
                *self.keys,
                *self.values,
            )
        )

    @classmethod
    def decode(cls, data: bytes, *, leaves_max: int) -> LeafRun:
        """The run in `data`.

        Raises:
            MalformedProofError: sizes that do not add up to the bytes present, or more than `leaves_max` leaves.
            LeafOrderError: keys not strictly ascending.
        """
        if len(data) < 4:
            raise MalformedProofError("a leaf run begins with its count", len(data))
        count = int.from_bytes(data[:4], "little")
        if count > leaves_max:
            raise MalformedProofError(f"{count} leaves in one run; at most {leaves_max} are read", 0)
        at = 4 + 8 * count
        if len(data) < at:
            raise MalformedProofError("a leaf run ends inside its sizes", len(data))
        key_ends = list(accumulate(_column(data[4 : 4 + 4 * count]), initial=at))
        value_ends = list(accumulate(_column(data[4 + 4 * count : at]), initial=key_ends[-1]))
        if value_ends[-1] != len(data):
            raise MalformedProofError("the sizes of a leaf run do not add up to its bytes", 0)
        keys = [data[a:b] for a, b in pairwise(key_ends)]
        values = [data[a:b] for a, b in pairwise(value_ends)]
        for previous, key in pairwise(keys):
            if previous >= key:
                raise LeafOrderError(key, previous)
        return cls(keys, values)


def leaf_run(leaves: Sequence[tuple[bytes, bytes]]) -> LeafRun:
    """A run of (key, value) pairs. Precondition: keys strictly ascending."""
    return LeafRun([key for key, _ in leaves], [value for _, value in leaves])


def _sizes(column: Sequence[bytes]) -> bytes:
    sizes = array("I", map(len, column))
    if sys.byteorder == "big":
        sizes.byteswap()
    return sizes.tobytes()


def _column(data: bytes) -> array[int]:
    sizes = array("I", data)
    if sys.byteorder == "big":
        sizes.byteswap()
    return sizes
