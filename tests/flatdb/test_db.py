"""The commit point: what may be applied, what a refusal leaves behind, and a dict per height as the judge."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatdb import CATALOG_NAME, RECORDS_KEPT, Catalog, FlatDB, HeightRecord, Identity, StoreLimits, WriteLog
from flatdb.errors import (
    DatabaseAccessError,
    DatabaseExistsError,
    DatabaseLockedError,
    DatabaseNotFoundError,
    DatabaseReadOnlyError,
    FlatDBError,
    HeightConflictError,
    HeightGapError,
    InvalidWriteLogError,
)
from flatdb.store import Store
from tests.faults import ROOT as REPOSITORY
from tests.flatdb.conftest import IDENTITY
from tests.flatdb.leaf_model import Leaves, after, keys, random_log, random_states, write_logs

A, B, C, D = (bytes([letter]) * 32 for letter in b"abcd")


def contents(db: FlatDB) -> tuple[object, ...]:
    """All that a mirror holds, to see whether something changed."""
    return db.head, db.records(), list(db.scan()), list(db.write_logs(0)), list(db.freeze().blobs())


@settings(max_examples=25)
@given(st.data())
def test_every_height_is_what_a_dict_says(data: st.DataObject) -> None:
    """Preview, apply, get, scan, freeze and reopening against the model, over nested and extreme keys.

    Fails if a clear comes after the writes, misses a key of all 0xff bytes, or reaches a neighbouring prefix.
    """
    leaves: Leaves = {}
    with TemporaryDirectory() as folder:
        db = FlatDB.create(Path(folder) / "mirror", IDENTITY)
        for height in range(data.draw(st.integers(1, 5))):
            write_log = data.draw(write_logs(height))
            leaves = after(leaves, write_log)
            assert list(db.preview(write_log)) == sorted(leaves.items())
            db.apply(write_log)
            start, end = data.draw(keys), data.draw(st.none() | keys)
            within = sorted((k, v) for k, v in leaves.items() if k >= start and (end is None or k < end))
            assert list(db.scan(start, end)) == within
            assert db.get(start) == leaves.get(start)
            assert db.write_log(height) == write_log
        db.close()
        with FlatDB.open(Path(folder) / "mirror") as db, db.freeze() as view:
            assert list(db.scan()) == list(view.items()) == sorted(leaves.items())
            assert list(db.check()) == []


def test_a_new_mirror_is_empty_and_remembers_whose_it_is(folder: Path) -> None:
    with FlatDB.create(folder, IDENTITY) as db:
        assert (db.head, db.records(), list(db.scan()), db.identity) == (None, (), [], IDENTITY)
    with FlatDB.open(folder) as db:
        assert (db.head, db.identity) == (None, IDENTITY)


def test_the_first_height_may_be_any(db: FlatDB) -> None:
    assert db.apply(WriteLog(2**63 - 1, A, B)) == HeightRecord(2**63 - 1, B, verified=False)


@pytest.mark.parametrize(
    "chain",
    [
        [WriteLog(5, root=A), WriteLog(9, A, B), WriteLog(10, B, B), WriteLog(100, B, A)],
        [WriteLog(5), WriteLog(6), WriteLog(7, A, B), WriteLog(8, root=C), WriteLog(9, C)],
    ],
)
def test_what_follows(db: FlatDB, chain: list[WriteLog]) -> None:
    """Heights may skip where parent roots say so, and must not where one of the two is unknown."""
    for write_log in chain:
        assert db.follows(write_log)
        assert db.apply(write_log) == db.head == HeightRecord(write_log.height, write_log.root, verified=False)
    assert [record.height for record in db.records()] == [write_log.height for write_log in chain]


@pytest.mark.parametrize(
    ("write_log", "refusal"),
    [
        (WriteLog(12, root=C), HeightGapError),
        (WriteLog(12, A, C), HeightGapError),
        (WriteLog(11, A, C), HeightGapError),
        (WriteLog(8, A, C), HeightGapError),
        (WriteLog(3, root=A), HeightGapError),
        (WriteLog(10, A, C), HeightConflictError),
        (WriteLog(5, root=B), HeightConflictError),
        (WriteLog(10, A, None, writes=((b"other", b""),)), HeightConflictError),
        (WriteLog(11, B, C, writes=((b"b", b""), (b"a", b""))), InvalidWriteLogError),
        (WriteLog(11, B, C, writes=((b"a", b""), (b"a", b""))), InvalidWriteLogError),
        (WriteLog(11, B, C, writes=((b"a" * 8192, b""),)), InvalidWriteLogError),
        (WriteLog(11, B, C, clear=(b"b", b"a")), InvalidWriteLogError),
        (WriteLog(-1, B, C), InvalidWriteLogError),
    ],
)
def test_a_refusal_changes_nothing(db: FlatDB, write_log: WriteLog, refusal: type[FlatDBError]) -> None:
    db.apply(WriteLog(5, root=A, writes=((b"a", b"1"),)))
    db.apply(WriteLog(10, A, B, writes=((b"b", b"2"),), code=((b"h", b"code"),)))
    before = contents(db)
    for refused in (db.apply, db.preview):
        with pytest.raises(refusal):
            refused(write_log)
    assert contents(db) == before


def test_the_fields_of_a_gap_and_of_a_conflict(db: FlatDB) -> None:
    db.apply(WriteLog(5, root=A))
    with pytest.raises(HeightGapError) as gap:
        db.apply(WriteLog(7, B, C))
    assert (gap.value.height, gap.value.parent_root, gap.value.latest, gap.value.root) == (7, B, 5, A)
    with pytest.raises(HeightConflictError) as conflict:
        db.apply(WriteLog(5, root=B))
    assert (conflict.value.height, conflict.value.expected, conflict.value.found) == (5, A, B)


def test_a_repeat_is_a_no_op(db: FlatDB) -> None:
    """By its root where both are known, else by its content."""
    first, second = WriteLog(5, root=A, writes=((b"a", b"1"),)), WriteLog(6, writes=((b"a", b"2"),))
    db.apply(first)
    db.apply(second)
    before = contents(db)
    for repeat in (first, second, WriteLog(5, B, A), WriteLog(6, root=C, writes=second.writes)):
        assert not db.follows(repeat)
        assert db.apply(repeat).height == repeat.height
        with pytest.raises(ValueError):
            db.preview(repeat)
    assert contents(db) == before


def test_only_the_last_records_and_their_write_logs_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the batch forgets one too few or too many, or the oldest is counted wrong after reopening."""
    assert RECORDS_KEPT == 1024
    kept = 20  # each height is a synced write: the real number would only take longer
    monkeypatch.setattr("flatdb.db.RECORDS_KEPT", kept)
    with FlatDB.create(folder, IDENTITY) as db:
        for height in range(kept):
            db.apply(WriteLog(height))
    with FlatDB.open(folder) as db:
        for height in range(kept, kept + 2):
            db.apply(WriteLog(height))
        assert len(db.records()) == kept
        assert (db.records()[0].height, db.records()[-1].height) == (2, kept + 1)
        assert db.write_log(1) is None
        assert next(db.write_logs(0)) == WriteLog(2)
        with pytest.raises(HeightGapError):
            db.apply(WriteLog(1))


