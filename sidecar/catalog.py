"""What is recorded in a mirror's catalog about checkpoints, and how the catalog is made again from the stores.

The catalog is an index for people and dashboards: nothing here is needed to create, serve or restore, so a catalog that
cannot be written does not undo a published checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flatdb.catalog import CATALOG_NAME, Catalog, CheckpointEntry
from flatdb.errors import FlatDBError
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.manifest import MANIFEST_FORMAT, chunk_entries
from sync.monitor import MONITOR_NONE, Monitor

__all__ = ["rebuild_catalog", "record_checkpoint"]

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
    try:
        with Catalog.open(mirror / CATALOG_NAME) as catalog:
            catalog.put_checkpoint(_entry(location, store, info, created_s))
    except FlatDBError as error:
        monitor.event("catalog_unwritable", reason=str(error))


def rebuild_catalog(mirror: Path, stores: Iterable[tuple[str, CheckpointStore]]) -> int:
    """Replace the catalog by what the stores hold; the number of checkpoints found.

    Raises:
        CatalogCorruptError, DatabaseAccessError, CheckpointError
    """
    entries = [
        _entry(location, store, info, _published_s(store, info)) for location, store in stores for info in store.list()
    ]
    Catalog.rebuild(mirror / CATALOG_NAME, entries).close()
    return len(entries)


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


def _published_s(store: CheckpointStore, info: CheckpointInfo) -> float:
    path = store.manifest_path(info.digest)
    return 0.0 if path is None else path.stat().st_mtime
