"""Held: which leaves of a restore are durable, and what that is worth.

Where every chunk proves itself, a range that was verified stays valid under every manifest: only its bounds count.
Where the root is a sum, a chunk is what one manifest says of its range and no more: it counts under manifests that
announce the same bytes for the same range, and all of them count only together. Knows no peers and no database.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

from proofs import get_scheme
from sync.coverage import Coverage
from sync.manifest import LeafEntry

__all__ = ["DisjointRanges", "Held", "HeldRange", "ProvenRanges", "StagedRanges", "held_ranges", "overlaps", "range_of"]


class HeldRange(NamedTuple):
    """The leaves of [start, end): `digest` of their run, or empty where they are proven and it does not matter."""

    start: bytes
    end: bytes | None
    digest: bytes = b""


_START: Final = attrgetter("start")


class DisjointRanges:
    """Ranges in key order. INVARIANT: no two overlap; one that is added displaces those that it overlaps."""

    def __init__(self, held: Iterable[HeldRange] = ()) -> None:
        self._ranges: list[HeldRange] = []
        for one in held:
            self.add(one)

    def __len__(self) -> int:
        return len(self._ranges)

    def __contains__(self, held: HeldRange) -> bool:
        return held in self._ranges[self._place(held)]

    def overlapping(self, held: HeldRange) -> list[HeldRange]:
        """Those that have a key in common with it, in key order."""
        return self._ranges[self._place(held)]

    def add(self, held: HeldRange) -> list[HeldRange]:
        """Take it in; those displaced."""
        place = self._place(held)
        displaced = self._ranges[place]
        self._ranges[place] = [held]
        return displaced

    def _place(self, held: HeldRange) -> slice:
        first = bisect_right(self._ranges, held.start, key=_START)
        if first and overlaps(self._ranges[first - 1], held):
            first -= 1
        last = len(self._ranges) if held.end is None else bisect_left(self._ranges, held.end, lo=first, key=_START)
        return slice(first, last)


class Held(Protocol):
    """What a session asks of the ranges that are durable."""

    def begin(self, wanted: Iterable[HeldRange]) -> None:
        """Another manifest is worked: these are all its leaf chunks."""
        ...

    def add(self, held: HeldRange) -> None:
        """This range is durable now, in place of whatever it overlaps."""
        ...

    def covers(self, wanted: HeldRange) -> bool:
        """Whether this chunk need not be fetched."""
        ...

    @property
    def counts_alone(self) -> bool:
        """Whether a chunk is worth something without the rest of its manifest."""
        ...

    @property
    def whole(self) -> bool:
        """Whether there is nothing left to fetch before all leaves are folded."""
        ...


class ProvenRanges:
    """Ranges that were verified against the root, under whatever manifest."""

    counts_alone = True

    def __init__(self, held: Iterable[HeldRange] = ()) -> None:
        self._coverage = Coverage((start, end) for start, end, _ in held)

    def begin(self, wanted: Iterable[HeldRange]) -> None:
        """Nothing changes: what is proven is proven."""

    def add(self, held: HeldRange) -> None:
        self._coverage.add(held.start, held.end)

    def covers(self, wanted: HeldRange) -> bool:
        return self._coverage.covers(wanted.start, wanted.end)

    @property
    def whole(self) -> bool:
        return self._coverage.whole


class StagedRanges:
    """Ranges as manifests announced them. INVARIANT: no two overlap, as in the database."""

    counts_alone = False

    def __init__(self, held: Iterable[HeldRange] = ()) -> None:
        self._held = DisjointRanges(held)
        self._wanted: frozenset[HeldRange] = frozenset()
        self._lacking: set[HeldRange] = set()

    def begin(self, wanted: Iterable[HeldRange]) -> None:
        self._wanted = frozenset(wanted)
        self._lacking = {one for one in self._wanted if one not in self._held}

    def add(self, held: HeldRange) -> None:
        self._lacking.update(self._wanted.intersection(self._held.add(held)))
        self._lacking.discard(held)

    def covers(self, wanted: HeldRange) -> bool:
        return wanted in self._held

    @property
    def whole(self) -> bool:
        """Exactly the chunks of the manifest that is worked, and no other leaf."""
        return bool(self._wanted) and not self._lacking and len(self._held) == len(self._wanted)


def held_ranges(scheme: str, held: Iterable[HeldRange]) -> Held:
    """What a restore of this scheme holds.

    Raises:
        UnknownSchemeError
    """
    return StagedRanges(held) if get_scheme(scheme).capabilities.additive else ProvenRanges(held)


def range_of(entry: LeafEntry, end: bytes | None) -> HeldRange:
    """What a leaf chunk that ends at `end` holds."""
    return HeldRange(entry.start, end, entry.run_digest)


def overlaps(a: HeldRange, b: HeldRange) -> bool:
    """Whether any key lies in both."""
    return (a.end is None or b.start < a.end) and (b.end is None or a.start < b.end)
