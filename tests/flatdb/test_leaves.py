"""Values that are kept apart: a mirror that does it holds what one holds that does not, and its folds read no value."""

from __future__ import annotations

import random
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatdb import FlatDB, FrozenView, HeightRecord, Identity, ValuesApart, Violation, WriteLog
from flatdb.check import check_store
from flatdb.db import ApartRule
from flatdb.errors import InvalidWriteLogError
from flatdb.leaves import Leaves
from flatdb.store import LEAVES, VALUE_HASHES, VALUES, Batch, Store
from tests.faults import SimulatedCrash, crash_before
from tests.flatdb.conftest import IDENTITY
from tests.flatdb.leaf_model import Leaves as Model
from tests.flatdb.leaf_model import after, keys, write_logs

SMALL, LARGE, OTHER = b"v", b"a large value", b"another large value"
KEY = b"restore"


def digest(value: bytes) -> bytes:
    return sha256(value).digest()


def apart(bytes_min: int) -> ApartRule:
    return lambda _: ValuesApart(bytes_min, digest)


def mark(value_hash: bytes) -> bytes:
    return b"hash " + value_hash


@settings(max_examples=25)
@given(st.data())
def test_it_is_the_model_wherever_the_values_lie(data: st.DataObject) -> None:
    """Writes, clears, previews, views and reopening with another bound, over keys that nest.

    Fails if a value that shrinks or grows leaves its old self behind, if a clear forgets a family, or if the streams
    are merged in another order than that of their keys.
    """
    leaves: Model = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mirror"
        FlatDB.create(path, IDENTITY, apart=apart(2)).close()
        for height in range(data.draw(st.integers(1, 5))):
            bytes_min = data.draw(st.integers(0, 4))
            with FlatDB.open(path, apart=apart(bytes_min)) as db:
                write_log = data.draw(write_logs(height))
                leaves = after(leaves, write_log)
                assert list(db.preview(write_log)) == sorted(leaves.items())
                db.apply(write_log)
                start, end = data.draw(keys), data.draw(st.none() | keys)
                within = sorted((k, v) for k, v in leaves.items() if k >= start and (end is None or k < end))
                assert list(db.scan(start, end)) == within
                assert all(db.get(key) == leaves.get(key) for key in (start, b"a", b"b"))
                stood_in = dict(db.scan(stand_in=mark))
                assert all(stood_in[key] in (value, mark(digest(value))) for key, value in leaves.items())
                assert len(stood_in) == len(leaves)
                with db.freeze() as one, db.freeze("directory") as other:
                    assert other.path is not None
                    for view in (one, other, FrozenView.open(other.path)):
                        assert list(view.items(start, end)) == within
                        assert list(view.keys()) == sorted(leaves)
                        assert view.get(start) == leaves.get(start)
                        view.close()
                assert list(db.check()) == []


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """One leaf of each kind: b"a" and b"c" large, b"b" small."""
    path = tmp_path / "mirror"
    with FlatDB.create(path, IDENTITY, apart=apart(10)) as db:
        db.apply(WriteLog(1, writes=((b"a", LARGE), (b"b", SMALL), (b"c", OTHER))))
    return path


def change(mirror: Path, *changes: tuple[str, bytes, bytes | None]) -> None:
    """Put into or delete from a family behind everybody's back."""
    with Store.open(mirror / "rocksdb") as store:
        batch: Batch = store.batch()
        for family, key, value in changes:
            if value is None:
                batch.delete(family, key)
            else:
                batch.put(family, key, value)
        store.commit(batch)


def test_a_scan_with_stand_ins_reads_no_value_that_is_apart(mirror: Path) -> None:
    """Fails if the values are read after all: there are none any more."""
    change(mirror, (VALUES, b"a", None), (VALUES, b"c", None))
    with FlatDB.open(mirror, apart=apart(10)) as db:
        expected = [(b"a", mark(digest(LARGE))), (b"b", SMALL), (b"c", mark(digest(OTHER)))]
        assert list(db.scan(stand_in=mark)) == expected
        pending = WriteLog(2, writes=((b"b", OTHER), (b"c", None), (b"d", LARGE)))
        assert list(db.preview(pending, stand_in=mark)) == [expected[0], (b"b", OTHER), (b"d", LARGE)]


