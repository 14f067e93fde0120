"""The lattice hash of Solana's accounts (SIMD-0215): a sum that knows no order.

An element is 2,048 bytes read as 1,024 little-endian 16-bit lanes; elements add and subtract lane by lane,
modulo 2^16. What is summed is a set, so partial sums of any split add up to the whole, and nothing smaller
than the whole can be proven: there is no path from one element to the total.

Ordering rules: none. INVARIANT for callers: no element may be added 65,536 times, or it cancels out;
a map with unique keys cannot do that, so whoever feeds leaves refuses duplicates first.
"""

from __future__ import annotations

from collections.abc import Iterable

from proofs.blake3_hash import blake3_256, blake3_extended

__all__ = ["ELEMENT_BYTES", "IDENTITY", "LatticeSum", "add", "checksum", "element", "subtract", "total"]

ELEMENT_BYTES = 2048
LANE_COUNT = ELEMENT_BYTES // 2
IDENTITY = bytes(ELEMENT_BYTES)
"""The sum of nothing."""

# A lane has no room for a carry, so lanes are summed in two halves, every other lane in a 32-bit cell of
# one long integer. A cell holds 65,535 + 65,536 * 65,535 < 2^32, so 65,536 additions need no reduction.
_EVEN_LANES = int.from_bytes(b"\xff\xff\x00\x00" * (LANE_COUNT // 2), "little")
_MODULI = int.from_bytes(b"\x00\x00\x01\x00" * (LANE_COUNT // 2), "little")
_ADDITIONS_MAX = 1 << 16


def element(data: bytes) -> bytes:
    """Return the 2,048-byte element of `data`: BLAKE3's extended output."""
    return blake3_extended(data, ELEMENT_BYTES)


def checksum(sum_bytes: bytes) -> bytes:
    """Return the 32-byte form of a sum, as snapshot names and manifests carry it."""
    return blake3_256(sum_bytes)


class LatticeSum:
    """A sum that grows one element at a time, in constant memory."""

    __slots__ = ("_count", "_even", "_odd")

    def __init__(self) -> None:
        self._even = self._odd = self._count = 0

    def add(self, part: bytes) -> None:
        """Add one element or sum.

        Raises: ValueError unless it has ELEMENT_BYTES.
        """
        if len(part) != ELEMENT_BYTES:
            raise ValueError(f"a lattice element has {ELEMENT_BYTES} bytes, not {len(part)}")
        lanes = int.from_bytes(part, "little")
        self._even += lanes & _EVEN_LANES
        self._odd += (lanes >> 16) & _EVEN_LANES
        self._count += 1
        if self._count == _ADDITIONS_MAX:
            self._even, self._odd, self._count = self._even & _EVEN_LANES, self._odd & _EVEN_LANES, 0

    def value(self) -> bytes:
        """The sum so far; IDENTITY for nothing."""
        return _joined(self._even, self._odd)


def total(elements: Iterable[bytes]) -> bytes:
    """Return the lane-wise sum of `elements` (2,048 bytes each); IDENTITY for none.

    Raises: ValueError for an element of another size.
    """
    running = LatticeSum()
    for part in elements:
        running.add(part)
    return running.value()


def add(left: bytes, right: bytes) -> bytes:
    """Return the lane-wise sum of two sums."""
    return total((left, right))


def subtract(left: bytes, right: bytes) -> bytes:
    """Return what is left of `left` when `right` is taken out again."""
    if len(left) != ELEMENT_BYTES or len(right) != ELEMENT_BYTES:
        raise ValueError(f"a lattice sum has {ELEMENT_BYTES} bytes, not {len(left)} and {len(right)}")
    from_lanes, taken = int.from_bytes(left, "little"), int.from_bytes(right, "little")
    # Each cell borrows from its own spare bit (2^16), never from a neighbour.
    even = (from_lanes & _EVEN_LANES) + _MODULI - (taken & _EVEN_LANES)
    odd = ((from_lanes >> 16) & _EVEN_LANES) + _MODULI - ((taken >> 16) & _EVEN_LANES)
    return _joined(even, odd)


def _joined(even: int, odd: int) -> bytes:
    """Reduce every cell modulo 2^16 and weave the two halves into one sum."""
    return ((even & _EVEN_LANES) | (odd & _EVEN_LANES) << 16).to_bytes(ELEMENT_BYTES, "little")
