"""Coverage: which part of the key space is held already, as a few disjoint ranges.

Ranges are [start, end) in plain byte order, `end` None meaning no end. Ranges that touch are joined, so the whole key
space is one range however it was cut, and what was verified under one cut counts under every other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

__all__ = ["Coverage", "KeyRange"]

KeyRange = tuple[bytes, bytes | None]


class Coverage:
    """A set of keys made of ranges. Not thread-safe."""

    def __init__(self, ranges: Iterable[KeyRange] = ()) -> None:
        self._starts: list[bytes] = []
        self._ends: list[bytes | None] = []
        for start, end in ranges:
            self.add(start, end)

    def add(self, start: bytes, end: bytes | None) -> None:
        """Hold [start, end) too. Precondition: start < end."""
        assert end is None or start < end
        first = bisect_right(self._starts, start)
        if first and _reaches(self._ends[first - 1], start):
            first -= 1
            start = self._starts[first]
        last = first
        while last < len(self._starts) and _reaches(end, self._starts[last]):
            end = _later(end, self._ends[last])
            last += 1
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def covers(self, start: bytes, end: bytes | None) -> bool:
        """Whether all of [start, end) is held."""
        at = bisect_right(self._starts, start) - 1
        if at < 0:
            return False
        held = self._ends[at]
        return held is None or (end is not None and end <= held)

    @property
    def whole(self) -> bool:
        """Whether every key is held."""
        return self.covers(b"", None)

    def ranges(self) -> tuple[KeyRange, ...]:
        """The ranges held, ascending, none touching another."""
        return tuple(zip(self._starts, self._ends, strict=True))


def _reaches(end: bytes | None, start: bytes) -> bool:
    return end is None or end >= start


def _later(a: bytes | None, b: bytes | None) -> bytes | None:
    return None if a is None or b is None else max(a, b)
