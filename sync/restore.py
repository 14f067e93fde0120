"""Restore: a state from peers that nobody has to trust, into a database that opens only once it is proven.

The shell around RestoreSession: it owns the tasks, the clock (the event loop's) and the threads, and decides nothing
about trust. Bytes come in through a Fetcher, are judged in threads so that the loop lives, and go to the database on
its one writer thread, each chunk only after it was proven. Killed at any instant, it loses what is in flight; run
again, it continues.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from proofs import Kernel, get_kernel
from sync.errors import PeerError
from sync.events import Event, ManifestChosen, RestoreState
from sync.fetch import Fetcher, HTTPFetcher, base_url
from sync.judge import Judged, VerifiedChunk
from sync.limits import Limits
from sync.monitor import MONITOR_NONE, Monitor
from sync.peers import PeerBook, PeerReport
from sync.progress import FOLD_PHASE, Progress
from sync.request import Request
from sync.restored import Fold, RestoredState
from sync.root import Root
from sync.session import RestoreSession

__all__ = ["Report", "Restore", "Workers", "restore"]

T = TypeVar("T")

JUDGES: Final = 2
"""Threads that judge chunks. With the reference kernel they share one core; hashing and decompression do not."""


STORES_MAX: Final = 2
"""Batches of chunks with the writer: one under way, and one so that it never waits for us."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a restore did. Sizes in bytes, time in seconds; `*_before` were durable when it began."""

    root: Root
    leaf_count: int
    code_count: int
    chunks_stored: int
    ranges_before: int
    bytes_received: int
    elapsed_s: float
    peers: tuple[PeerReport, ...]


@dataclass(frozen=True, slots=True)
class Workers:
    """Where blocking work runs: `judges` any number of threads, `writer` exactly one."""

    judges: Executor
    writer: Executor

    @classmethod
    def threads(cls) -> Self:
        return cls(
            ThreadPoolExecutor(JUDGES, thread_name_prefix="judge"),
            ThreadPoolExecutor(1, thread_name_prefix="writer"),
        )

    def shutdown(self) -> None:
        self.judges.shutdown(cancel_futures=True)
        self.writer.shutdown()


@dataclass(frozen=True, slots=True)
class _Answer:
    """How a request ended, and how many bytes had come by then."""

    outcome: Judged | PeerError
    received: int


