"""create_checkpoint: from a frozen view to a published checkpoint, in one pass over the leaves.

Forwards: every run is folded once; its stored bytes go to a staged file, its frontier to a spool. A running fold of
frontiers gives what lies left of each chunk and, at the end, the root hash. It is compared with the trusted one before
anything else happens. Backwards: a running fold gives what lies right of each chunk; now its proof is known and goes
behind the run. Then code, manifest, spine, and one publication.

No leaf is kept and none is hashed twice: memory is a few chunks, a manifest entry a chunk, and the code hashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Final

from proofs import (
    Frontier,
    Item,
    Kernel,
    ProofError,
    Scheme,
    cbor,
    fold,
    frontier_root,
    get_kernel,
    get_scheme,
    prove_range,
)
from sync.checkpoint_store import CheckpointInfo, CheckpointStore, Staging
from sync.chunk import encode_proof_part, encode_run_part
from sync.chunk_name import CODE_CHUNK
from sync.compression import LEVEL_DEFAULT, LEVEL_MAX
from sync.cut import LeafView, code_runs, cut_runs
from sync.errors import (
    CheckpointMismatchError,
    CodeUnavailableError,
    InvalidStateError,
    OversizeError,
    UnsupportedCutError,
)
from sync.fold_pool import FoldedRun, default_workers, folded_runs
from sync.limits import Limits
from sync.manifest import SUBTREE, CodeEntry, Cut, LeafEntry, Manifest
from sync.monitor import MONITOR_NONE, Monitor
from sync.object_store import os_errors
from sync.root import Root
from sync.spine import SpineWriter

__all__ = ["create_checkpoint"]

_SPOOL_RECORD_BYTES_MAX: Final = 2**31


def create_checkpoint(
    view: LeafView,
    root: Root,
    store: CheckpointStore,
    *,
    cut: Cut | None = None,
    workers: int | None = None,
    level: int = LEVEL_DEFAULT,
    monitor: Monitor = MONITOR_NONE,
    kernel: Kernel | None = None,
) -> CheckpointInfo:
    """Cut the view into provable chunks and publish them as a checkpoint of `root`, the trusted one.

    Canonical bytes depend on state, root and cut alone. `workers` >= 1 fold at once (processes with the reference
    kernel: call it from a module that can be imported); None: as many as pay (`default_workers`). `level`: of zstd, 0
    for none. Blocks; nothing is visible before it returns, and whatever it raises, nothing is left behind.

    Raises:
        CheckpointMismatchError: the leaves fold to another root hash.
        InvalidStateError: leaves that no state of the scheme can hold.
        WorkerLostError: a worker process died.
        CodeUnavailableError: an account's code is not there, or is other code.
        CheckpointExistsError: this very checkpoint is in the store already.
        UnsupportedCutError: subtrees of a sum.
        OversizeError: the checkpoint would exceed the store's Limits, so that nobody could restore it.
        StoreLockedError, StoreAccessError: from the store.
        UnknownSchemeError, ValueError: arguments that cannot be meant.
    """
    cut = cut or Cut()
    scheme = get_scheme(root.scheme)
    kernel = kernel or get_kernel()
    workers = default_workers(kernel) if workers is None else workers
    _check_arguments(view, root, cut, workers=workers, level=level, limits=store.limits)
    with store.stage() as staging, os_errors(staging.directory):
        creation = _Creation(view, root, scheme, cut, staging, store.limits, level, monitor, kernel)
        info = creation.run(workers)
    monitor.event("checkpoint_published", digest=info.digest.hex(), height=root.height, leaves=info.leaf_count)
    return info


@dataclass(frozen=True, slots=True)
class _Spooled:
    """What the backward pass needs of one chunk, without its leaves."""

    before: bytes | None
    first: bytes | None
    last: bytes | None
    left: Frontier
    frontier: Frontier


class _Spool:
    """Frontiers on disk between the two passes: appended in key order, read in reverse."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._ends = [0]

    def append(self, spooled: _Spooled) -> None:
        record = cbor.encode([spooled.before, spooled.first, spooled.last, list(spooled.left), list(spooled.frontier)])
        self._file.write(record)
        self._ends.append(self._ends[-1] + len(record))

    def reversed(self) -> Iterator[_Spooled]:
        while len(self._ends) > 1:
            end = self._ends.pop()
            self._file.seek(self._ends[-1])
            record = self._file.read(end - self._ends[-1])
            before, first, last, left, frontier = cbor.decode(record, size_max=_SPOOL_RECORD_BYTES_MAX)
            yield _Spooled(before, first, last, _frontier(left), _frontier(frontier))

    def close(self) -> None:
        self._file.close()


