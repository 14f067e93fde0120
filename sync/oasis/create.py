"""Checkpoints that cannot be told from those that a node makes.

Two sequential reads of the leaves, and no node store: one over keys and value sizes, which fixes the shape and so every
cut; one that folds, and writes what chunks show to a spool. Then the hashes that chunks name are known. What is kept
of a leaf is 12 bytes, in a file past a budget.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from proofs import Kernel, get_kernel
from proofs.oasis.messages import Metadata, OasisRoot, WriteLog
from sync.errors import CheckpointMismatchError
from sync.monitor import MONITOR_NONE, Monitor
from sync.oasis.cuts import cut
from sync.oasis.draft import Drafter
from sync.oasis.emit import emit
from sync.oasis.shape import SPILL_BYTES, Pair, measure
from sync.oasis.siblings import find_siblings
from sync.oasis.store import OasisStore, Stage

CHUNK_BYTES = 8 << 20
"""Default chunk size of Oasis networks; the real one stands in genesis or in the runtime's descriptor."""
NODE_THREADS = 12
"""What a node uses with its parallel chunker on; 0 when it is off, which is the default."""

ReadState = Callable[[], Iterable[Pair]]
"""Starts a read of all leaves in key order. Called twice; every read must give the same leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """What both sides must agree on to make the same checkpoint."""

    chunk_bytes: int = CHUNK_BYTES
    threads: int = 0
    spill_bytes: int = SPILL_BYTES

    def __post_init__(self) -> None:
        if not 0 <= self.chunk_bytes < 1 << 64 or not 0 <= self.threads < 1 << 16 or self.spill_bytes < 0:
            raise ValueError("a chunk size has 64 bits, a number of threads 16, and neither is negative")


def create_checkpoint(
    read_state: ReadState,
    root: OasisRoot,
    store: OasisStore,
    *,
    chunking: Chunking = Chunking(),
    kernel: Kernel | None = None,
    monitor: Monitor = MONITOR_NONE,
) -> Metadata:
    """Make and publish the checkpoint of one root.

    Raises:
        CheckpointMismatchError: the leaves fold to another root.
        CheckpointExistsError, StoreAccessError: from the store.
        ProofError: leaves that the trie cannot hold, or out of order.
    """
    (metadata,) = create_round([(read_state, root)], store, chunking=chunking, kernel=kernel, monitor=monitor)
    return metadata


def create_round(
    states: list[tuple[ReadState, OasisRoot]],
    store: OasisStore,
    *,
    chunking: Chunking = Chunking(),
    kernel: Kernel | None = None,
    monitor: Monitor = MONITOR_NONE,
) -> list[Metadata]:
    """Make the checkpoints of one version, and publish all of them or none.

    A runtime node restores a round only when it has both its state and its I/O checkpoint. Two roots with
    the same hash (both empty) share one directory, in which a node keeps whichever came first: so do we.

    Raises:
        ValueError: roots of different versions.
        CheckpointMismatchError, CheckpointExistsError, StoreAccessError, ProofError: as `create_checkpoint`.
    """
    if len({root.version for _, root in states}) != 1:
        raise ValueError("the roots of one round have one version")
    kept = {root.hash: (read_state, root) for read_state, root in reversed(states)}
    with store.stage(*(root for _, root in kept.values())) as stages:
        made = [
            _fill(stage, read_state, chunking, kernel or get_kernel(), monitor)
            for stage, (read_state, _) in zip(stages, kept.values(), strict=True)
        ]
    return made[::-1]


def _fill(stage: Stage, read_state: ReadState, chunking: Chunking, kernel: Kernel, monitor: Monitor) -> Metadata:
    monitor.phase_started("measure", total=None, unit="leaves")
    shape = measure(read_state(), spill_bytes=chunking.spill_bytes, directory=stage.path)
    cuts = cut(shape, chunking.chunk_bytes, chunking.threads)
    monitor.phase_finished("measure")

    with tempfile.TemporaryFile(dir=stage.path) as spool:
        monitor.phase_started("fold", total=shape.count, unit="leaves")
        drafter = Drafter(shape, cuts, spool, kernel)
        drafter.read(read_state(), monitor)
        computed, siblings = find_siblings(drafter.frontiers)
        if computed != stage.root.hash:
            raise CheckpointMismatchError(expected=stage.root.hash, computed=computed)
        monitor.phase_finished("fold")

        monitor.phase_started("write", total=len(cuts), unit="chunks")
        digests = emit(drafter.drafts, siblings, spool, stage.put_chunk)
        monitor.advanced("write", len(cuts))
        monitor.phase_finished("write")
    return stage.finish(digests)


def io_leaves(write_log: WriteLog) -> list[Pair]:
    """The I/O tree of a round: it starts empty, so its puts are its leaves. Deletes name keys that never were."""
    return sorted((key, value) for key, value in write_log if value is not None)
