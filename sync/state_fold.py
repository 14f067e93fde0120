"""The root of all leaves in order, run by run, so that whichever kernel there is does the hashing.

The same joining of frontiers that makes a checkpoint, without keeping anything. Threads hash runs while the next ones
are read: with the native kernel both go on at once, and the fold of a state takes little longer than reading it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, repeat
from typing import Final

from proofs import Frontier, Kernel, Scheme, fold, frontier_root, get_kernel
from sync.cut import split
from sync.monitor import MONITOR_NONE, Monitor

__all__ = ["FoldStoppedError", "fold_leaves"]

RUN_LEAVES: Final = 32_768
RUN_BYTES_MAX: Final = 4 * 2**20
RUNS_AHEAD: Final = 2
"""Runs that are read and not yet joined, beside the one that is being read."""
THREADS: Final = 2
"""One hashes while another waits for the interpreter's lock, which reading hardly lets go of."""


class FoldStoppedError(Exception):
    """Ends a fold that nobody waits for any more."""


def fold_leaves(
    scheme: Scheme,
    leaves: Iterable[tuple[bytes, bytes]],
    *,
    kernel: Kernel | None = None,
    monitor: Monitor = MONITOR_NONE,
    phase: str = "fold",
    stopped: Callable[[], bool] = lambda: False,
) -> bytes:
    """Root hash (32 bytes) of the whole state; `leaves` in strictly ascending key order.

    Reports `phase` in leaves, and asks `stopped`, once for each run. Memory: a few runs.

    Raises:
        FoldStoppedError: `stopped` said so.
        LeafOrderError, InvalidLeafError: as `proofs.fold`.
    """
    kernel = kernel or get_kernel()
    monitor.phase_started(phase, total=None, unit="leaves")
    left: Frontier = ()
    ahead: deque[tuple[Future[Frontier], bytes | None, int]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="fold") as pool:

        def join() -> None:
            nonlocal left
            hashing, after, count = ahead.popleft()
            left = fold(scheme, chain(left, hashing.result()), None, after)
            monitor.advanced(phase, count)

        for before, run, after in split(leaves, repeat(RUN_LEAVES), RUN_BYTES_MAX):
            ahead.append((pool.submit(kernel.frontier, scheme, run, before, after), after, len(run)))
            if len(ahead) > RUNS_AHEAD:
                join()
            if stopped():
                raise FoldStoppedError
        while ahead:
            join()
    monitor.phase_finished(phase)
    return frontier_root(scheme, left)
