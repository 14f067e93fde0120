"""All of RocksDB: column families, cursors, one atomic batch, when it is synced, bulk ingest, checkpoint directories.

It turns every rocksdict exception into one of ours, and refuses to know what a height, a leaf or a write log is.
rocksdict is imported here, in `cursor` and in `rocks_options`, which decides how bytes lie on disk.

Threads: a Store may be read from any thread; batches, ingests, syncs, flushes and checkpoints belong to one writer
thread.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice, pairwise
from operator import lt
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rocksdict import (
    AccessType,
    Checkpoint,
    ColumnFamily,
    IngestExternalFileOptions,
    Options,
    Rdict,
    SstFileWriter,
    WriteBatch,
    WriteOptions,
)

from flatdb.cursor import Cursor
from flatdb.errors import (
    DatabaseAccessError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseNotFoundError,
    DatabaseReadOnlyError,
    InvalidWriteLogError,
)
from flatdb.rocks_error import check_name, check_writable, classify
from flatdb.rocks_options import SETTINGS, database_options, family_options, table_options
from flatdb.types import Preset

__all__ = [
    "BLOBS",
    "FAMILIES",
    "HEIGHTS",
    "LEAVES",
    "LOGS",
    "META",
    "RESTORE",
    "UNDO",
    "VALUES",
    "VALUE_HASHES",
    "Batch",
    "Store",
    "check_ascending",
]

META: Final = "default"
LEAVES: Final = "leaves"
VALUE_HASHES: Final = "value_hashes"
VALUES: Final = "values"
LOGS: Final = "write_logs"
HEIGHTS: Final = "heights"
BLOBS: Final = "blobs"
RESTORE: Final = "restore"
UNDO: Final = "undo"
FAMILIES: Final = (META, LEAVES, VALUE_HASHES, VALUES, LOGS, HEIGHTS, BLOBS, RESTORE, UNDO)
"""One column family per kind of data. `undo` is reserved for previous values and is empty."""

KEY_CEILING: Final = b"\xff" * 2**15
"""Longer, and so greater, than every key of any family: the exclusive end of a range delete that has none."""

READ_OPEN_ATTEMPTS: Final = 8

ENTRY_MEMORY_BYTES: Final = 128
"""More than a memtable needs for an entry beside key and value."""


class Batch:
    """Changes that become visible together, and durable together, or not at all (`Store.commit`)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batch = WriteBatch(raw_mode=True)

    def put(self, family: str, key: bytes, value: bytes) -> None:
        self._batch.put(key, value, self._store.handle(family))

    def delete(self, family: str, key: bytes) -> None:
        self._batch.delete(key, self._store.handle(family))

    def delete_range(self, family: str, start: bytes, end: bytes | None) -> None:
        """Delete every key k with start <= k < end (end None: no end). Later puts in the same batch survive."""
        self._batch.delete_range(start, KEY_CEILING if end is None else end, self._store.handle(family))

    @property
    def size_bytes(self) -> int:
        """At most so much is added to the log, and to all memtables together."""
        return self._batch.size_in_bytes() + ENTRY_MEMORY_BYTES * len(self._batch)

    def take(self) -> WriteBatch:
        """The native batch, for `Store.commit` alone."""
        return self._batch