class _Creation:
    """One checkpoint in the making. `run` is called once; its steps follow each other in the order written."""

    def __init__(
        self,
        view: LeafView,
        root: Root,
        scheme: Scheme,
        cut: Cut,
        staging: Staging,
        limits: Limits,
        level: int,
        monitor: Monitor,
        kernel: Kernel,
    ) -> None:
        self._view = view
        self._root = root
        self._scheme = scheme
        self._cut = cut
        self._staging = staging
        self._limits = limits
        self._level = level
        self._monitor = monitor
        self._kernel = kernel
        self._files: dict[bytes, Path] = {}
        self._runs: list[tuple[int, int, bytes]] = []
        """Leaf count, size and digest of every run, in key order."""
        self._code_hashes: set[bytes] = set()

    def run(self, workers: int) -> CheckpointInfo:
        directory = self._staging.directory
        with closing(_Spool(directory / "spool")) as spool, closing(SpineWriter(directory)) as spine:
            self._fold(spool, spine, workers)
            leaf_chunks = self._prove(spool)
            spine_path = spine.finish()
        manifest = Manifest(self._root, self._cut, leaf_chunks, self._code())
        manifest.validate(self._limits)
        self._monitor.phase_started("publish", total=None, unit="chunks")
        info = self._staging.publish(manifest, self._files, spine_path)
        self._monitor.phase_finished("publish")
        return info

    def _fold(self, spool: _Spool, spine: SpineWriter, workers: int) -> None:
        """Forwards: stage every run, spool every frontier, and compare the fold of all with the root."""
        self._monitor.phase_started("fold", total=None, unit="leaves")
        left: Frontier = ()
        try:
            runs = cut_runs(self._view, self._scheme, self._cut)
            for folded in folded_runs(runs, self._scheme.name, level=self._level, kernel=self._kernel, workers=workers):
                self._stage(folded)
                spool.append(_Spooled(folded.before, folded.first, folded.last, left, folded.frontier))
                spine.add(folded.spine_section)
                left = fold(self._scheme, chain(left, folded.frontier), None, folded.after)
                self._monitor.advanced("fold", folded.leaf_count)
            computed = frontier_root(self._scheme, left)
        except ProofError as error:
            raise InvalidStateError(str(error)) from error
        if computed != self._root.hash:
            raise CheckpointMismatchError(expected=self._root.hash, computed=computed)
        self._monitor.phase_finished("fold")

    def _stage(self, folded: FoldedRun) -> None:
        if folded.run_size > self._limits.chunk_bytes_max:
            allowed = self._limits.chunk_bytes_max
            raise OversizeError("leaf run", limit="chunk_bytes_max", allowed=allowed, seen=folded.run_size)
        self._chunk_path(len(self._runs)).write_bytes(folded.stored)
        self._runs.append((folded.leaf_count, folded.run_size, folded.run_digest))
        self._code_hashes |= folded.code_hashes

    def _prove(self, spool: _Spool) -> tuple[LeafEntry, ...]:
        """Backwards: with what lies right of it known, every chunk gets its proof."""
        self._monitor.phase_started("prove", total=len(self._runs), unit="chunks")
        entries: list[LeafEntry] = []
        right: Frontier = ()
        for index, spooled in zip(reversed(range(len(self._runs))), spool.reversed(), strict=True):
            proof = prove_range(self._scheme, spooled.left, spooled.first, spooled.last, right)
            encoded = proof.encode()
            path = self._chunk_path(index)
            with path.open("ab") as file:
                file.write(encode_proof_part(encoded, level=self._level))
            entry = LeafEntry(proof.start, *self._runs[index], len(encoded), sha256(encoded).digest())
            self._files[entry.digest] = path
            entries.append(entry)
            right = fold(self._scheme, chain(spooled.frontier, right), spooled.before, None)
            self._monitor.advanced("prove", 1)
        self._monitor.phase_finished("prove")
        return tuple(reversed(entries))

    def _code(self) -> tuple[CodeEntry, ...]:
        """Stage exactly the code that the leaves name, each blob once."""
        if not self._code_hashes:
            return ()
        self._monitor.phase_started("code", total=len(self._code_hashes), unit="blobs")
        entries: list[CodeEntry] = []
        for run in code_runs(self._blobs(), self._cut.chunk_bytes_max):
            encoded = run.encode()
            entry = CodeEntry(run.keys[0], len(run), len(encoded), sha256(encoded).digest())
            path = self._staging.directory / f"code-{len(entries)}"
            path.write_bytes(encode_run_part(CODE_CHUNK, encoded, level=self._level))
            self._files[entry.digest] = path
            entries.append(entry)
            self._monitor.advanced("code", len(run))
        self._monitor.phase_finished("code")
        return tuple(entries)

    def _blobs(self) -> Iterator[tuple[bytes, bytes]]:
        digest = self._scheme.capabilities.code_digest
        for code_hash in sorted(self._code_hashes):
            blob = self._view.blob(code_hash)
            if blob is None:
                raise CodeUnavailableError(code_hash, "the mirror does not have it")
            if digest is None or digest(blob) != code_hash:
                raise CodeUnavailableError(code_hash, "the mirror has other code under this hash")
            if len(blob) > self._limits.code_bytes_max:
                allowed = self._limits.code_bytes_max
                raise OversizeError("code", limit="code_bytes_max", allowed=allowed, seen=len(blob))
            yield code_hash, blob

    def _chunk_path(self, index: int) -> Path:
        return self._staging.directory / f"chunk-{index}"


def _check_arguments(view: LeafView, root: Root, cut: Cut, *, workers: int, level: int, limits: Limits) -> None:
    if view.head is not None and view.head.height != root.height:
        raise ValueError(f"the view is at height {view.head.height}, the root at {root.height}")
    if workers < 1:
        raise ValueError("at least one worker is needed")
    if not 0 <= level <= LEVEL_MAX:
        raise ValueError(f"the compression level is 0 to {LEVEL_MAX}, not {level}")
    if cut.leaves_max > limits.chunk_leaves_max:
        raise ValueError(f"nobody would restore chunks of {cut.chunk_leaves} leaves; limit {limits.chunk_leaves_max}")
    if cut.chunk_bytes_max > limits.chunk_bytes_max:
        raise ValueError(f"nobody would restore chunks of {cut.chunk_bytes_max} bytes; limit {limits.chunk_bytes_max}")
    if cut.kind == SUBTREE and not get_scheme(root.scheme).capabilities.subtree_cuts:
        raise UnsupportedCutError(cut.kind, root.scheme)


def _frontier(items: list[Item]) -> Frontier:
    return tuple((key, payload, kind, depth) for key, payload, kind, depth in items)
