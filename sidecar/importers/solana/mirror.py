"""A mirror out of snapshot archives: the full one in bulk, an incremental one as a write log on top of it.

Nothing opens as a mirror before the archive's accounts have added up to its bank, and the database's own fold to the
same root. Killed in between, the same command continues: the same archive falls into the same batches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from flatdb import FlatDB, HeightRecord, Identity
from proofs import RootMismatchError, fold, get_kernel, get_scheme, lattice, leaf_items
from proofs.schemes.solana import VALUE_BYTES_MAX, AccountLeaf
from sidecar.errors import InvalidImportError
from sidecar.importers.external_sort import ExternalSorter
from sidecar.importers.solana.archive import SnapshotLimits
from sidecar.importers.solana.snapshot import Base, Snapshot, read_snapshot
from sidecar.importers.solana.snapshot_name import parse_name
from sync.mirror import Mirror
from sync.monitor import MONITOR_NONE, Monitor
from sync.state_fold import fold_leaves

__all__ = ["import_full", "import_incremental"]

SCHEME = "solana-lattice"
BATCH_LEAVES = 16_384
BATCH_BYTES = 16 * 2**20


def import_full(
    archive: Path,
    to: Path,
    *,
    bank_hash: bytes | None = None,
    limits: SnapshotLimits | None = None,
    monitor: Monitor = MONITOR_NONE,
) -> HeightRecord:
    """Fill a new mirror at `to` from a full snapshot archive. `bank_hash`: what consensus says, where it is known.

    Raises:
        InvalidImportError: the archive is not one, or is incremental.
        RootMismatchError: its accounts, manifest, name and `bank_hash` do not belong together.
        DatabaseExistsError, FlatDBError: from the database.
    """
    name = parse_name(archive.name)
    if name.base_slot is not None:
        raise InvalidImportError(archive.name, f"is incremental; begin with the full snapshot of slot {name.base_slot}")
    restore_key = hashlib.sha256(str(name).encode()).digest()
    with FlatDB.stage(to, Identity(SCHEME), restore_key) as staging, ExternalSorter(to) as records:
        with archive.open("rb") as file:
            snapshot = read_snapshot(file, name, records, bank_hash=bank_hash, limits=limits)
        monitor.phase_started("load", total=None, unit="leaves")
        staged = staging.staged()
        for index, batch in enumerate(_batches(snapshot.leaves())):
            batch_id = b"batch %d" % index
            if batch_id not in staged:
                staging.ingest(batch_id, batch)
            monitor.advanced("load", len(batch))
        monitor.phase_finished("load")
        root = fold_leaves(get_scheme(SCHEME), staging.scan(), kernel=get_kernel(), monitor=monitor)
        if snapshot.root is not None and root != snapshot.root:
            raise RootMismatchError(snapshot.root, root)
        record = HeightRecord(snapshot.manifest.slot, root, verified=True)
        staging.seal(record)
    return record


def import_incremental(
    archive: Path, mirror: Mirror, *, bank_hash: bytes | None = None, limits: SnapshotLimits | None = None
) -> HeightRecord:
    """Take a mirror from the base slot of an incremental snapshot archive to its slot, as one verified height.

    Raises:
        InvalidImportError: the archive is not one, is a full one, or has another base than the mirror's height.
        RootMismatchError: mirror, archive, name and `bank_hash` do not belong together.
        FlatDBError, SyncError: from the mirror.
    """
    name, head = parse_name(archive.name), mirror.head
    if head is None or name.base_slot != head.height:
        found = "is empty" if head is None else f"is at slot {head.height}"
        raise InvalidImportError(archive.name, f"continues slot {name.base_slot}; the mirror {found}")
    with ExternalSorter(mirror.db.path) as records, archive.open("rb") as file:
        snapshot: Snapshot = read_snapshot(file, name, records, bank_hash=bank_hash, limits=limits)
        return mirror.apply(snapshot.write_log(_base_of(mirror, head.height)), verify=True)


def _base_of(mirror: Mirror, slot: int) -> Base:
    """What the mirror's accounts add up to, in one pass."""
    capitalization = 0

    def passing() -> Iterator[tuple[bytes, bytes]]:
        nonlocal capitalization
        for address, leaf in mirror.scan():
            capitalization += AccountLeaf.decode(leaf).lamports
            yield address, leaf

    frontier = fold(get_scheme(SCHEME), leaf_items(passing()))
    return Base(slot, frontier[0][1] if frontier else lattice.IDENTITY, capitalization, mirror.get)


def _batches(leaves: Iterator[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """Bounded in number and in bytes; a pure function of the leaves."""
    assert BATCH_BYTES > VALUE_BYTES_MAX
    batch: list[tuple[bytes, bytes]] = []
    size = 0
    for leaf in leaves:
        batch.append(leaf)
        size += len(leaf[1])
        if len(batch) == BATCH_LEAVES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
