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
from itertools import accumulate, pairwise
from operator import lt

from proofs.errors import LeafOrderError, MalformedProofError


class LeafRun:
    """Leaves in strictly ascending key order, as two columns of equal length. Treat as immutable."""

    __slots__ = ("_encoded", "keys", "values")

    def __init__(self, keys: Sequence[bytes], values: Sequence[bytes], *, encoded: bytes | None = None) -> None:
        """`encoded`: what `encode` would give, where it is at hand."""
        self.keys = keys
        self.values = values
        self._encoded = encoded

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return zip(self.keys, self.values, strict=True)

    def __getitem__(self, part: slice) -> LeafRun:
        return LeafRun(self.keys[part], self.values[part])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LeafRun) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self.encode())

    def encode(self) -> bytes:
        """Canonical bytes, kept for the next call. Precondition: keys strictly ascending, sizes below 2**32."""
        if self._encoded is None:
            count = len(self.keys).to_bytes(4, "little")
            sizes = _sizes(self.keys), _sizes(self.values)
            self._encoded = b"".join((count, *sizes, *self.keys, *self.values))
        return self._encoded

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
        if not all(map(lt, keys, keys[1:])):
            key, previous = next((b, a) for a, b in pairwise(keys) if a >= b)
            raise LeafOrderError(key, previous)
        return cls(keys, [data[a:b] for a, b in pairwise(value_ends)], encoded=data)


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
