"""check() finds each thing that can be wrong, one at a time, and goes on to the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flatdb import FlatDB, Violation, WriteLog
from flatdb.check import check_store
from flatdb.ledger import height_key
from flatdb.store import BLOBS, HEIGHTS, LEAVES, LOGS, RESTORE, UNDO, Batch, Store
from flatdb.writelog import encode_cbor
from tests.faults import flip_bit
from tests.flatdb.conftest import IDENTITY

A, B, C = (bytes([letter]) * 32 for letter in b"abc")
LAST = WriteLog(3, B, C, writes=((b"k", b"v"), (b"gone", None))[::-1], code=((b"h", b"code"),))


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    with FlatDB.create(tmp_path / "mirror", IDENTITY) as db:
        for write_log in (WriteLog(1, root=A), WriteLog(2, A, B), LAST):
            db.apply(write_log)
        assert list(db.check()) == []
    return tmp_path / "mirror"


DAMAGE: dict[str, tuple[str, Callable[[Batch], None]]] = {
    "a height key of another size": (HEIGHTS, lambda batch: batch.put(HEIGHTS, b"short", b"\0")),
    "a record that claims an unknown root": (HEIGHTS, lambda batch: batch.put(HEIGHTS, height_key(0), b"\1")),
    "a verified record without a root": (HEIGHTS, lambda batch: batch.put(HEIGHTS, height_key(0), b"\2")),
    "an empty record": (HEIGHTS, lambda batch: batch.put(HEIGHTS, height_key(0), b"")),
    "a write log that is no write log": (LOGS, lambda batch: batch.put(LOGS, height_key(2), b"\xff")),
    "a write log under another height": (LOGS, lambda batch: batch.put(LOGS, height_key(2), encode_cbor(LAST))),
    "a write log without a record": (LOGS, lambda batch: batch.put(LOGS, height_key(9), encode_cbor(WriteLog(9)))),
    "a record without a write log": (LOGS, lambda batch: batch.delete(LOGS, height_key(2))),
    "a root unlike the write log's": (LOGS, lambda batch: batch.put(HEIGHTS, height_key(3), b"\1" + A)),
    "a chain that breaks": (LOGS, lambda batch: batch.put(LOGS, height_key(2), encode_cbor(WriteLog(2, C, B)))),
    "a last put that is not there": (LEAVES, lambda batch: batch.delete(LEAVES, b"k")),
    "a last put with another value": (LEAVES, lambda batch: batch.put(LEAVES, b"k", b"w")),
    "a last delete that is there": (LEAVES, lambda batch: batch.put(LEAVES, b"gone", b"")),
    "a last blob that is not there": (BLOBS, lambda batch: batch.delete(BLOBS, b"h")),
    "a key beyond the limit": (LEAVES, lambda batch: batch.put(LEAVES, b"k" * 8192, b"")),
    "a blob without a hash": (BLOBS, lambda batch: batch.put(BLOBS, b"", b"")),
    "a chunk of a restore": (RESTORE, lambda batch: batch.put(RESTORE, b"chunk", b"")),
    "a value in the reserved family": (UNDO, lambda batch: batch.put(UNDO, b"", b"")),
}


def check_after(mirror: Path, *damages: str) -> list[Violation]:
    with Store.open(mirror / "rocksdb") as store:
        batch = store.batch()
        for damage in damages:
            DAMAGE[damage][1](batch)
        store.commit(batch)
        return list(check_store(store, records_kept=10))


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_violation_is_found_where_it_is(mirror: Path, damage: str) -> None:
    """Fails if the rule that this case breaks is not checked."""
    assert DAMAGE[damage][0] in {violation.where for violation in check_after(mirror, damage)}


def test_every_violation_is_reported_not_the_first(mirror: Path) -> None:
    found = check_after(mirror, "an empty record", "a last put with another value", "a chunk of a restore")
    assert {violation.where for violation in found} == {HEIGHTS, LEAVES, RESTORE}


def test_more_records_than_are_kept(mirror: Path) -> None:
    with Store.open(mirror / "rocksdb") as store:
        assert [violation.where for violation in check_store(store, records_kept=2)] == [HEIGHTS]


def test_a_damaged_block_ends_the_check_of_its_family_only(tmp_path: Path) -> None:
    with FlatDB.stage(tmp_path, IDENTITY, b"key") as staging:
        staging.ingest(b"chunk", ((index.to_bytes(3, "big"), bytes(20)) for index in range(20_000)))
    table = max((tmp_path / "rocksdb").glob("*.sst"), key=lambda path: path.stat().st_size)
    flip_bit(table, table.stat().st_size // 2)
    with Store.open(tmp_path / "rocksdb") as store:
        # The record of the chunk is reported as well: this is no sealed mirror.
        assert [violation.where for violation in check_store(store, records_kept=10)] == [LEAVES, RESTORE]