class Restore:
    """One restore under way: enter it, iterate over its events to the end, then read `report`.

        async with Restore(peers, root, path) as run:
            async for event in run:
                ...
        print(run.report)

    Leaving early stops cleanly; what is durable stays, and the next Restore of the same root continues.
    """

    def __init__(
        self,
        peers: Sequence[str],
        root: Root,
        to: Path,
        *,
        limits: Limits | None = None,
        monitor: Monitor = MONITOR_NONE,
        kernel: Kernel | None = None,
        fetcher: Fetcher | None = None,
        workers: Workers | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`peers`: what `fetcher` knows them by; base URLs for the default one. `root` is the only thing believed.

        Raises:
            ValueError: no peers, too many, one named twice, or (without `fetcher`) one that is no base URL.
        """
        if fetcher is None:
            for peer in peers:
                base_url(peer)
        self.root = root
        self.path = to
        self._limits = limits or Limits()
        self._book = PeerBook(peers, self._limits, random=jitter)
        self._progress = Progress(monitor)
        self._kernel = kernel or get_kernel()
        self._fetcher = fetcher
        self._workers = workers
        self._stopped = threading.Event()
        self._fetches: dict[asyncio.Task[_Answer], Request] = {}
        self._verified: list[VerifiedChunk] = []
        self._stores: dict[asyncio.Future[None], list[VerifiedChunk]] = {}
        self._folding: asyncio.Future[Fold | None] | None = None
        self._fold: Fold | None = None
        self._chunks_stored = 0
        self._ranges_before = 0
        self._report: Report | None = None

    @property
    def report(self) -> Report:
        """What was done.

        Raises:
            RuntimeError: the restore is not complete.
        """
        if self._report is None:
            raise RuntimeError("the restore is not complete")
        return self._report

    @property
    def peers(self) -> tuple[PeerReport, ...]:
        """What each peer did so far, complete or not."""
        return self._book.report()

    async def __aenter__(self) -> Self:
        """Open or begin the database.

        Raises:
            RestoreConflictError, UnknownSchemeError, and flatdb's DatabaseError.
        """
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._pool = self._workers or Workers.threads()
        self._net = self._fetcher or HTTPFetcher(self._limits)
        try:
            self._state = await self._write(RestoredState, self.path, self.root, self._limits, self._kernel)
        except BaseException:
            await self._let_go()
            raise
        held = self._state.ranges()
        self._ranges_before = len(held)
        self._session = RestoreSession(self.root, self._book, self._limits, held=held, kernel=self._kernel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for task in self._fetches:
            task.cancel()
        await asyncio.gather(*self._under_way(), return_exceptions=True)
        await self._write(self._state.close)
        await self._let_go()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Everything that happens, until the database is complete.

        Raises:
            NoPeersLeftError, RestoreMismatchError, NoSpaceError, and flatdb's DatabaseError.
        """
        while self._session.state is not RestoreState.COMPLETE:
            for event in await self._told():
                yield event
            await self._step()
        await self._write(self._state.seal)
        self._report = self._summary()
        for event in await self._told():
            yield event

    # One turn

    async def _step(self) -> None:
        """Ask what can be asked, wait until something happens, and take it in."""
        if self._session.state is RestoreState.FOLDING and self._folding is None:
            self._folding = self._write(self._state.fold, self._fold_advanced, self._stopped.is_set)
        while (request := self._session.next_request(self._loop.time())) is not None:
            self._fetches[self._loop.create_task(self._answer(request))] = request
        obsolete = set(self._session.obsolete())
        for task, request in self._fetches.items():
            if request in obsolete:
                task.cancel()
        await self._wait()
        self._take_answers()
        self._take_stored()
        self._store_verified()
        self._take_fold()

    async def _answer(self, request: Request) -> _Answer:
        """Fetch and judge; whose fault a failure is, is in the error."""
        received = 0
        try:
            untrusted = await self._net.fetch(request)
            received = len(untrusted)
            judged = await self._loop.run_in_executor(self._pool.judges, self._session.judge, request, untrusted)
        except PeerError as error:
            return _Answer(error, received)
        return _Answer(judged, received)

    async def _wait(self) -> None:
        """Until an answer, a durable chunk or the fold is there, or the session wants to be asked again."""
        now = self._loop.time()
        wake_at = self._session.wake_at(now)
        timeout_s = None if wake_at is None else wake_at - now
        under_way = self._under_way()
        if under_way:
            await asyncio.wait(under_way, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        else:
            assert timeout_s is not None, "nothing is under way and nothing will be"
            await asyncio.sleep(timeout_s)

    def _take_answers(self) -> None:
        for task in [task for task in self._fetches if task.done()]:
            request = self._fetches.pop(task)
            if task.cancelled():
                self._session.cancelled(request)
                continue
            answer, now = task.result(), self._loop.time()
            if isinstance(answer.outcome, PeerError):
                self._session.failed(request, answer.outcome, now, received=answer.received)
                continue
            chunk = self._session.accept(answer.outcome, now)
            if chunk is not None:
                self._verified.append(chunk)

    def _take_stored(self) -> None:
        for store in [store for store in self._stores if store.done()]:
            chunks = self._stores.pop(store)
            store.result()
            for chunk in chunks:
                self._session.stored(chunk, self._loop.time())
            self._chunks_stored += len(chunks)

    def _store_verified(self) -> None:
        """Give the writer what was proven since it was last given something: the busier it is, the more at a time."""
        if self._verified and len(self._stores) < STORES_MAX:
            self._stores[self._write(self._state.store, self._verified)] = self._verified
            self._verified = []

    def _take_fold(self) -> None:
        if self._folding is None or not self._folding.done() or self._fold is not None:
            return
        fold = self._fold = self._folding.result()
        if fold is not None:
            now = self._loop.time()
            if not self._session.folded(fold.root_hash, now, code=fold.code, code_missing=fold.code_missing):
                self._folding = self._fold = None

    async def _told(self) -> list[Event]:
        """What happened since the last turn. Before the first chunk of a manifest is asked for, there must be room."""
        events = self._session.take_events()
        for event in events:
            self._progress.tell(event)
            if isinstance(event, ManifestChosen):
                await self._write(self._state.check_space, event.chunk_bytes)
        return events

    def _under_way(self) -> list[asyncio.Future[Any]]:
        folding = [self._folding] if self._folding is not None and self._fold is None else []
        return [*self._fetches, *self._stores, *folding]

    def _write(self, work: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """Run on the one thread that owns the database."""
        return self._loop.run_in_executor(self._pool.writer, work, *arguments)

    def _fold_advanced(self, count: int) -> None:
        """Called on the writer thread; a monitor hears one call at a time, so the loop tells it."""
        self._loop.call_soon_threadsafe(self._progress.advanced, FOLD_PHASE, count)

    def _summary(self) -> Report:
        assert self._fold is not None
        peers = self._book.report()
        return Report(
            root=self.root,
            leaf_count=self._fold.leaf_count,
            code_count=len(self._fold.code),
            chunks_stored=self._chunks_stored,
            ranges_before=self._ranges_before,
            bytes_received=sum(peer.bytes_received for peer in peers),
            elapsed_s=self._loop.time() - self._began_at,
            peers=peers,
        )

    async def _let_go(self) -> None:
        """Of what this restore made itself."""
        if self._fetcher is None:
            await self._net.close()
        if self._workers is None:
            await self._loop.run_in_executor(None, self._pool.shutdown)


def restore(
    peers: Sequence[str],
    root: Root,
    to: Path,
    *,
    limits: Limits | None = None,
    monitor: Monitor = MONITOR_NONE,
    kernel: Kernel | None = None,
) -> Report:
    """Restore the state of `root` into the directory `to`, from any of `peers` (base URLs). Returns when complete.

    Raises:
        RestoreError: NoPeersLeftError, RestoreMismatchError, RestoreConflictError, NoSpaceError.
        ValueError: no peers, too many, one named twice, or one that is no base URL.
        UnknownSchemeError, and flatdb's DatabaseError.
    """

    return asyncio.run(_finish(Restore(peers, root, to, limits=limits, monitor=monitor, kernel=kernel)))


async def _finish(running: Restore) -> Report:
    async with running:
        async for _ in running:
            pass
    return running.report