def test_a_value_that_grows_and_shrinks_lies_in_one_place(tmp_path: Path) -> None:
    """Fails if the old self of a leaf stays in the other family, or the bound is off by one."""
    path = tmp_path / "mirror"
    FlatDB.create(path, IDENTITY, apart=apart(10)).close()
    for height, size in enumerate((9, 10, 11, 9, 10)):
        value = bytes(size)
        with FlatDB.open(path, apart=apart(10)) as db:
            db.apply(WriteLog(height, writes=((b"a", value),)))
            assert list(db.scan()) == [(b"a", value)]
            assert list(db.scan(stand_in=mark)) == [(b"a", value if size < 10 else mark(digest(value)))]
        with Store.open(path / "rocksdb", read_only=True) as store:
            near, far = store.get(LEAVES, b"a"), store.get(VALUES, b"a")
            assert (near, far) == ((value, None) if size < 10 else (None, value))


def test_small_values_pay_nothing(tmp_path: Path) -> None:
    """Fails if a mirror without values apart opens more than one cursor, or looks for a leaf in two places."""
    with FlatDB.create(tmp_path / "mirror", IDENTITY) as db:
        db.apply(WriteLog(1, writes=((b"a", LARGE),)))
    with Store.open(tmp_path / "mirror" / "rocksdb") as store:
        assert Leaves(store).families == (LEAVES,)
        assert [store.get(family, b"a") for family in (LEAVES, VALUE_HASHES, VALUES)] == [LARGE, None, None]


def test_who_opens_it_without_the_rule_sees_and_changes_the_same_leaves(mirror: Path) -> None:
    """Fails if what lies apart is found by the rule, and not because it is there."""
    with FlatDB.open(mirror) as db:
        assert list(db.scan()) == [(b"a", LARGE), (b"b", SMALL), (b"c", OTHER)]
        db.apply(WriteLog(2, writes=((b"a", OTHER), (b"c", None))))
        assert list(db.scan()) == [(b"a", OTHER), (b"b", SMALL)]
        assert list(db.check()) == []


