"""Offers: which manifests of the root are known, who answers for each, and what is still to be fetched by one.

An *offer* is a manifest's digest and the peers that listed it, its *givers*; the manifest itself follows once one of
them has sent it. An offer that is proven wrong dies and is never taken up again; a giver that refuses a chunk is none.
*Work* is what is outstanding by one offer. No I/O, no clock, no judgement of bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from sync.held import HeldRange, range_of
from sync.manifest import CodeEntry, LeafEntry, Manifest, chunk_entries
from sync.root import Root
from sync.wire import ListedCheckpoint

__all__ = ["OFFERS_PER_PEER_MAX", "Offer", "Offers", "Work", "nearest_heights"]

OFFERS_PER_PEER_MAX: Final = 8
"""Manifests of one root that one peer may offer; more are ignored."""
HEIGHTS_TOLD_MAX: Final = 5


@dataclass(slots=True, eq=False)
class Offer:
    """A manifest as far as it is known. `givers` in the order in which they came."""

    digest: bytes
    givers: dict[str, None] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    manifest: Manifest | None = None
    dead: bool = False

    def withdraw(self, peer: str) -> None:
        """`peer` listed this manifest and will not send it: it is no giver, and cannot become one again."""
        self.givers.pop(peer, None)
        self.withdrawn.add(peer)


class Offers:
    """The offers of one restore."""

    def __init__(self) -> None:
        self._offers: dict[bytes, Offer] = {}

    def __getitem__(self, digest: bytes) -> Offer:
        return self._offers[digest]

    def add(self, peer: str, digest: bytes) -> None:
        """`peer` lists this manifest."""
        if len(self.by(peer)) >= OFFERS_PER_PEER_MAX:
            return
        offer = self._offers.setdefault(digest, Offer(digest))
        if peer not in offer.withdrawn:
            offer.givers[peer] = None

    def by(self, peer: str) -> list[Offer]:
        """The living offers that this peer answers for."""
        return [offer for offer in self._offers.values() if peer in offer.givers and not offer.dead]

    def best(self, alive: Collection[str]) -> Offer | None:
        """The living offer with a manifest that most of the peers in `alive` gave; the earlier one among equals."""
        known = [offer for offer in self._offers.values() if offer.manifest is not None and not offer.dead]
        served = [offer for offer in known if not offer.givers.keys().isdisjoint(alive)]
        return max(served, key=lambda offer: len(offer.givers.keys() & set(alive)), default=None)


class Work:
    """What is to be fetched by one offer: indexes of chunks, lowest first. Precondition: its manifest is known."""

    def __init__(self, offer: Offer) -> None:
        assert offer.manifest is not None
        self.offer = offer
        self.manifest = offer.manifest
        self.entries = chunk_entries(self.manifest)
        self._waiting: list[int] = []
        self._refusers: dict[int, set[str]] = {}
        self._done: set[int] = set()

    def leaf_chunks(self) -> range:
        """Indexes of the leaf chunks."""
        return range(len(self.manifest.leaf_chunks))

    def leaf_ranges(self) -> list[HeldRange]:
        """What every leaf chunk holds, as this manifest announces it."""
        return [range_of(entry, self.end(index)) for index, entry in enumerate(self.manifest.leaf_chunks)]

    def code_chunks_of(self, hashes: Collection[bytes]) -> list[int]:
        """Indexes of the code chunks whose interval of hashes holds one of these."""
        ordered = sorted(hashes)
        found = []
        for index in range(len(self.manifest.leaf_chunks), len(self.entries)):
            at, end = bisect_left(ordered, self.entries[index].start), self.end(index)
            if at < len(ordered) and (end is None or ordered[at] < end):
                found.append(index)
        return found

    def add(self, indexes: Iterable[int]) -> None:
        """These chunks are wanted (again)."""
        for index in indexes:
            at = bisect_left(self._waiting, index)
            if self._waiting[at : at + 1] != [index]:
                self._waiting.insert(at, index)

    @property
    def waiting(self) -> int:
        """How many chunks wait for somebody to be asked."""
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """Canonical bytes of the chunks that wait."""
        return sum(size_of(self.entries[index]) for index in self._waiting)

    def end(self, index: int) -> bytes | None:
        """Where the range of a chunk ends: where the next one of its kind begins."""
        leaf_chunks = len(self.manifest.leaf_chunks)
        following = index + 1
        if following in (leaf_chunks, len(self.entries)):
            return None
        return self.entries[following].start

    def take(self, peer: str) -> int | None:
        """The lowest waiting chunk that this peer may be asked for; it waits no longer."""
        if peer not in self.offer.givers:
            return None
        for at, index in enumerate(self._waiting):
            if self.may_ask(peer, index):
                return self._waiting.pop(at)
        return None

    def may_ask(self, peer: str, index: int) -> bool:
        """Whether this peer gave the manifest and has not refused this chunk."""
        return peer in self.offer.givers and peer not in self._refusers.get(index, ())

    def refuse(self, peer: str, index: int) -> None:
        """This peer says that it does not have this chunk."""
        self._refusers.setdefault(index, set()).add(peer)

    def finish(self, index: int) -> None:
        """This chunk is durable."""
        self._done.add(index)
        self._refusers.pop(index, None)

    def is_finished(self, index: int) -> bool:
        return index in self._done

    def served(self, alive: Collection[str]) -> bool:
        """Whether every chunk that was ever refused may still be asked of somebody in `alive`, and any at all."""
        givers = self.offer.givers.keys() & set(alive)
        return bool(givers) and not any(refusers >= givers for refusers in self._refusers.values())


def size_of(entry: LeafEntry | CodeEntry) -> int:
    """Canonical bytes of a chunk's parts."""
    return entry.run_size + (entry.proof_size if isinstance(entry, LeafEntry) else 0)


def nearest_heights(root: Root, listed: Iterable[ListedCheckpoint]) -> tuple[int, ...]:
    """Heights of the listed checkpoints of this root's chain that are nearest to its own, ascending; a few at most."""
    chain = (root.scheme, root.kind, root.namespace)
    heights = {one.root.height for one in listed if (one.root.scheme, one.root.kind, one.root.namespace) == chain}
    return tuple(sorted(sorted(heights, key=lambda height: abs(height - root.height))[:HEIGHTS_TOLD_MAX]))
