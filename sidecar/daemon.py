"""The daemon beside a node: follows its write logs, cuts checkpoints, and serves at the same time.

    loop     reads the source, answers requests, and decides what is due; never waits for a disk
    writer   the one thread that owns the database: it writes heights and freezes them
    cutter   the one thread that turns frozen heights into checkpoints

Which heights get a checkpoint is a function of the heights alone: the first at or behind each multiple of
`every_heights`. So every node cuts the same ones, and their peers find the same chunks everywhere.
A wrong root ends the process: a mirror that is not the node's state must not go on. A full disk does not: it waits.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from typing import TypeVar

from flatdb import WriteLog
from flatdb.errors import FlatDBError, HeightGapError
from sidecar.config import Config, parse_listen
from sidecar.cutter import Cutter, Frozen, open_mirror
from sidecar.errors import (
    CheckpointStoppedError,
    GateTimeoutError,
    SourceChangedError,
    SourceGapError,
    SourceUnavailableError,
)
from sidecar.gate import Gate
from sidecar.health import Health, ReadyLimits
from sidecar.log import EventLog
from sidecar.metrics import Metrics
from sidecar.observer import Observer
from sidecar.source import Source
from sidecar.sources.open import open_source
from sidecar.stop import Stop, run_until_stopped
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.errors import CheckpointMismatchError, InvalidStateError, SyncError
from sync.mirror import Mirror
from sync.server import make_app, serving

__all__ = ["Daemon", "run_daemon"]

WATCH_S = 1.0
"""How often the disk is looked at."""
RETRY_S = (0.5, 30.0)
"""First and longest wait before a source that cannot be read is tried again; doubling in between."""

T = TypeVar("T")


def run_daemon(config: Config, log: EventLog, listening: Callable[[str], None]) -> int | None:
    """Run until SIGTERM or SIGINT; the signal. `listening` is told the URL once the endpoint answers.

    Raises:
        ConfigError: the mirror holds another chain.
        MirrorMismatchError, CheckpointMismatchError: a wrong root. FlatDBError, SourceGapError: nothing can follow.
        OSError: the address cannot be listened on.
    """

    async def run(stop: Stop) -> None:
        with ExitStack() as stack:
            mirror = stack.enter_context(await asyncio.to_thread(open_mirror, config.mirror))
            source = open_source(config, mirror)
            await Daemon(config, mirror, source, log).run(stop, listening)

    return run_until_stopped(run)


class Daemon:
    """One run of the daemon over an open mirror, which stays the caller's."""

    def __init__(self, config: Config, mirror: Mirror, source: Source, log: EventLog) -> None:
        self._config = config
        self._mirror = mirror
        self._source = source
        self._log = log
        self._metrics = Metrics()
        self._observer = Observer(self._metrics, log)
        self._store = CheckpointStore.folder(config.checkpoint.store)
        self._gate = Gate(observe_pause_s=self._metrics.pause_s.observe)
        self._stopping = threading.Event()
        self._cutter = Cutter(mirror, self._store, config, self._gate, self._observer, self._stopping)
        self._health = Health(ReadyLimits(**config.ready.model_dump()))
        self._cutting: asyncio.Task[None] | None = None
        self._waiting: Frozen | None = None
        self._has_room = asyncio.Event()
        self._threads = {name: ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("writer", "cutter")}

    async def run(self, stop: Stop, listening: Callable[[str], None]) -> None:
        """Until `stop`, or something that must not go on. Heights and checkpoints under way end whole or not at all."""
        host, port = parse_listen(self._config.serve.listen)
        app = make_app(
            self._store,
            mirror=self._mirror,
            monitor=self._observer,
            metrics=self._encode_metrics,
            ready=lambda: "; ".join(self._reasons()) or None,
        )
        await self._look_back()
        try:
            async with serving(app, host, port) as url:
                self._log.info("listening", url=url, height=self._health.applied_height)
                listening(url)
                await self._work(stop)
        finally:
            await self._end()
            self._log.info("stopped", signal=stop.signal, height=self._health.applied_height)

    async def _work(self, stop: Stop) -> None:
        """Follow and watch until one of them fails or `stop` is set."""
        tasks = [asyncio.create_task(work) for work in (self._follow(), self._watch(), stop.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self) -> None:
        """Let the threads finish what cannot be left half-way, and nothing else."""
        self._stopping.set()
        if self._cutting is not None:
            with suppress(CheckpointStoppedError, SyncError):
                await self._cutting
        for pool in self._threads.values():
            await asyncio.to_thread(pool.shutdown)

    async def _look_back(self) -> None:
        """Take up what earlier runs left: the mirror's height, and the newest checkpoint."""
        if self._mirror.head is not None:
            self._health.applied_height = self._mirror.head.height
            self._metrics.applied_height.set(self._mirror.head.height)
        self._metrics.checkpoint_count.set(await self._on("cutter", self._cutter.count))
        newest = await self._on("cutter", self._cutter.newest)
        if newest is not None:
            info, published_s = newest
            self._note_checkpoint(info, published_s)
        await self._look_at_disk()

    # Heights

    async def _follow(self) -> None:
        """Follow the source for ever, also when it goes away for a while or begins anew."""
        wait_s = RETRY_S[0]
        while True:
            head = self._mirror.head
            try:
                async for write_log in self._source.follow(None if head is None else head.height):
                    wait_s = RETRY_S[0]
                    self._health.source_error = ""
                    await self._take(write_log)
            except SourceUnavailableError as error:
                self._source_failed("unavailable", error)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_S[1])
            except SourceChangedError as error:
                self._source_failed("changed", error)

    def _source_failed(self, reason: str, error: SourceUnavailableError | SourceChangedError) -> None:
        self._metrics.source_errors.labels(reason).inc()
        if self._health.source_error != error.reason:
            self._log.warning(f"source_{reason}", source=error.source, reason=error.reason)
        self._health.source_error = error.reason

    async def _take(self, write_log: WriteLog) -> None:
        """One height, from the source to the disk, and the checkpoint that is due behind it."""
        self._health.source_height = self._source.latest_height
        await self._has_room.wait()
        before = self._mirror.head
        previous = write_log.height - 1 if before is None else before.height
        try:
            await self._on("writer", partial(self._apply, write_log, verify=self._is_verify_due(previous, write_log)))
        except HeightGapError as error:
            if before is not None and write_log.height > before.height + 1:
                raise SourceGapError(self._source.name, needed=before.height + 1, oldest=write_log.height) from error
            raise
        self._health.applied_height = write_log.height
        self._metrics.applied_height.set(write_log.height)
        self._metrics.heights.inc()
        self._metrics.writes.inc(len(write_log.writes))
        if _crosses(self._config.checkpoint.every_heights, previous, write_log.height):
            await self._begin_checkpoint(write_log.height)

    def _is_verify_due(self, previous: int, write_log: WriteLog) -> bool:
        every = self._config.mirror.verify_every
        return every > 0 and _crosses(every, previous, write_log.height)

    def _apply(self, write_log: WriteLog, *, verify: bool) -> None:
        with self._gate.height(), self._metrics.apply_s.time():
            record = self._mirror.apply(write_log, verify=verify)
        if record.verified:
            self._metrics.verified_height.set(record.height)

    # Checkpoints

    async def _begin_checkpoint(self, height: int) -> None:
        """Freeze now, between this height and the next; cut while the next ones are applied.

        One frozen height may wait for the cutter. A newer one takes its place, so that the newest is always cut.
        """
        self._raise_failed()
        if self._mirror.claimed_root is None:
            self._skip(height, "the source claimed no root for it")
            return
        try:
            frozen = await self._on("writer", self._cutter.freeze)
        except (FlatDBError, GateTimeoutError) as error:
            self._fail(height, error)
            return
        # Exchanged in one step: while a view is being closed, the cutter may ask for the one that waits.
        replaced, self._waiting = self._waiting, frozen
        if self._cutting is None or self._cutting.done():
            self._cutting = asyncio.create_task(self._cut_waiting())
        if replaced is not None:
            self._skip(replaced.root.height, "a newer height was frozen before its turn came")
            await self._on("writer", replaced.view.close)

    async def _cut_waiting(self) -> None:
        while self._waiting is not None:
            frozen, self._waiting = self._waiting, None
            try:
                await self._cut(frozen)
            finally:
                await self._on("writer", frozen.view.close)

    async def _cut(self, frozen: Frozen) -> None:
        started = time.monotonic()
        try:
            info = await self._on("cutter", partial(self._cutter.cut, frozen))
        except CheckpointStoppedError:
            raise
        except (CheckpointMismatchError, InvalidStateError) as error:
            self._fail(frozen.root.height, error)
            raise
        except (SyncError, FlatDBError, OSError) as error:
            self._fail(frozen.root.height, error)
            return
        duration_s = time.monotonic() - started
        self._metrics.checkpoint_s.set(duration_s)
        self._metrics.checkpoints.labels("published").inc()
        self._metrics.checkpoint_bytes.inc(info.chunk_bytes)
        self._metrics.checkpoint_count.set(await self._on("cutter", self._cutter.count))
        self._note_checkpoint(info, time.time())
        self._log.info(
            "checkpoint_published", height=info.root.height, digest=info.digest, root=info.root.hash,
            leaves=info.leaf_count, chunks=info.chunk_count, duration_s=round(duration_s, 3),
        )  # fmt: skip

    def _skip(self, height: int, reason: str) -> None:
        self._metrics.checkpoints.labels("skipped").inc()
        self._log.warning("checkpoint_skipped", height=height, reason=reason)

    def _fail(self, height: int, error: Exception) -> None:
        self._metrics.checkpoints.labels("failed").inc()
        self._health.checkpoint_error = str(error)
        self._log.error("checkpoint_failed", height=height, reason=str(error))

    def _raise_failed(self) -> None:
        """A checkpoint that found the mirror wrong ends the daemon."""
        if self._cutting is not None and self._cutting.done():
            self._cutting.result()

    def _note_checkpoint(self, info: CheckpointInfo, published_s: float) -> None:
        self._health.checkpoint_height = info.root.height
        self._health.checkpoint_time = published_s
        self._health.checkpoint_error = ""
        self._metrics.checkpoint_height.set(info.root.height)
        self._metrics.checkpoint_time.set(published_s)

    # Looking around

    async def _watch(self) -> None:
        while True:
            await self._look_at_disk()
            self._raise_failed()
            await asyncio.sleep(WATCH_S)

    async def _look_at_disk(self) -> None:
        usage = await asyncio.to_thread(shutil.disk_usage, self._config.mirror.path)
        self._health.free_bytes = usage.free
        if not self._health.is_disk_full:
            self._has_room.set()
        elif self._has_room.is_set():
            self._has_room.clear()
            self._log.error("disk_full", free_bytes=usage.free, needed=self._config.ready.free_bytes_min)

    def _reasons(self) -> tuple[str, ...]:
        self._health.backlog_bytes = self._source.backlog_bytes
        return self._health.reasons(time.time())

    def _encode_metrics(self) -> tuple[bytes, str]:
        health, metrics = self._health, self._metrics
        metrics.ready.set(not self._reasons())
        metrics.source_height.set(-1 if self._source.latest_height is None else self._source.latest_height)
        metrics.lag_heights.set(health.lag_heights)
        metrics.backlog_bytes.set(health.backlog_bytes)
        metrics.free_bytes.set(health.free_bytes or 0)
        metrics.disk_full.set(health.is_disk_full)
        return metrics.encode(), metrics.content_type

    async def _on(self, thread: str, work: Callable[[], T]) -> T:
        """Run on one of the two threads, to its end: a height must not be left to itself half-way."""
        pool: Executor = self._threads[thread]
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(pool, work))


def _crosses(every: int, previous: int, height: int) -> bool:
    """Whether a multiple of `every` lies in (previous, height]."""
    return height // every > previous // every
