"""The root of all leaves in order, run by run, so that whichever kernel there is does the hashing.

The same joining of frontiers that makes a checkpoint, without keeping anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, repeat
from typing import Final

from proofs import Frontier, Kernel, Scheme, fold, frontier_root, get_kernel
from sync.cut import split
from sync.monitor import MONITOR_NONE, Monitor

__all__ = ["fold_leaves"]

RUN_LEAVES: Final = 4096
RUN_BYTES_MAX: Final = 4 * 2**20


def fold_leaves(
    scheme: Scheme,
    leaves: Iterable[tuple[bytes, bytes]],
    *,
    kernel: Kernel | None = None,
    monitor: Monitor = MONITOR_NONE,
    phase: str = "fold",
) -> bytes:
    """Root hash (32 bytes) of the whole state; `leaves` in strictly ascending key order.

    Reports `phase` in leaves. Memory: one run.

    Raises:
        LeafOrderError, InvalidLeafError: as `proofs.fold`.
    """
    kernel = kernel or get_kernel()
    monitor.phase_started(phase, total=None, unit="leaves")
    left: Frontier = ()
    for before, run, after in split(leaves, repeat(RUN_LEAVES), RUN_BYTES_MAX):
        left = fold(scheme, chain(left, kernel.frontier(scheme, run, before, after)), None, after)
        monitor.advanced(phase, len(run))
    monitor.phase_finished(phase)
    return frontier_root(scheme, left)