def test_write_logs_from_a_height_on(db: FlatDB) -> None:
    logs = [random_log(height) for height in range(5)]
    for write_log in logs:
        db.apply(write_log)
    assert list(db.write_logs(3)) == logs[3:]
    assert list(db.write_logs(9)) == []
    assert db.write_log(9) is None


def test_verified_is_recorded(folder: Path) -> None:
    with FlatDB.create(folder, IDENTITY) as db:
        assert db.apply(WriteLog(1, root=A), verified=True).verified
        assert not db.apply(WriteLog(2, A, B)).verified
        db.apply(WriteLog(3, B))
        assert db.mark_verified(2, B) == HeightRecord(2, B, verified=True)
        assert db.mark_verified(3, C) == HeightRecord(3, C, verified=True)
        with pytest.raises(HeightConflictError):
            db.mark_verified(2, D)
        with pytest.raises(KeyError):
            db.mark_verified(9, D)
        with pytest.raises(ValueError):
            db.apply(WriteLog(4), verified=True)
        records = db.records()
    with FlatDB.open(folder) as db:
        assert db.records() == records
        assert all(record.verified for record in records)


def test_expand_adds_to_what_is_applied_and_not_to_what_is_kept(folder: Path) -> None:
    """Deleting an account key implies its slots, as a scheme of two-part keys would say."""

    def expand(write_log: WriteLog) -> WriteLog:
        clear = tuple(key + b"\0" for key, value in write_log.writes if value is None and len(key) == 1)
        return WriteLog(write_log.height, clear=clear, writes=write_log.writes)

    with FlatDB.create(folder, IDENTITY, expand=expand) as db:
        db.apply(WriteLog(1, writes=((b"a", b"1"), (b"a\0x", b"2"), (b"b", b"3"))))
        deletion = WriteLog(2, writes=((b"a", None),))
        assert list(db.preview(deletion)) == [(b"b", b"3")]
        db.apply(deletion)
        assert list(db.scan()) == [(b"b", b"3")]
        assert db.write_log(2) == deletion


def test_what_expand_returns_is_validated_too(folder: Path) -> None:
    with FlatDB.create(folder, IDENTITY, expand=lambda _: WriteLog(1, clear=(b"b", b"a"))) as db:
        with pytest.raises(InvalidWriteLogError):
            db.apply(WriteLog(1))
        assert db.head is None