DAMAGE: dict[str, tuple[str, tuple[str, bytes, bytes | None]]] = {
    "another value": (VALUES, (VALUES, b"a", OTHER)),
    "another hash": (VALUES, (VALUE_HASHES, b"c", digest(SMALL))),
    "a lost value": (VALUE_HASHES, (VALUES, b"a", None)),
    "a lost last value": (VALUE_HASHES, (VALUES, b"c", None)),
    "a lost hash": (VALUES, (VALUE_HASHES, b"a", None)),
    "a lost last hash": (VALUES, (VALUE_HASHES, b"c", None)),
    "a leaf twice": (LEAVES, (LEAVES, b"c", SMALL)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_where_it_is(mirror: Path, damage: str) -> None:
    """Fails if the rule that this case breaks is not checked."""
    where, what = DAMAGE[damage]
    change(mirror, what)
    with FlatDB.open(mirror, read_only=True, apart=apart(10)) as db:
        assert where in {violation.where for violation in db.check()}


def test_without_the_rule_hashes_are_not_compared(mirror: Path) -> None:
    change(mirror, (VALUE_HASHES, b"a", digest(SMALL)))
    with Store.open(mirror / "rocksdb") as store:
        assert list(check_store(store, records_kept=9)) == []
        assert list(check_store(store, records_kept=9, apart=ValuesApart(10, digest))) == [
            Violation(VALUES, "key 61 has a value of another hash")
        ]


def test_a_leaf_that_moves_while_it_is_read_is_found(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the families are looked into one after the other while somebody commits in between."""
    with FlatDB.open(mirror, apart=apart(10)) as db:
        get = Store.get

        def get_and_move(store: Store, family: str, key: bytes) -> bytes | None:
            found = get(store, family, key)
            monkeypatch.setattr(Store, "get", get)
            db.apply(WriteLog(2, writes=((b"a", SMALL),)))
            return found

        monkeypatch.setattr(Store, "get", get_and_move)
        assert db.get(b"a") == SMALL


def test_cursors_over_several_families_wait_for_a_commit(mirror: Path) -> None:
    """Fails if one is opened before a commit and the next one behind it."""
    with Store.open(mirror / "rocksdb") as store:
        opened: list[object] = []
        opening = Thread(target=lambda: opened.extend(store.cursors(LEAVES, VALUES)))
        with store._commits:
            opening.start()
            opening.join(0.05)
            assert opened == []
        opening.join()
        assert len(opened) == 2


LEAF_LIST = [(bytes([n]), bytes([n]) * (n % 20)) for n in range(1, 90)]


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("step", ["ingest", "_move_in"])
def test_a_restore_that_dies_between_two_families_goes_on(tmp_path: Path, step: str, call: int) -> None:
    """Fails if a chunk counts as staged before all of its families are loaded, or is not loaded again."""
    path = tmp_path / "mirror"
    with FlatDB.stage(path, IDENTITY, KEY, apart=apart(10)) as staging:
        with crash_before(Store, step, call=call), pytest.raises(SimulatedCrash):
            staging.ingest(b"chunk", LEAF_LIST)
        assert staging.staged() == frozenset()
    with FlatDB.stage(path, IDENTITY, KEY, apart=apart(10)) as staging:
        staging.ingest(b"chunk", LEAF_LIST)
        assert list(staging.scan()) == LEAF_LIST
        assert dict(staging.scan(stand_in=mark))[b"\x13"] == mark(digest(b"\x13" * 19))
        staging.seal(HeightRecord(3, digest(b""), verified=True))
    with FlatDB.open(path, apart=apart(10)) as db:
        assert list(db.check()) == []


def test_a_disputed_range_is_emptied_in_every_family(tmp_path: Path) -> None:
    with FlatDB.stage(tmp_path / "mirror", IDENTITY, KEY, apart=apart(10)) as staging:
        staging.ingest(b"old", LEAF_LIST)
        staging.replace(b"new", [(b"\x05", LARGE)], b"", None, obsolete={b"old": (b"", None)})
        assert list(staging.scan()) == [(b"\x05", LARGE)]
        staging.replace(b"newest", [(b"\x05", SMALL)], b"", None, obsolete={b"new": (b"", None)})
        assert list(staging.scan()) == list(staging.scan(stand_in=mark)) == [(b"\x05", SMALL)]


def test_a_restore_that_stored_nothing_gives_way_in_every_family(tmp_path: Path) -> None:
    path = tmp_path / "mirror"
    with (
        FlatDB.stage(path, IDENTITY, KEY, apart=apart(10)) as staging,
        crash_before(Store, "commit"),
        pytest.raises(SimulatedCrash),
    ):
        staging.ingest(b"chunk", LEAF_LIST)
    with FlatDB.stage(path, Identity("other"), b"other") as staging:
        assert list(staging.scan()) == []


@pytest.mark.parametrize("at", [1, 40])
def test_leaves_out_of_order_load_nothing(tmp_path: Path, at: int, rng: random.Random) -> None:
    """Fails if the order is judged family by family: a small leaf and a large one may have changed places."""
    disordered = list(LEAF_LIST)
    disordered[at], disordered[at + 1] = disordered[at + 1], disordered[at]
    with FlatDB.stage(tmp_path / "mirror", IDENTITY, KEY, apart=apart(10)) as staging:
        with pytest.raises(InvalidWriteLogError) as caught:
            staging.ingest(b"chunk", disordered)
        assert caught.value.entry == f"items[{at + 1}]"
        assert list(staging.scan()) == []
