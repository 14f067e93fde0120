"""What a restore tells while it runs: plain facts, one small class each, in the order in which they happened."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sync.peers import Verdict

__all__ = ["ChunkStored", "Event", "ManifestChosen", "ManifestDropped", "PeerFaulted", "RestoreState", "StateChanged"]


class RestoreState(StrEnum):
    """Where a restore stands."""

    DISCOVERING = "discovering"
    """Looking for a manifest of the root."""
    LEAVES = "leaves"
    """Fetching leaf chunks."""
    FOLDING = "folding"
    """Every leaf is held; the database's own fold is awaited."""
    CODE = "code"
    """The fold is right; fetching the code that the leaves name."""
    COMPLETE = "complete"
    FAILED = "failed"

    @property
    def is_fetching(self) -> bool:
        """Whether chunks are asked for."""
        return self in (RestoreState.LEAVES, RestoreState.CODE)

    @property
    def is_asking(self) -> bool:
        """Whether peers are asked for anything."""
        return self is RestoreState.DISCOVERING or self.is_fetching

    def leads_to(self, state: RestoreState) -> bool:
        """Whether a restore may go on from here to `state`."""
        return state in _NEXT[self]


_NEXT: Final[dict[RestoreState, set[RestoreState]]] = {
    RestoreState.DISCOVERING: {
        RestoreState.LEAVES,
        RestoreState.FOLDING,
        RestoreState.CODE,
        RestoreState.COMPLETE,
        RestoreState.FAILED,
    },
    RestoreState.LEAVES: {RestoreState.DISCOVERING, RestoreState.FOLDING},
    RestoreState.FOLDING: {RestoreState.DISCOVERING, RestoreState.COMPLETE, RestoreState.FAILED},
    RestoreState.CODE: {RestoreState.DISCOVERING, RestoreState.COMPLETE},
    RestoreState.COMPLETE: set(),
    RestoreState.FAILED: set(),
}


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The restore went on to `state`."""

    state: RestoreState


@dataclass(frozen=True, slots=True)
class ManifestChosen:
    """Chunks are asked for by this manifest. `chunks` and `chunk_bytes` (canonical) count what is still to be held."""

    digest: bytes
    peers: tuple[str, ...]
    chunks: int
    chunk_bytes: int


@dataclass(frozen=True, slots=True)
class ManifestDropped:
    """No chunk is asked for by this manifest any more, because of `reason`."""

    digest: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class ChunkStored:
    """A chunk was verified and is durable. `count` leaves (or blobs of code) in `size` canonical bytes."""

    peer: str
    index: int
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class PeerFaulted:
    """A peer did not do what was asked; `verdict` says in which way, `reason` why."""

    peer: str
    verdict: Verdict
    reason: str


Event = StateChanged | ManifestChosen | ManifestDropped | ChunkStored | PeerFaulted
