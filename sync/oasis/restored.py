"""From an oasis-1 checkpoint to a mirror: chunks become durable one by one, the fold of all leaves opens it.

A chunk that is durable stays so: the same restore continues where it stopped. The intervals that such a chunk showed
are forgotten with the process; then completeness rests on the fold alone, which decides in any case.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from flatdb import FlatDB, HeightRecord, Identity
from proofs import get_scheme
from proofs.oasis.messages import ROOT_TYPES, OasisRoot
from sync.errors import RestoreMismatchError
from sync.monitor import MONITOR_NONE, Monitor
from sync.oasis.restore import OasisLimits, OasisRestore
from sync.oasis.store import OasisStore
from sync.state_fold import fold_leaves

_INDEX_BYTES = 8


def identity_of(root: OasisRoot) -> Identity:
    """Whose state a mirror of this root holds."""
    kinds = {number: kind for kind, number in ROOT_TYPES.items()}
    return Identity("mkvs", kinds[root.root_type], root.namespace)


class RestoredMirror:
    """A directory that becomes a mirror. A context manager; one thread owns it.

    Raises (on entry):
        RestoreKeyConflictError, DatabaseExistsError, DatabaseLockedError, DatabaseAccessError: from flatdb.
    """

    def __init__(self, path: Path, restore: OasisRestore) -> None:
        self._restore = restore
        self._path = path
        self._db = FlatDB.stage(path, identity_of(restore.root), restore.metadata.encoded_hash)
        durable = {int.from_bytes(name) for name in self._db.staged()}
        self.continued = bool(durable)
        restore.missing -= durable

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def discard(self) -> None:
        """Give the restore up, and delete what it made durable: nothing else is in the directory."""
        self._db.close()
        shutil.rmtree(self._path)

    def accept(self, index: int, untrusted: bytes) -> None:
        """Judge a chunk's file, and make its leaves durable.

        Raises:
            DigestMismatchError, OversizeError, BadCheckpointError: as `OasisRestore.accept`.
            DatabaseAccessError, DatabaseCorruptError: from flatdb.
        """
        chunk = self._restore.accept(index, untrusted)
        self._db.ingest(index.to_bytes(_INDEX_BYTES), chunk.leaves)

    def seal(self, monitor: Monitor = MONITOR_NONE) -> HeightRecord:
        """All chunks are durable: prove the whole, and open it as a mirror.

        Raises:
            IncompleteCheckpointError, RestoreMismatchError: something is missing; the directory stays closed.
        """
        if not self.continued:
            self._restore.finish()
        root = self._restore.root
        computed = fold_leaves(get_scheme("mkvs"), self._db.scan(), monitor=monitor)
        if computed != root.hash:
            raise RestoreMismatchError(expected=root.hash, computed=computed)
        record = HeightRecord(height=root.version, root=root.hash, verified=True)
        self._db.seal(record)
        return record


def restore_directory(
    store: OasisStore,
    root: OasisRoot,
    path: Path,
    *,
    limits: OasisLimits | None = None,
    monitor: Monitor = MONITOR_NONE,
) -> HeightRecord:
    """Turn a checkpoint that lies in a directory, a node's or ours, into a mirror at `path`.

    Raises:
        CheckpointNotFoundError, CheckpointCorruptError: from the store.
        FormatError, ProofError, RestoreError, FlatDBError: as `OasisRestore` and `RestoredMirror`.
    """
    restore = OasisRestore(root, store.metadata(root), limits)
    with RestoredMirror(path, restore) as mirror:
        monitor.phase_started("chunks", total=len(restore.missing), unit="chunks")
        for chunk in list(restore.wanted()):
            mirror.accept(chunk.index, store.chunk(chunk))
            monitor.advanced("chunks", 1)
        monitor.phase_finished("chunks")
        return mirror.seal(monitor)
