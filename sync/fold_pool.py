"""FoldPool: what is done to one cut run, and by how many workers at once.

A run is encoded, hashed, compressed and folded by whoever is free; results come back in key order, so nothing
downstream can tell how many workers there were. The reference kernel holds Python's lock while it folds, so its
workers are processes; a native kernel gives it up, so threads do. Processes are started afresh (`spawn`), because the
database's own threads do not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from proofs import Frontier, Kernel, LeafRun, ProofError, fold, get_scheme
from sync.chunk import encode_run_part
from sync.chunk_name import LEAF_CHUNK
from sync.cut import CutRun
from sync.errors import InvalidStateError, WorkerLostError
from sync.root import HASH_BYTES
from sync.spine import encode_section, piece_items, split_run

__all__ = ["FoldedRun", "default_workers", "folded_runs"]

THREADS_THAT_PAY: Final = 2
"""Reading leaves is one thread's work, and two threads hash them faster than it reads (docs/performance.md)."""
_TASKS_PER_WORKER: Final = 2
"""One in work and one waiting: memory stays at so many chunks a worker."""


@dataclass(frozen=True, slots=True)
class RunTask:
    """One cut run and how to treat it. `level`: of compression."""

    scheme: str
    before: bytes | None
    run: LeafRun
    after: bytes | None
    level: int
    kernel: Kernel


@dataclass(frozen=True, slots=True)
class FoldedRun:
    """What remains of a run once it is folded. `first` and `last` are None for the empty run."""

    before: bytes | None
    first: bytes | None
    last: bytes | None
    after: bytes | None
    leaf_count: int
    run_size: int
    run_digest: bytes
    stored: bytes
    """The run part of the chunk."""
    frontier: Frontier
    spine_section: bytes
    code_hashes: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a run cannot be folded. A value, because exceptions with fields do not survive the way out of a process."""

    reason: str


def fold_run(task: RunTask) -> FoldedRun | Refusal:
    """Do all the work on one run."""
    try:
        return _fold_run(task)
    except ProofError as error:
        return Refusal(str(error))


def _fold_run(task: RunTask) -> FoldedRun:
    scheme, run = get_scheme(task.scheme), task.run
    encoded = run.encode()
    spine = split_run(scheme, run, task.before, task.after, kernel=task.kernel)
    hashes: frozenset[bytes] = frozenset()
    if scheme.capabilities.has_code:
        # A leaf that names code holds its hash: the short ones need not be decoded.
        named = (scheme.code_hash(key, value) for key, value in run if len(value) >= HASH_BYTES)
        hashes = frozenset(code_hash for code_hash in named if code_hash is not None)
    return FoldedRun(
        before=task.before,
        first=run.keys[0] if run else None,
        last=run.keys[-1] if run else None,
        after=task.after,
        leaf_count=len(run),
        run_size=len(encoded),
        run_digest=sha256(encoded).digest(),
        stored=encode_run_part(LEAF_CHUNK, encoded, level=task.level),
        frontier=fold(scheme, piece_items(spine, run.keys), task.before, task.after),
        spine_section=encode_section(spine),
        code_hashes=hashes,
    )


def default_workers(kernel: Kernel) -> int:
    """How many workers to use where nobody says: cheap threads, and no process that was not asked for."""
    return 1 if kernel.name == "reference" else min(THREADS_THAT_PAY, os.cpu_count() or 1)


def folded_runs(
    runs: Iterable[CutRun], scheme: str, *, level: int, kernel: Kernel, workers: int
) -> Iterator[FoldedRun]:
    """Every run folded, in key order, by `workers` >= 1 at once.

    Raises:
        InvalidStateError: the leaves cannot be those of an honest state.
        WorkerLostError: a worker process died.
    """
    tasks = (RunTask(scheme, before, run, after, level, kernel) for before, run, after in runs)
    results = map(fold_run, tasks) if workers == 1 else _in_pool(tasks, _pool(kernel, workers), workers)
    for result in results:
        if isinstance(result, Refusal):
            raise InvalidStateError(result.reason)
        yield result


def _in_pool(tasks: Iterable[RunTask], pool: Executor, workers: int) -> Iterator[FoldedRun | Refusal]:
    """Results in the order of `tasks`, which are taken a few at a time; the pool ends with the iteration."""
    waiting: deque[Future[FoldedRun | Refusal]] = deque()
    try:
        for task in tasks:
            with _interrupts_blocked():
                waiting.append(pool.submit(fold_run, task))
            if len(waiting) >= _TASKS_PER_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        raise WorkerLostError(workers) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """What is started within never sees Ctrl-C, which a terminal sends to every process: whoever started it ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pool(kernel: Kernel, workers: int) -> Executor:
    if kernel.name == "reference":
        return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    return ThreadPoolExecutor(workers, thread_name_prefix="fold")
