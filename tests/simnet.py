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
from hashlib import sha256
from typing import Any, TypeVar

from proofs import LeafRun, leaf_run
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.chunk import decode_leaf_chunk, encode_proof_part, encode_run_part
from sync.chunk_name import LEAF_CHUNK
from sync.errors import LimitExceededError, PeerRefusedError, PeerUnavailableError
from sync.limits import Limits
from sync.manifest import LeafEntry, Manifest
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


class LateExecutor(InlineExecutor):
    """Does the work a second later, one piece after the other: a disk that is slower than the network."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def submit(self, work: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        loop, late = asyncio.get_running_loop(), Future[T]()
        self._free_at = max(self._free_at, loop.time()) + 1
        loop.call_at(self._free_at, lambda: _pass_on(super(LateExecutor, self).submit(work, *args, **kwargs), late))
        return late


def _pass_on(done: Future[T], to: Future[T]) -> None:
    error = done.exception()
    if error is None:
        to.set_result(done.result())
    else:
        to.set_exception(error)


INLINE = Workers(judges=InlineExecutor(), writer=InlineExecutor())

Leaves = list[tuple[bytes, bytes]]
Change = Callable[[bytes], bytes]
Answer = Callable[[Request, bytes], bytes]
"""Changes an honest answer, or raises a PeerError."""


@dataclass
class SimPeer:
    """One peer: the checkpoints of `store` and the objects in `extra`, and knobs. Times in simulated seconds.

    `latency_s` before the first byte; `bytes_per_s` after it. `stalls`: requests that it never answers.
    `vanishes_after`: how many requests it answers before it is gone. `answer` has the last word about the bytes, and
    `offers`, where given, is what it lists. `asked` counts requests by kind.
    """

    store: CheckpointStore
    latency_s: float = 0.01
    bytes_per_s: float = 1e8
    stalls: Callable[[Request], bool] = lambda request: False
    vanishes_after: int | None = None
    answer: Answer = lambda request, honest: honest
    offers: tuple[CheckpointInfo, ...] | None = None
    extra: dict[bytes, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def honest(self, request: Request) -> bytes:
        """What a peer with these objects answers."""
        match request:
            case ListingRequest(height=height):
                offers = self.store.list() if self.offers is None else self.offers
                return encode_listing(info for info in offers if height in (None, info.root.height))
            case ManifestRequest(digest=digest):
                found = self.extra.get(digest)
                if found is None and digest in self.store.digests():
                    found = self.store.manifest(digest).encoded
            case ChunkRequest(entry=entry):
                found = self.extra.get(entry.digest)
                if found is None and self.store.chunk_path(entry.digest):
                    found = self.store.chunk(entry.digest)
        if found is None:
            raise PeerRefusedError(request.peer, 404)
        return found

    async def respond(self, request: Request, limits: Limits) -> bytes:
        self.asked[type(request).__name__] += 1
        if self.vanishes_after is not None and self.asked.total() > self.vanishes_after:
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


def chunks_only(change: Change) -> Answer:
    """Honest but for chunks."""
    return lambda request, honest: change(honest) if isinstance(request, ChunkRequest) else honest


def forge(
    store: CheckpointStore, digest: bytes, *, leaves: Change | None = None, proof: Change | None = None, at: int = 1
) -> tuple[Manifest, dict[bytes, bytes]]:
    """A manifest that is consistent with its chunks, and whose leaf chunk `at` is a lie; and the objects behind it.

    `leaves` and `proof` change the canonical bytes of a part; every digest and size is made to fit.
    """
    manifest = store.manifest(digest)
    entry = manifest.leaf_chunks[at]
    chunk = decode_leaf_chunk(store.chunk(entry.digest), entry, limits=store.limits)
    run, proof_part = chunk.run.encode(), chunk.proof.encode()
    run = leaves(run) if leaves else run
    proof_part = proof(proof_part) if proof else proof_part
    forged = LeafEntry(
        start=entry.start,
        leaf_count=int.from_bytes(run[:4], "little"),
        run_size=len(run),
        run_digest=sha256(run).digest(),
        proof_size=len(proof_part),
        proof_digest=sha256(proof_part).digest(),
    )
    chunks = (*manifest.leaf_chunks[:at], forged, *manifest.leaf_chunks[at + 1 :])
    whole = replace(manifest, leaf_chunks=chunks)
    stored = encode_run_part(LEAF_CHUNK, run) + encode_proof_part(proof_part)
    return whole, {whole.digest: whole.encoded, forged.digest: stored}


def on_run(change: Callable[[Leaves], Leaves]) -> Change:
    """A change of leaves as a change of the bytes of their run."""
    return lambda data: leaf_run(change(list(LeafRun.decode(data, leaves_max=2**20)))).encode()
