"""What is recorded in a mirror's catalog about checkpoints, and how the catalog is made again from the stores.

The catalog is an index for people and dashboards: nothing here is needed to create, serve or restore, so a catalog that
cannot be written does not undo a published checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flatdb.catalog import CATALOG_NAME, Catalog, CheckpointEntry, RestoreEntry
from flatdb.errors import FlatDBError
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.manifest import MANIFEST_FORMAT, chunk_entries
from sync.monitor import MONITOR_NONE, Monitor
from sync.restored import restore_key
from sync.root import Root

__all__ = ["published_s", "rebuild_catalog", "record_checkpoint", "record_restore", "stored_bytes"]

FORMAT = f"leafmirror-{MANIFEST_FORMAT}"


def record_checkpoint(
    mirror: Path,
    location: str,
    store: CheckpointStore,
    info: CheckpointInfo,
    *,
    created_s: float,
    monitor: Monitor = MONITOR_NONE,
) -> None:
    """Add one line to the catalog of the mirror in this directory; a catalog that refuses is reported as an event.

    `location`: what the user calls the store. `created_s`: seconds since the epoch.
    """
    with _unless_unwritable(monitor), Catalog.open(mirror / CATALOG_NAME) as catalog:
        catalog.put_checkpoint(_entry(location, store, info, created_s))


def record_restore(
    mirror: Path, root: Root, *, started_s: float, finished_s: float, monitor: Monitor = MONITOR_NONE
) -> None:
    """The same for a restore that is complete: a directory that is still being restored has no catalog."""
    entry = RestoreEntry(restore_key(root), str(mirror), root.height, root.hash, started_s, finished_s)
    with _unless_unwritable(monitor), Catalog.open(mirror / CATALOG_NAME) as catalog:
        catalog.put_restore(entry)


def rebuild_catalog(mirror: Path, stores: Iterable[tuple[str, CheckpointStore]]) -> int:
    """Replace the catalog by what the stores hold; the number of checkpoints found.

    Raises:
        CatalogCorruptError, DatabaseAccessError, CheckpointError
    """
    entries = [
        _entry(location, store, info, published_s(store, info)) for location, store in stores for info in store.list()
    ]
    Catalog.rebuild(mirror / CATALOG_NAME, entries).close()
    return len(entries)


@contextmanager
def _unless_unwritable(monitor: Monitor) -> Iterator[None]:
    try:
        yield
    except FlatDBError as error:
        monitor.event("catalog_unwritable", reason=str(error))


def _entry(location: str, store: CheckpointStore, info: CheckpointInfo, created_s: float) -> CheckpointEntry:
    return CheckpointEntry(
        manifest_digest=info.digest,
        store=location,
        height=info.root.height,
        root=info.root.hash,
        format=FORMAT,
        chunk_count=info.chunk_count,
        leaf_count=info.leaf_count,
        stored_bytes=stored_bytes(store, info),
        created_s=created_s,
    )


def stored_bytes(store: CheckpointStore, info: CheckpointInfo) -> int:
    """Bytes that the chunks of a checkpoint take up as they are stored; 0 where the store has no local files."""
    paths = (store.chunk_path(entry.digest) for entry in chunk_entries(store.manifest(info.digest)))
    return sum(path.stat().st_size for path in paths if path is not None)


def published_s(store: CheckpointStore, info: CheckpointInfo) -> float:
    """When a checkpoint became visible, in seconds since the epoch; 0 where the store has no local files."""
    path = store.manifest_path(info.digest)
    return 0.0 if path is None else path.stat().st_mtime
