"""FlatDB: the mirror's leaf database and its one commit point.

Decides which write log may be applied and makes each one atomic. When it is durable is for the preset to say: at once,
or at the next `sync`, `freeze`, `flush` or `close` (`Preset.LOAD`). It refuses to know what a root means:
roots are compared here, never computed. One directory holds `rocksdb/`, `views/` (checkpoint directories, swept when a
writer opens), `scratch/` (tables being built) and `catalog.sqlite3` (`catalog`).

Threads: one writer thread owns apply, sync, freeze, flush, mark_verified and close. get, scan, blob and records may be
called from any thread; each returned iterator belongs to one thread.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from flatdb.check import check_store
from flatdb.errors import (
    DatabaseExistsError,
    HeightConflictError,
    HeightGapError,
    IncompleteDatabaseError,
)
from flatdb.leaves import Leaves, StandIn
from flatdb.ledger import (
    State,
    forget,
    put_meta,
    put_record,
    put_write_log,
    read_identity,
    read_records,
    read_restore_key,
    read_state,
    read_write_logs,
)
from flatdb.overlay import overlay
from flatdb.staging import StagingDB
from flatdb.store import BLOBS, META, Batch, Store
from flatdb.types import HeightRecord, Identity, Preset, StoreLimits, ValuesApart, Violation, WriteLog, prefix_end
from flatdb.view import FrozenView
from flatdb.writelog import validate

__all__ = ["RECORDS_KEPT", "ApartRule", "Expand", "FlatDB", "FreezeMaker"]

RECORDS_KEPT: Final = 1024
"""How many height records, and applied write logs, are kept."""

FreezeMaker = Literal["iterators", "directory"]
"""How `FlatDB.freeze` makes its view: see `view`."""

Expand = Callable[[WriteLog], WriteLog]
"""Adds what a chain implies (clears above all). Pure; must keep height and roots."""

ApartRule = Callable[[Identity], ValuesApart | None]
"""Which values of a mirror of this identity are kept apart (`leaves`); None: none. Pure."""


class FlatDB:
    """One mirror's leaves, write logs, height records and blobs. A context manager; see `create` and `open`."""

    def __init__(
        self, path: Path, store: Store, limits: StoreLimits, expand: Expand | None, apart: ApartRule | None
    ) -> None:
        self.path = path
        self.limits = limits
        self.identity: Identity = read_identity(store)
        self._store = store
        self._apart = None if apart is None else apart(self.identity)
        self._leaves = Leaves(store, self._apart)
        self._expand = expand
        self._records = {record.height: record for record in read_records(store)}
        self._views: weakref.WeakSet[FrozenView] = weakref.WeakSet()
        self._view_count = 0

    @classmethod
    def create(
        cls,
        path: Path,
        identity: Identity,
        *,
        preset: Preset = Preset.FOLLOW,
        limits: StoreLimits | None = None,
        expand: Expand | None = None,
        apart: ApartRule | None = None,
    ) -> Self:
        """Make an empty mirror in a directory that is missing or empty; durable when this returns.

        `preset`: what it is opened for. `apart`: which values lie apart.

        Raises DatabaseExistsError, DatabaseLockedError, DatabaseAccessError. Killed half-way it may be called again.
        """
        store = create_store(path, preset)
        batch = store.batch()
        put_meta(batch, identity, State.MIRROR)
        store.commit(batch)
        store.sync()
        return cls(path, store, limits or StoreLimits(), expand, apart)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        preset: Preset = Preset.FOLLOW,
        limits: StoreLimits | None = None,
        expand: Expand | None = None,
        apart: ApartRule | None = None,
    ) -> Self:
        """Open a mirror. Read-only works beside a running writer and stays at the height it was opened at.

        Raises DatabaseNotFoundError, DatabaseLockedError, IncompleteDatabaseError, UnsupportedFormatError,
        DatabaseCorruptError, DatabaseAccessError.
        """
        store = Store.open(path / "rocksdb", read_only=read_only, preset=preset)
        try:
            if read_state(store) is not State.MIRROR:
                raise IncompleteDatabaseError(path, read_restore_key(store))
            if not read_only:
                sweep(path)
            return cls(path, store, limits or StoreLimits(), expand, apart)
        except BaseException:
            store.close()
            raise

    @classmethod
    def stage(
        cls,
        path: Path,
        identity: Identity,
        restore_key: bytes,
        *,
        limits: StoreLimits | None = None,
        apart: ApartRule | None = None,
    ) -> StagingDB:
        """Begin the restore `restore_key` in a directory that is missing or empty, or continue it there.

        Raises RestoreKeyConflictError (the restore of something else), DatabaseExistsError (a mirror, or foreign
        files), DatabaseLockedError, DatabaseAccessError.
        """
        limits, kept = limits or StoreLimits(), None if apart is None else apart(identity)
        if not (path / "rocksdb" / "CURRENT").is_file():
            return StagingDB.begin(path, create_store(path), identity, restore_key, limits, kept)
        store = Store.open(path / "rocksdb")
        try:
            return cls._continue_staging(path, store, identity, restore_key, limits, kept)
        except BaseException:
            store.close()
            raise

    @classmethod
    def _continue_staging(
        cls,
        path: Path,
        store: Store,
        identity: Identity,
        restore_key: bytes,
        limits: StoreLimits,
        apart: ValuesApart | None,
    ) -> StagingDB:
        if is_blank(store):
            return StagingDB.begin(path, store, identity, restore_key, limits, apart)
        if read_state(store) is not State.STAGING:
            raise DatabaseExistsError(path, "there is a complete mirror already")
        staging = StagingDB(path, store, limits, apart)
        if staging.staged():
            staging.expect(identity, restore_key)
        else:  # nothing would be lost: a restore of a mistyped root must not occupy the directory
            staging = StagingDB.begin(path, store, identity, restore_key, limits, apart)
        sweep(path)
        return staging

    def close(self) -> None:
        """Close every view, make all durable, and close the database. Idempotent. Raises DatabaseAccessError."""
        for view in list(self._views):
            view.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def head(self) -> HeightRecord | None:
        """The last applied height; None in an empty mirror."""
        return next(reversed(self._records.values()), None)

    def records(self) -> tuple[HeightRecord, ...]:
        """The kept height records, ascending."""
        return tuple(self._records.values())

    def get(self, key: bytes) -> bytes | None:
        """One leaf's value."""
        return self._leaves.get(key)

    def scan(
        self, start: bytes = b"", end: bytes | None = None, *, stand_in: StandIn | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Leaves with start <= key < end in key order, as of this call.

        `stand_in`: what to yield in place of a value that is kept apart, from its hash; the value is then not read.
        """
        return self._leaves.cursor().items(start, end, stand_in=stand_in)

    def blob(self, digest: bytes) -> bytes | None:
        return self._store.get(BLOBS, digest)

    def write_log(self, height: int) -> WriteLog | None:
        """The write log applied at this height, as it was given (not expanded), if it is still kept."""
        return next(read_write_logs(self._store, height, height + 1), None)

    def write_logs(self, from_height: int) -> Iterator[WriteLog]:
        """The kept write logs with height >= from_height, ascending, as of this call."""
        return read_write_logs(self._store, from_height)

    def follows(self, write_log: WriteLog) -> bool:
        """True if this write log comes next, False if it repeats a height that is applied already.

        Raises HeightConflictError, HeightGapError.
        """
        head = self.head
        if head is None:
            return True
        if write_log.height <= head.height:
            self._check_repeat(write_log, head)
            return False
        parent, root = write_log.parent_root, head.root
        if parent is not None and root is not None:
            if parent != root:
                raise _gap(write_log, head, "its parent root is not the root of that height")
        elif write_log.height != head.height + 1:
            raise _gap(write_log, head, "heights are missing, and no parent root says that it follows all the same")
        return True

    def apply(self, write_log: WriteLog, *, verified: bool = False) -> HeightRecord:
        """Apply one finalised write log: atomic, and on disk when this returns (but see `sync`). A repeat is a no-op.

        `verified`: the caller has folded `preview(write_log)` and found the claimed root, which then may not be None.
        Raises InvalidWriteLogError, HeightGapError, HeightConflictError (nothing changed); DatabaseReadOnlyError;
        DatabaseAccessError (after which the database must be opened anew).
        """
        validate(write_log, self.limits)
        if verified and write_log.root is None:
            raise ValueError("nothing was claimed, so that nothing can be verified")
        if not self.follows(write_log):
            return self._records[write_log.height]
        record = HeightRecord(write_log.height, write_log.root, verified)
        batch = self._store.batch()
        self._put_changes(batch, self._expanded(write_log))
        put_write_log(batch, write_log)
        put_record(batch, record)
        forgotten = list(self._records)[: max(0, len(self._records) + 1 - RECORDS_KEPT)]
        for height in forgotten:
            forget(batch, height)
        self._store.commit(batch)
        for height in forgotten:
            del self._records[height]
        self._records[record.height] = record
        return record

    def sync(self) -> None:
        """Make every applied height durable; only with `Preset.LOAD` there may be something to do.

        There, `apply` waits for the disk only now and then. Until this (or `freeze`, `flush`, `close`) has returned, a
        power cut may take the last heights with it, 16 MiB of their entries at most; the height before them is then
        there as a whole, and the same write logs may be applied again. Raises as `apply`.
        """
        self._store.sync()

    def preview(self, write_log: WriteLog, *, stand_in: StandIn | None = None) -> Iterator[tuple[bytes, bytes]]:
        """The leaves in key order as `apply(write_log)` would leave them; nothing is written. `stand_in` as in `scan`.

        Raises as `apply`; ValueError if the write log repeats an applied height.
        """
        validate(write_log, self.limits)
        if not self.follows(write_log):
            raise ValueError(f"height {write_log.height} is applied already")
        return overlay(self._leaves.cursor(), self._expanded(write_log), stand_in=stand_in)

    def mark_verified(self, height: int, root: bytes) -> HeightRecord:
        """Record durably that the leaves at a kept height fold to `root`, which becomes its root if none was claimed.

        Raises HeightConflictError if another root is recorded, KeyError if the height is not kept.
        """
        record = self._records[height]
        if record.root is not None and record.root != root:
            raise HeightConflictError(height=height, expected=record.root, found=root)
        record = HeightRecord(height, root, verified=True)
        batch = self._store.batch()
        put_record(batch, record)
        self._store.commit(batch)
        self._store.sync()
        self._records[height] = record
        return record

    def check(self) -> Iterator[Violation]:
        """Every violation of the database's own rules, as of this call; reads all of it (`check`)."""
        return check_store(self._store, records_kept=RECORDS_KEPT, apart=self._apart)

    def freeze(self, maker: FreezeMaker = "iterators", *, iterator_count: int = 4) -> FrozenView:
        """The leaves at the present height, durable and immovable while read (`view` says what the makers differ in).

        `iterator_count` >= 1: how many passes may run at the same time over a view made of iterators.
        """
        if self._store.writable:
            self._store.sync()
        if maker == "iterators":
            view = FrozenView.of_iterators(self._store, self._leaves, self.head, iterator_count)
        else:
            self._view_count += 1
            views = self.path / "views"
            views.mkdir(exist_ok=True)
            view = FrozenView.of_directory(self._store, self.head, views / str(self._view_count))
        self._views.add(view)
        return view

    def flush(self) -> None:
        """Write what is in memory to table files ahead of a freeze, so that the gate closes for a moment only."""
        self._store.flush()

    def _expanded(self, write_log: WriteLog) -> WriteLog:
        if self._expand is None:
            return write_log
        expanded = self._expand(write_log)
        validate(expanded, self.limits)
        return expanded

    def _put_changes(self, batch: Batch, write_log: WriteLog) -> None:
        """INVARIANT: clears before writes; RocksDB keeps the order within a batch."""
        for prefix in write_log.clear:
            self._leaves.clear(batch, prefix, prefix_end(prefix))
        for key, value in write_log.writes:
            if value is None:
                self._leaves.delete(batch, key)
            else:
                self._leaves.put(batch, key, value)
        for digest, blob in write_log.code:
            batch.put(BLOBS, digest, blob)

    def _check_repeat(self, write_log: WriteLog, head: HeightRecord) -> None:
        applied = self._records.get(write_log.height)
        if applied is None:
            raise _gap(write_log, head, "it is in the past, and no record of it is kept")
        if applied.root is not None and write_log.root is not None:
            same = applied.root == write_log.root
        else:
            kept = self.write_log(write_log.height)
            same = kept is not None and (kept.clear, kept.writes, kept.code) == (
                write_log.clear,
                write_log.writes,
                write_log.code,
            )
        if not same:
            raise HeightConflictError(height=write_log.height, expected=applied.root, found=write_log.root)


def create_store(path: Path, preset: Preset = Preset.FOLLOW) -> Store:
    """A Store without meta in a directory that is missing, empty or left so by a crash. Raises DatabaseExistsError."""
    if path.exists():
        if not path.is_dir():
            raise DatabaseExistsError(path, "not a directory")
        if any(entry.name not in ("rocksdb", "views", "scratch") for entry in path.iterdir()):
            raise DatabaseExistsError(path, "the directory is not empty")
    store = Store.create(path / "rocksdb", preset=preset)
    if not is_blank(store):
        store.close()
        raise DatabaseExistsError(path, "there is a leaf database already")
    return store


def is_blank(store: Store) -> bool:
    """True if a crash came between making the RocksDB directory and its first batch."""
    return next(store.items(META), None) is None


def sweep(path: Path) -> None:
    """Remove what a killed writer left behind. The caller holds the lock: no writer of our own is alive."""
    for name in ("views", "scratch"):
        shutil.rmtree(path / name, ignore_errors=True)


def _gap(write_log: WriteLog, head: HeightRecord, reason: str) -> HeightGapError:
    return HeightGapError(
        height=write_log.height,
        parent_root=write_log.parent_root,
        latest=head.height,
        root=head.root,
        reason=reason,
    )
