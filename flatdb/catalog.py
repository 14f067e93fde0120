"""The catalog: an index of checkpoints, peers and restores. All of sqlite3.

An index and nothing more: every row can be made again from the checkpoint stores, the peers given by the user and the
databases themselves, so that the file may be deleted at any time, and nothing reads it to learn what is applied or
restored. Therefore it does not wait for the disk (`synchronous=NORMAL` under WAL: a power cut loses the last rows).

Several processes may have it open; sqlite3 takes turns for them. A Catalog belongs to the thread that opened it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from flatdb.errors import CatalogCorruptError, DatabaseAccessError

__all__ = ["CATALOG_NAME", "Catalog", "CheckpointEntry", "PeerEntry", "RestoreEntry"]

CATALOG_NAME: Final = "catalog.sqlite3"
CATALOG_VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """A published checkpoint. `manifest_digest` and `store` (where it is) name it; `stored_bytes` are compressed."""

    manifest_digest: bytes
    store: str
    height: int
    root: bytes
    format: str
    chunk_count: int
    leaf_count: int
    stored_bytes: int
    created_s: float


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """What is remembered of a peer, by its address. `misbehaved`: the proven lie for which it is never asked again."""

    address: str
    last_seen_s: float
    failure_count: int = 0
    misbehaved: str | None = None


@dataclass(frozen=True, slots=True)
class RestoreEntry:
    """A restore, by its key, for people to look at: the database alone knows how far it really is."""

    restore_key: bytes
    directory: str
    height: int
    root: bytes
    started_s: float
    finished_s: float | None = None


Entry = TypeVar("Entry", CheckpointEntry, PeerEntry, RestoreEntry)

SCHEMA: Final = """
CREATE TABLE checkpoint (
    manifest_digest BLOB NOT NULL, store TEXT NOT NULL, height INTEGER NOT NULL, root BLOB NOT NULL,
    format TEXT NOT NULL, chunk_count INTEGER NOT NULL, leaf_count INTEGER NOT NULL, stored_bytes INTEGER NOT NULL,
    created_s REAL NOT NULL, PRIMARY KEY (manifest_digest, store)
) STRICT, WITHOUT ROWID;
CREATE TABLE peer (
    address TEXT NOT NULL PRIMARY KEY, last_seen_s REAL NOT NULL, failure_count INTEGER NOT NULL, misbehaved TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE restore (
    restore_key BLOB NOT NULL PRIMARY KEY, directory TEXT NOT NULL, height INTEGER NOT NULL, root BLOB NOT NULL,
    started_s REAL NOT NULL, finished_s REAL
) STRICT, WITHOUT ROWID;
"""

TABLES: Final[dict[type[Any], str]] = {CheckpointEntry: "checkpoint", PeerEntry: "peer", RestoreEntry: "restore"}


class Catalog:
    """One open catalog. A context manager."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, or make an empty one. Raises CatalogCorruptError, DatabaseAccessError."""
        with _translated(path):
            connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            try:
                _prepare(path, connection)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @classmethod
    def rebuild(cls, path: Path, checkpoints: Iterable[CheckpointEntry], restores: Iterable[RestoreEntry] = ()) -> Self:
        """Replace the catalog, damaged or not, by one of these entries. No other process may have it open."""
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        catalog = cls.open(path)
        with _translated(path), catalog._connection:
            catalog._connection.execute("BEGIN")
            for checkpoint in checkpoints:
                catalog._put(checkpoint)
            for restore in restores:
                catalog._put(restore)
        return catalog

    def close(self) -> None:
        """Idempotent."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put_checkpoint(self, entry: CheckpointEntry) -> None:
        """Add it, or replace the entry of the same manifest in the same store."""
        with _translated(self.path):
            self._put(entry)

    def remove_checkpoint(self, manifest_digest: bytes, store: str) -> None:
        """Forget it; no matter if it is not there."""
        with _translated(self.path):
            self._connection.execute(
                "DELETE FROM checkpoint WHERE manifest_digest = ? AND store = ?", (manifest_digest, store)
            )

    def checkpoints(self) -> tuple[CheckpointEntry, ...]:
        """Newest height first."""
        return self._all(CheckpointEntry, "height DESC, manifest_digest, store")

    def put_peer(self, entry: PeerEntry) -> None:
        """Add or replace it."""
        with _translated(self.path):
            self._put(entry)

    def peers(self) -> tuple[PeerEntry, ...]:
        """By address."""
        return self._all(PeerEntry, "address")

    def put_restore(self, entry: RestoreEntry) -> None:
        """Add or replace it."""
        with _translated(self.path):
            self._put(entry)

    def restores(self) -> tuple[RestoreEntry, ...]:
        """Latest start first."""
        return self._all(RestoreEntry, "started_s DESC, restore_key")

    def _put(self, entry: CheckpointEntry | PeerEntry | RestoreEntry) -> None:
        row = astuple(entry)
        marks = ", ".join("?" * len(row))
        self._connection.execute(f"INSERT OR REPLACE INTO {TABLES[type(entry)]} VALUES ({marks})", row)  # noqa: S608

    def _all(self, kind: type[Entry], order: str) -> tuple[Entry, ...]:
        columns = ", ".join(field.name for field in fields(kind))
        with _translated(self.path):
            rows = self._connection.execute(f"SELECT {columns} FROM {TABLES[kind]} ORDER BY {order}")  # noqa: S608
            return tuple(kind(*row) for row in rows)


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    version = _version(connection)
    if version == 0:
        # INVARIANT: tables and version appear together; another process may be doing the same at this moment
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) == 0:
            for statement in SCHEMA.split(";")[:-1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {CATALOG_VERSION}")
        connection.execute("COMMIT")
    elif version != CATALOG_VERSION:
        raise CatalogCorruptError(
            path, f"catalog version {version}, this version of leafmirror knows {CATALOG_VERSION}"
        )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DatabaseAccessError(path, str(error)) from error
    except sqlite3.DatabaseError as error:
        raise CatalogCorruptError(path, str(error)) from error