def test_limits_are_the_handle_s(folder: Path) -> None:
    with (
        FlatDB.create(folder, IDENTITY, limits=StoreLimits(value_bytes_max=3)) as db,
        pytest.raises(InvalidWriteLogError),
    ):
        db.apply(WriteLog(1, writes=((b"a", b"four"),)))


def test_preview_stays_at_its_moment(db: FlatDB) -> None:
    db.apply(WriteLog(1, writes=((b"a", b"1"), (b"c", b"3"))))
    preview = db.preview(WriteLog(2, writes=((b"b", b"2"),)))
    assert next(preview) == (b"a", b"1")
    db.apply(WriteLog(2, clear=(b"",)))
    assert list(preview) == [(b"b", b"2"), (b"c", b"3")]


def test_a_second_writer_is_told_that_the_database_is_locked(db: FlatDB, folder: Path) -> None:
    with pytest.raises(DatabaseLockedError):
        FlatDB.open(folder)
    with pytest.raises(DatabaseLockedError):
        FlatDB.stage(folder, IDENTITY, b"key")
    script = "import sys, pathlib, flatdb; flatdb.FlatDB.open(pathlib.Path(sys.argv[1]))"
    other = run(script, folder)
    assert other.returncode == 1
    assert "DatabaseLockedError" in other.stderr
    db.apply(WriteLog(1))


def test_reading_beside_a_writer(db: FlatDB, folder: Path) -> None:
    """In this process and in another; the reader stays where it was opened, and cannot write."""
    db.apply(random_log(1))
    expected = list(db.scan())
    with FlatDB.open(folder, read_only=True) as reader:
        db.apply(random_log(2))
        db.flush()
        assert reader.head == HeightRecord(1, None, verified=False)
        assert list(reader.scan()) == expected
        for write in (lambda: reader.apply(WriteLog(2)), reader.flush, lambda: reader.freeze("directory")):
            with pytest.raises(DatabaseReadOnlyError):
                write()
        assert list(reader.check()) == []
    script = (
        "import sys, pathlib, flatdb\n"
        "with flatdb.FlatDB.open(pathlib.Path(sys.argv[1]), read_only=True) as db:\n"
        "    print(db.head.height, len(list(db.scan())), list(db.check()))"
    )
    assert run(script, folder).stdout == f"2 {len(list(db.scan()))} []\n"


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, str(folder)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    for read_only in (False, True):
        with pytest.raises(DatabaseNotFoundError):
            FlatDB.open(tmp_path / "absent", read_only=read_only)
    assert not (tmp_path / "absent").exists()


def test_creating_where_something_is(db: FlatDB, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    db.close()
    for path in (folder, tmp_path / "file", tmp_path / "full"):
        with pytest.raises(DatabaseExistsError):
            FlatDB.create(path, IDENTITY)
        with pytest.raises(DatabaseExistsError):
            FlatDB.stage(path, IDENTITY, b"key")


def test_creation_that_was_killed_is_no_database_and_may_be_repeated(folder: Path) -> None:
    """The RocksDB directory is there and its first batch is not."""
    Store.create(folder / "rocksdb").close()
    with pytest.raises(DatabaseNotFoundError):
        FlatDB.open(folder)
    FlatDB.create(folder, IDENTITY).close()


def test_closing_ends_all_that_reads(folder: Path) -> None:
    """Fails if an iterator or a view outlives close: the lock would stay, and nothing could open the database."""
    db = FlatDB.create(folder, IDENTITY)
    db.apply(random_log(1))
    readers: list[Iterator[object]] = [db.scan(), db.preview(random_log(2)), db.freeze().items(), db.write_logs(0)]
    view = db.freeze("directory")
    readers.append(view.keys())
    for reader in readers:
        next(reader)
    db.close()
    db.close()
    with FlatDB.open(folder) as again:
        assert again.head == HeightRecord(1, None, verified=False)
    with pytest.raises(RuntimeError):
        db.get(b"")
    with pytest.raises(RuntimeError):
        db.apply(WriteLog(2))


def test_deleting_the_catalog_loses_nothing(folder: Path) -> None:
    with FlatDB.create(folder, IDENTITY) as db:
        Catalog.open(folder / CATALOG_NAME).close()
        for height in range(3):
            db.apply(random_log(height))
    (folder / CATALOG_NAME).unlink()
    with FlatDB.open(folder) as db:
        assert dict(db.scan()) == random_states(3)[-1]
        assert len(list(db.write_logs(0))) == 3


def test_a_copied_mirror_opens(folder: Path, tmp_path: Path) -> None:
    """Nothing in it depends on where it lies."""
    with FlatDB.create(folder, Identity("other")) as db:
        db.apply(random_log(1))
    shutil.copytree(folder, tmp_path / "copy")
    with FlatDB.open(tmp_path / "copy") as copy:
        assert copy.identity == Identity("other")
        assert list(copy.check()) == []


def test_a_folder_without_permission(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(DatabaseAccessError):
        FlatDB.create(blocked / "mirror", IDENTITY)
