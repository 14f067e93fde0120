"""Held: which leaves of a restore are durable, and what that is worth.

Where every chunk proves itself, a range that was verified stays valid under every manifest: only its bounds count.
Where the root is a sum, a chunk is what one manifest says of its range and no more: it counts under manifests that
announce the same bytes for the same range, and all of them count only together. Knows no peers and no database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from proofs import get_scheme
from sync.coverage import Coverage
from sync.manifest import LeafEntry

__all__ = ["Held", "HeldRange", "ProvenRanges", "StagedRanges", "held_ranges", "overlaps", "range_of"]


class HeldRange(NamedTuple):
    """The leaves of [start, end): `digest` of their run, or empty where they are proven and it does not matter."""

    start: bytes
    end: bytes | None
    digest: bytes = b""


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
        self._held = set(held)
        self._wanted: frozenset[HeldRange] = frozenset()

    def begin(self, wanted: Iterable[HeldRange]) -> None:
        self._wanted = frozenset(wanted)

    def add(self, held: HeldRange) -> None:
        self._held = {other for other in self._held if not overlaps(other, held)} | {held}

    def covers(self, wanted: HeldRange) -> bool:
        return wanted in self._held

    @property
    def whole(self) -> bool:
        """Exactly the chunks of the manifest that is worked, and no other leaf."""
        return bool(self._wanted) and self._wanted == self._held


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