class Store:
    """One open RocksDB directory."""

    def __init__(self, path: Path, rocks: Rdict, preset: Preset, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._settings = SETTINGS[preset]
        self._unsynced_bytes = 0
        self._unflushed_bytes = 0
        self._rocks: Rdict | None = rocks
        self._families = {name: rocks.get_column_family(name) for name in FAMILIES}
        self._handles = {name: rocks.get_column_family_handle(name) for name in FAMILIES}
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._commits = threading.Lock()
        self._broken: DatabaseError | None = None

    @classmethod
    def create(cls, path: Path, *, preset: Preset = Preset.FOLLOW) -> Self:
        """Open for writing, making the directory if it is missing. Raises DatabaseError, or ValueError for its name."""
        check_name(path)
        options = database_options(preset)
        options.create_if_missing(True)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseAccessError(path, error.strerror or str(error)) from error
        return cls(path, _open_rocks(path, options, preset, AccessType.read_write()), preset, writable=True)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, preset: Preset = Preset.FOLLOW) -> Self:
        """Open an existing database. A read-only Store works beside a writer and stays at the moment it was opened.

        Raises DatabaseNotFoundError, DatabaseLockedError, DatabaseCorruptError, DatabaseAccessError.
        """
        if not (path / "CURRENT").is_file():
            raise DatabaseNotFoundError(path)
        if read_only:
            return cls(path, _open_beside_writer(path, preset), preset, writable=False)
        rocks = _open_rocks(path, database_options(preset), preset, AccessType.read_write())
        return cls(path, rocks, preset, writable=True)

    def close(self) -> None:
        """Sync and release the lock. Closes every open cursor first: RocksDB lives as long as one. Idempotent.

        Raises DatabaseAccessError if the log could not be synced or memory not be written out, unless a commit has said
        so before; all that was synced is in the log in any case.
        """
        for cursor in list(self._cursors):
            cursor.close()
        try:
            if self._unsynced_bytes and self._broken is None:
                self.sync()
        finally:
            self._close_parts()

    def _close_parts(self) -> None:
        open_parts = [*self._families.values()] + ([self._rocks] if self._rocks is not None else [])
        self._handles, self._families, self._rocks = {}, {}, None
        failure: DatabaseError | None = None
        for part in open_parts:
            try:
                part.close()
            except Exception as error:
                failure = classify(error, self.path)
        if failure is not None and self._broken is None:
            raise failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def handle(self, family: str) -> ColumnFamily:
        """The native handle of a family, for `Batch` alone."""
        return self._handles[family]

    def get(self, family: str, key: bytes) -> bytes | None:
        rocks = self._family(family)
        try:
            value: bytes | None = rocks.get(key)
        except Exception as error:
            raise classify(error, self.path) from error
        return value

    def cursor(self, family: str) -> Cursor:
        """A cursor fixed at this moment. Takes microseconds."""
        rocks = self._family(family)
        try:
            cursor = Cursor(rocks.iter(), self.path)
        except Exception as error:
            raise classify(error, self.path) from error
        self._cursors.add(cursor)
        return cursor

    def cursors(self, *families: str) -> list[Cursor]:
        """A cursor over each family, all fixed at one moment. Waits for the commit that is under way."""
        if len(families) == 1:
            return [self.cursor(families[0])]
        with self._commits:
            return [self.cursor(family) for family in families]

    def get_first(self, families: Iterable[str], key: bytes) -> bytes | None:
        """The value in the first family that has the key, all of them at one moment. Waits as `cursors`."""
        with self._commits:
            return next((value for family in families if (value := self.get(family, key)) is not None), None)

    def items(self, family: str, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) with start <= key < end, as of this call."""
        return self.cursor(family).items(start, end)

    def batch(self) -> Batch:
        """An empty batch. Raises DatabaseReadOnlyError, or the error of the commit that failed."""
        self._writer()
        return Batch(self)

    def commit(self, batch: Batch) -> None:
        """Write a batch atomically, in the order of calls, and wait until it is on disk, unless the preset is `load`.

        With `load` it is durable at the next `sync`, or once `unsynced_bytes_max` were committed. A process that dies
        loses nothing; a machine that stops loses commits from the last one backwards, each of them whole.

        Raises DatabaseReadOnlyError, DatabaseAccessError, DatabaseCorruptError. After a failed commit the outcome is
        unknown, so that every later one is refused with the same error until the database is opened anew.
        """
        rocks = self._writer()
        size = batch.size_bytes
        self._begin_log_for(size)
        # Counted ahead: an interrupt between writing and counting must not make `sync` think that all is on disk.
        self._unsynced_bytes += size
        self._unflushed_bytes += size
        options = WriteOptions()
        options.sync = self._unsynced_bytes > self._settings.unsynced_bytes_max
        try:
            with self._commits:
                rocks.write(batch.take(), options)
        except Exception as error:
            self._broken = classify(error, self.path)
            raise self._broken from error
        if options.sync:
            self._unsynced_bytes = 0

    def sync(self) -> None:
        """Make every commit so far durable. Raises as `commit`, and refuses what comes later likewise."""
        rocks = self._writer()
        if not self._unsynced_bytes:
            return
        try:
            rocks.flush_wal(sync=True)
        except Exception as error:
            self._broken = classify(error, self.path)
            raise self._broken from error
        self._unsynced_bytes = 0

    def ingest(self, family: str, keys: Sequence[bytes], values: Sequence[bytes], scratch: Path) -> None:
        """Bulk-load strictly ascending keys with their values: durable when this returns.

        The table file is built at `scratch`, on the same filesystem, and moved in. Raises InvalidWriteLogError for
        keys out of order (then nothing was loaded), else as `commit`.
        """
        family_rocks = self._family(family)
        self._writer()
        check_ascending(keys)
        if not keys:
            return
        try:
            _build_table(keys, values, scratch)
            self._move_in(family_rocks, scratch)
        finally:
            scratch.unlink(missing_ok=True)

    def flush(self) -> None:
        """Write the memtables to table files, so that a checkpoint directory soon after costs next to nothing.

        All is durable when this returns.
        """
        self._flush(wait=True)

    def checkpoint(self, path: Path) -> None:
        """Hard-link the present state, which is durable then, into a new directory `path` on the same filesystem."""
        self.sync()
        rocks = self._writer()
        try:
            Checkpoint(rocks).create_checkpoint(str(path))
        except Exception as error:
            raise classify(error, self.path) from error

    def _begin_log_for(self, size: int) -> None:
        """Begin new memtables, and a new log, if `size` is too much for those there are.

        The old log is synced first. RocksDB takes a log that lost its end at a record's boundary for a whole one, and
        would go on with the next: a hole in the history.
        """
        limit = self._settings.unflushed_bytes_max
        if self._unflushed_bytes and self._unflushed_bytes + size > limit:
            self._flush(wait=False)

    def _flush(self, *, wait: bool) -> None:
        self.sync()
        try:
            for family in self._families.values():
                family.flush(wait)
        except Exception as error:
            raise classify(error, self.path) from error
        self._unflushed_bytes = 0

    def _move_in(self, family: Rdict, table: Path) -> None:
        self.sync()  # a table is durable at once, and what was committed before it has to be
        options = IngestExternalFileOptions()
        options.set_move_files(True)
        try:
            family.ingest_external_file([str(table)], options)
        except Exception as error:
            raise classify(error, self.path) from error

    def _writer(self) -> Rdict:
        if self._broken is not None:
            raise self._broken
        if not self.writable:
            raise DatabaseReadOnlyError(self.path)
        if self._rocks is None:
            raise RuntimeError("the database is closed")
        return self._rocks

    def _family(self, name: str) -> Rdict:
        if not self._families:
            raise RuntimeError("the database is closed")
        return self._families[name]


def _open_rocks(path: Path, options: Options, preset: Preset, access: AccessType) -> Rdict:
    own = family_options(preset)
    families = dict.fromkeys(FAMILIES, own)
    try:
        return Rdict(str(path), options, families, access)
    except Exception as error:
        raise classify(error, path) from error


def _open_beside_writer(path: Path, preset: Preset) -> Rdict:
    """Open read-only. A writer may delete a file between our reading the list of files and opening them: try again."""
    check_writable(path)
    access = AccessType.read_only(error_if_log_file_exist=False)
    for _ in range(READ_OPEN_ATTEMPTS - 1):
        with suppress(DatabaseCorruptError, DatabaseNotFoundError):
            return _open_rocks(path, database_options(preset), preset, access)
    return _open_rocks(path, database_options(preset), preset, access)


def check_ascending(keys: Sequence[bytes]) -> None:
    """Raise InvalidWriteLogError unless each key comes after the one before it."""
    if all(map(lt, keys, islice(keys, 1, None))):
        return
    index, previous, key = next((at, a, b) for at, (a, b) in enumerate(pairwise(keys), 1) if a >= b)
    raise InvalidWriteLogError(f"items[{index}]", f"key {key.hex()} does not come after {previous.hex()}")


def _build_table(keys: Sequence[bytes], values: Sequence[bytes], path: Path) -> None:
    """Write and sync a table file. Precondition: keys ascending, at least one."""
    path.unlink(missing_ok=True)
    writer = SstFileWriter(table_options())
    try:
        writer.open(str(path))
        # The loop is the interpreter's own: a third faster than one written out, and this is what a restore waits for.
        deque(map(writer.__setitem__, keys, values), maxlen=0)
        writer.finish()
    except Exception as error:
        raise classify(error, path) from error
