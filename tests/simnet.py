"""A network in memory, where time is a number: peers that implement Fetcher, honest or hostile by knob.

`run_stepped` runs a coroutine on an event loop whose clock jumps to the next thing that is due, so that nothing ever
waits: a peer that stalls for an hour costs a microsecond. Blocking work runs inline (`INLINE`), so that a run depends
on its seed alone.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sync.checkpoint_store import CheckpointStore
from sync.errors import LimitExceededError, PeerRefusedError, PeerUnavailableError
from sync.limits import Limits
from sync.peers import SlowPeerError
from sync.request import ChunkRequest, ListingRequest, ManifestRequest, Request
from sync.restore import Workers
from sync.wire import encode_listing

T = TypeVar("T")


class _SteppedSelector(selectors.DefaultSelector):
    """Never waits: what asyncio would wait for, it is told has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing is due and nothing can happen: the program would wait for ever")
        if not ready and timeout:
            self.now += timeout
        return ready


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own, in seconds from 0."""

    def __init__(self) -> None:
        self._stepped = _SteppedSelector()
        super().__init__(self._stepped)

    def time(self) -> float:
        return self._stepped.now


def run_stepped(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, in no time at all."""
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(main)


class InlineExecutor(Executor):
    """Does the work at once, on the caller's thread."""

    def submit(self, work: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


INLINE = Workers(judges=InlineExecutor(), writer=InlineExecutor())

Answer = Callable[[Request, bytes], bytes]
"""Changes an honest answer, or raises a PeerError."""


@dataclass
class SimPeer:
    """One peer: the checkpoints of `store`, and knobs. Times in simulated seconds.

    `latency_s` before the first byte; `bytes_per_s` after it. `stalls`: requests that it never answers.
    `vanishes_after`: requests that it still answers. `answer` has the last word about the bytes.
    """

    store: CheckpointStore
    latency_s: float = 0.01
    bytes_per_s: float = 1e8
    stalls: Callable[[Request], bool] = lambda request: False
    vanishes_after: int | None = None
    answer: Answer = lambda request, honest: honest
    extra: dict[bytes, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def honest(self, request: Request) -> bytes:
        match request:
            case ListingRequest():
                return encode_listing(self.store.list())
            case ManifestRequest(digest=digest):
                found = self.extra.get(digest) or (
                    self.store.manifest(digest).encoded if digest in self.store.digests() else None
                )
            case ChunkRequest(entry=entry):
                found = self.extra.get(entry.digest) or (
                    self.store.chunk(entry.digest) if self.store.chunk_path(entry.digest) else None
                )
        if found is None:
            raise PeerRefusedError(request.peer, 404)
        return found

    async def respond(self, request: Request, limits: Limits) -> bytes:
        self.asked[type(request).__name__] += 1
        if self.vanishes_after is not None and sum(self.asked.values()) > self.vanishes_after:
            raise PeerUnavailableError(request.peer, "connection refused")
        if self.stalls(request):
            await asyncio.sleep(limits.stall_timeout_s)
            raise PeerUnavailableError(request.peer, "stalled after 0 bytes")
        data = self.answer(request, self.honest(request))
        await asyncio.sleep(self.latency_s + len(data) / self.bytes_per_s)
        return data


class SimFetcher:
    """Fetcher over peers in memory; bounds time and size as the real one does."""

    def __init__(self, peers: dict[str, SimPeer], limits: Limits) -> None:
        self.peers = peers
        self.limits = limits
        self.in_flight = 0
        self.in_flight_most = 0

    async def fetch(self, request: Request) -> bytes:
        self.in_flight += 1
        self.in_flight_most = max(self.in_flight, self.in_flight_most)
        try:
            async with asyncio.timeout(request.deadline_s):
                data = await self.peers[request.peer].respond(request, self.limits)
        except TimeoutError as error:
            raise SlowPeerError(request.peer, f"not done in {request.deadline_s:.0f} s") from error
        finally:
            self.in_flight -= 1
        if len(data) > request.size_max:
            raise LimitExceededError(request.peer, "size_max", len(data))
        return data

    async def close(self) -> None:
        pass


def flip(data: bytes, at: int) -> bytes:
    """One bit of `data` the other way."""
    at %= len(data)
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def chunks_only(change: Callable[[bytes], bytes]) -> Answer:
    """Honest but for chunks."""
    return lambda request, honest: change(honest) if isinstance(request, ChunkRequest) else honest


def hurried(limits: Limits | None = None, **changes: Any) -> Limits:
    """Limits for tests: few attempts, so that a simulated failure is over soon."""
    return replace(limits or Limits(), **changes)
