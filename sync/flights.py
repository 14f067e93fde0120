"""Flights: what is under way in a restore: requests at peers, and accepted chunks on their way to the disk.

Bounds how much of it there is at once, and says when a second request for the same thing makes sense. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable

from sync.limits import Limits
from sync.request import ChunkRequest, ListingRequest, ManifestRequest, Request

__all__ = ["Flights"]


class Flights:
    """The requests and chunks of one restore that have begun and not ended."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._asked: dict[Request, None] = {}
        self._storing: dict[ChunkRequest, None] = {}

    def __bool__(self) -> bool:
        return bool(self._asked or self._storing)

    def begin(self, request: Request) -> None:
        """A peer is asked."""
        self._asked[request] = None

    def end(self, request: Request) -> None:
        """The request has ended, however it did.

        Raises:
            RuntimeError: it is not in flight.
        """
        if request not in self._asked:
            raise RuntimeError("a request ends once, after it was handed out")
        del self._asked[request]

    def begin_storing(self, request: ChunkRequest) -> None:
        """The chunk was accepted."""
        self._storing[request] = None

    def end_storing(self, request: ChunkRequest) -> None:
        """The chunk is durable.

        Raises:
            RuntimeError: it was not accepted, or has been stored.
        """
        if request not in self._storing:
            raise RuntimeError("a chunk is stored once, after it was accepted")
        del self._storing[request]

    def asked(self) -> list[Request]:
        """Requests in flight, the oldest first."""
        return list(self._asked)

    def chunks(self) -> list[ChunkRequest]:
        """Those of them that are for chunks."""
        return [request for request in self._asked if isinstance(request, ChunkRequest)]

    def manifests(self, digest: bytes) -> list[ManifestRequest]:
        """Those that are for this manifest."""
        return [r for r in self._asked if isinstance(r, ManifestRequest) and r.digest == digest]

    def is_listing(self, peer: str) -> bool:
        """Whether this peer is being asked what it has."""
        return any(isinstance(r, ListingRequest) and r.peer == peer for r in self._asked)

    def same_chunk(self, request: ChunkRequest) -> list[ChunkRequest]:
        """Requests in flight for the chunk that `request` is for, itself included."""
        return [other for other in self.chunks() if _is_same(request, other)]

    def is_storing(self, request: ChunkRequest) -> bool:
        """Whether the chunk that `request` is for is on its way to the disk."""
        return any(_is_same(request, other) for other in self._storing)

    @property
    def is_any_storing(self) -> bool:
        """Whether any chunk is on its way to the disk."""
        return bool(self._storing)

    def is_busy(self, manifest: bytes) -> bool:
        """Whether a chunk of this manifest is under way."""
        return any(request.manifest == manifest for request in (*self.chunks(), *self._storing))

    def has_room(self) -> bool:
        """Whether one more chunk may be in memory: a bounded number, and a bounded number of bytes or just one."""
        held = [*self.chunks(), *self._storing]
        if len(held) >= self._limits.chunks_in_flight_max:
            return False
        return not held or sum(request.size_max for request in held) < self._limits.bytes_in_flight_max


def may_join(peer: str, rivals: Iterable[Request], *, now: float, hedge_after_s: float) -> bool:
    """Whether one more request, at `peer`, makes sense beside `rivals` for the same thing: all of them are late.

    So there is at most one more in each such while, and two peers that stall together do not keep a third one out.
    """
    return all(rival.peer != peer and is_late(rival, now, hedge_after_s) for rival in rivals)


def is_late(request: Request, now: float, hedge_after_s: float) -> bool:
    """Compared as `RestoreSession.wake_at` adds, so that what is due when it wakes is late."""
    return request.asked_at + hedge_after_s <= now


def _is_same(a: ChunkRequest, b: ChunkRequest) -> bool:
    return a.index == b.index and a.manifest == b.manifest
