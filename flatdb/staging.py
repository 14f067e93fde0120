"""StagingDB: a restore under way. Chunks come in by id, become durable one by one, and turn into a mirror when sealed.

Decides the order that makes a restore survive kill -9: first the leaves of a chunk are durable, then the record that
they are. A chunk that was loaded and not recorded is loaded again, with the same bytes. What a chunk id means, and
whether the leaves are the right ones, is for the caller to know.

Lifetime: `FlatDB.stage` -> `ingest`... -> `seal` -> `FlatDB.open`. One writer thread owns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from flatdb.errors import InvalidWriteLogError, RestoreKeyConflictError
from flatdb.leaves import Leaves, StandIn
from flatdb.ledger import State, put_meta, put_record, read_identity, read_restore_key
from flatdb.store import BLOBS, RESTORE, Store
from flatdb.types import KEY_BYTES_MAX, HeightRecord, Identity, StoreLimits, ValuesApart

__all__ = ["CHUNK_ID_BYTES_MAX", "StagingDB"]

CHUNK_ID_BYTES_MAX: Final = 2 * KEY_BYTES_MAX + 8
"""Room for a key range: a restore names what it has stored by the bounds."""


class StagingDB:
    """An incomplete database. Made by `FlatDB.stage`; a context manager."""

    def __init__(self, path: Path, store: Store, limits: StoreLimits, apart: ValuesApart | None) -> None:
        self.path = path
        self.limits = limits
        self.identity: Identity = read_identity(store)
        self.restore_key: bytes = read_restore_key(store)
        self._store: Store | None = store
        self._leaves = Leaves(store, apart)
        self._staged = {chunk_id for chunk_id, _ in store.items(RESTORE)}

    @classmethod
    def begin(
        cls,
        path: Path,
        store: Store,
        identity: Identity,
        restore_key: bytes,
        limits: StoreLimits,
        apart: ValuesApart | None,
    ) -> Self:
        """Mark a Store without durable chunks as the restore `restore_key`; what was loaded unrecorded goes."""
        batch = store.batch()
        for family in (*Leaves(store, apart).families, BLOBS):
            batch.delete_range(family, b"", None)
        put_meta(batch, identity, State.STAGING, restore_key)
        store.commit(batch)
        return cls(path, store, limits, apart)

    def expect(self, identity: Identity, restore_key: bytes) -> None:
        """Raise RestoreKeyConflictError unless this is the restore that is meant."""
        if (self.identity, self.restore_key) != (identity, restore_key):
            raise RestoreKeyConflictError(self.path, expected=restore_key, found=self.restore_key)

    def staged(self) -> frozenset[bytes]:
        """Ids of the chunks that are durable."""
        return frozenset(self._staged)

    def ingest(self, chunk_id: bytes, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Make a chunk's leaves durable, then the record of it. Items strictly ascending by key; there may be none.

        Raises InvalidWriteLogError (nothing was loaded), DatabaseAccessError, DatabaseCorruptError.
        """
        self.ingest_columns((chunk_id,), *_columns(items))

    def ingest_columns(self, chunk_ids: Sequence[bytes], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """As `ingest`, for chunks that follow each other in key order, with their leaves in two columns of one length.

        All of them become one table file: fewer waits for the disk, and for the lock that they are waited for under.
        """
        self._check_ids(chunk_ids)
        self._check_sizes(keys, values, self.limits.key_bytes_max)
        self._leaves.ingest(keys, values, self._scratch())
        self._record(chunk_ids)

    def replace(
        self,
        chunk_id: bytes,
        items: Iterable[tuple[bytes, bytes]],
        start: bytes,
        end: bytes | None,
        *,
        obsolete: Mapping[bytes, tuple[bytes, bytes | None]],
    ) -> None:
        """As `ingest`, in place of everything in [start, end) and of whole other chunks: id -> their key range.

        Nothing old survives where a crash leaves nothing new: the range is emptied, and its records are gone, first.

        Raises InvalidWriteLogError (the range is empty then), DatabaseAccessError, DatabaseCorruptError.
        """
        store = self._open_store()
        batch = store.batch()
        self._leaves.clear(batch, start, end)
        for old_id, (old_start, old_end) in obsolete.items():
            self._leaves.clear(batch, old_start, old_end)
            batch.delete(RESTORE, old_id)
        store.commit(batch)
        self._staged.difference_update(obsolete)
        self.ingest(chunk_id, items)

    def ingest_blobs(self, chunk_id: bytes, blobs: Iterable[tuple[bytes, bytes]]) -> None:
        """As `ingest`, for (hash, blob)."""
        self._check_ids((chunk_id,))
        hashes, contents = _columns(blobs)
        self._check_sizes(hashes, contents, self.limits.hash_bytes_max)
        self._open_store().ingest(BLOBS, hashes, contents, self._scratch())
        self._record((chunk_id,))

    def scan(
        self, start: bytes = b"", end: bytes | None = None, *, stand_in: StandIn | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Leaves loaded so far with start <= key < end, in key order, as of this call (`stand_in`: `FlatDB.scan`)."""
        self._open_store()
        return self._leaves.cursor().items(start, end, stand_in=stand_in)

    def blob(self, digest: bytes) -> bytes | None:
        return self._open_store().get(BLOBS, digest)

    def blobs(self) -> Iterator[tuple[bytes, bytes]]:
        """(hash, blob) loaded so far, in hash order, as of this call."""
        return self._open_store().items(BLOBS)

    def seal(self, record: HeightRecord) -> None:
        """Turn it into a mirror at `record`, in one synced batch, and close. `FlatDB.open` opens it from now on.

        The caller has folded the leaves and found the trusted root, and all code is there.
        """
        store = self._open_store()
        batch = store.batch()
        put_meta(batch, self.identity, State.MIRROR)
        put_record(batch, record)
        batch.delete_range(RESTORE, b"", None)
        store.commit(batch)
        self.close()

    def close(self) -> None:
        """Stop here; `FlatDB.stage` continues. Idempotent, and without effect once sealed."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_ids(self, chunk_ids: Sequence[bytes]) -> None:
        if not all(0 < len(chunk_id) <= CHUNK_ID_BYTES_MAX for chunk_id in chunk_ids):
            raise ValueError(f"a chunk id has 1 to {CHUNK_ID_BYTES_MAX} bytes")

    def _check_sizes(self, keys: Sequence[bytes], values: Sequence[bytes], key_bytes_max: int) -> None:
        value_bytes_max = self.limits.value_bytes_max
        if max(map(len, keys), default=0) <= key_bytes_max and max(map(len, values), default=0) <= value_bytes_max:
            return
        for index, (key, value) in enumerate(zip(keys, values, strict=True)):
            if len(key) > key_bytes_max or len(value) > value_bytes_max:
                reason = f"a key of {len(key)} and a value of {len(value)} bytes exceed the limits"
                raise InvalidWriteLogError(f"items[{index}]", reason)

    def _scratch(self) -> Path:
        """Where one table file is built."""
        self._open_store()
        scratch = self.path / "scratch"
        scratch.mkdir(exist_ok=True)
        return scratch / "table.sst"

    def _record(self, chunk_ids: Sequence[bytes]) -> None:
        """INVARIANT: comes after the load, and a crash in between leaves no record."""
        store = self._open_store()
        batch = store.batch()
        for chunk_id in chunk_ids:
            batch.put(RESTORE, chunk_id, b"")
        store.commit(batch)
        self._staged.update(chunk_ids)

    def _open_store(self) -> Store:
        if self._store is None:
            raise RuntimeError("the restore is closed or sealed")
        return self._store


def _columns(items: Iterable[tuple[bytes, bytes]]) -> tuple[list[bytes], list[bytes]]:
    pairs = list(items)
    return [key for key, _ in pairs], [value for _, value in pairs]
