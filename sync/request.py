"""What a restore asks of peers, one class a question.

A request names its peer, when it was asked, how many bytes the answer may have and how long it may take. Two requests
are never equal: each is one attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sync.manifest import CodeEntry, LeafEntry

__all__ = ["STORED_OVERHEAD", "ChunkRequest", "ListingRequest", "ManifestRequest", "Request"]

STORED_OVERHEAD: Final = 16
"""The most by which stored bytes of a chunk exceed its canonical ones: the headers of its parts."""


@dataclass(frozen=True, slots=True, eq=False)
class ListingRequest:
    """Which checkpoints of `height` does the peer have? None: of any height, the highest ones if there are many."""

    peer: str
    asked_at: float
    size_max: int
    deadline_s: float
    height: int | None


@dataclass(frozen=True, slots=True, eq=False)
class ManifestRequest:
    """The manifest with this digest."""

    peer: str
    asked_at: float
    size_max: int
    deadline_s: float
    digest: bytes


@dataclass(frozen=True, slots=True, eq=False)
class ChunkRequest:
    """Chunk `index` of the manifest with the digest `manifest`. `entry` announces it; its range ends at `end`."""

    peer: str
    asked_at: float
    size_max: int
    deadline_s: float
    manifest: bytes
    index: int
    entry: LeafEntry | CodeEntry
    end: bytes | None


Request = ListingRequest | ManifestRequest | ChunkRequest
