"""Identity, lifetime and records survive a round trip, and other bytes are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from flatdb import FlatDB, HeightRecord, Identity, WriteLog
from flatdb.errors import DatabaseCorruptError, DatabaseNotFoundError, UnsupportedFormatError
from flatdb.ledger import FORMAT, decode_record, height_key, read_identity, read_records, read_state, read_write_logs
from flatdb.store import HEIGHTS, LOGS, META, Store
from flatdb.writelog import encode_cbor


def damaged(folder: Path, family: str, key: bytes, value: bytes | None) -> Store:
    """A mirror's Store with one entry replaced, or deleted."""
    FlatDB.create(folder, Identity("plain", "io", b"\xff")).close()
    store = Store.open(folder / "rocksdb")
    batch = store.batch()
    if value is None:
        batch.delete(family, key)
    else:
        batch.put(family, key, value)
    store.commit(batch)
    return store


def test_identities_come_back(tmp_path: Path) -> None:
    with damaged(tmp_path, META, b"unrelated", b"") as store:
        assert read_identity(store) == Identity("plain", "io", b"\xff")


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"{}", b'{"scheme":"a","kind":"","namespace":"zz"}', b"\xff"])
def test_an_identity_that_cannot_be_read(tmp_path: Path, value: bytes) -> None:
    with damaged(tmp_path, META, b"identity", value) as store, pytest.raises(DatabaseCorruptError):
        read_identity(store)


def test_another_format_is_refused_with_what_is_known(tmp_path: Path) -> None:
    damaged(tmp_path, META, b"format", b"leafmirror-flatdb-2").close()
    with pytest.raises(UnsupportedFormatError) as caught:
        FlatDB.open(tmp_path)
    assert (caught.value.found, caught.value.supported) == ("leafmirror-flatdb-2", (FORMAT,))


def test_without_a_format_there_is_no_database(tmp_path: Path) -> None:
    with damaged(tmp_path, META, b"format", None) as store, pytest.raises(DatabaseNotFoundError):
        read_state(store)


@pytest.mark.parametrize("value", [b"", b"asleep", b"\xff", None])
def test_an_unknown_lifetime_state(tmp_path: Path, value: bytes | None) -> None:
    with damaged(tmp_path, META, b"state", value) as store, pytest.raises(DatabaseCorruptError):
        read_state(store)


def test_records_are_refused_when_opening(tmp_path: Path) -> None:
    with damaged(tmp_path, HEIGHTS, height_key(1), b"\7") as store, pytest.raises(DatabaseCorruptError):
        read_records(store)


def test_write_logs_are_refused_when_read(tmp_path: Path) -> None:
    with damaged(tmp_path, LOGS, height_key(1), b"\7") as store, pytest.raises(DatabaseCorruptError):
        list(read_write_logs(store, 0))


def test_a_write_log_kept_under_another_height(tmp_path: Path) -> None:
    """Fails if a reader is handed the write log of a height that it did not ask for."""
    stray = encode_cbor(WriteLog(2))
    with damaged(tmp_path, LOGS, height_key(1), stray) as store, pytest.raises(DatabaseCorruptError):
        list(read_write_logs(store, 0))


@pytest.mark.parametrize("value", [b"\0" + b"r" * 32, b"\2", b"\1" + b"r" * 31, b"\3", b"\4", b""])
def test_records_have_one_form(value: bytes) -> None:
    with pytest.raises(ValueError):
        decode_record(height_key(1), value)


def test_record_forms() -> None:
    assert decode_record(height_key(9), b"\0") == HeightRecord(9, None, verified=False)
    assert decode_record(height_key(9), b"\1" + b"r" * 32) == HeightRecord(9, b"r" * 32, verified=False)
    assert decode_record(height_key(9), b"\3" + b"r" * 32) == HeightRecord(9, b"r" * 32, verified=True)
