"""Column families, cursors, batches and bulk loads, and what damaged files turn into."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flatdb import store as store_module
from flatdb.errors import (
    DatabaseAccessError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseNotFoundError,
    InvalidWriteLogError,
)
from flatdb.store import FAMILIES, LEAVES, META, Store
from tests.faults import cut, flip_bit

ITEMS = [(index.to_bytes(3, "big"), bytes(20)) for index in range(20_000)]
COLUMNS = [key for key, _ in ITEMS], [value for _, value in ITEMS]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rocksdb"


@pytest.fixture
def loaded(path: Path) -> Path:
    with Store.create(path) as store:
        store.ingest(LEAVES, *COLUMNS, path.parent / "table.sst")
    return path


def test_a_batch_spans_families_and_keeps_its_order(path: Path) -> None:
    with Store.create(path) as store:
        for round_ in (b"1", b"2"):
            batch = store.batch()
            batch.delete_range(LEAVES, b"", None)
            for family in FAMILIES:
                batch.put(family, b"", round_)
                batch.put(family, b"\xff" * 8191, round_)
            batch.put(LEAVES, b"gone", b"")
            batch.delete(LEAVES, b"gone")
            store.commit(batch)
        for family in FAMILIES:
            assert list(store.items(family)) == [(b"", b"2"), (b"\xff" * 8191, b"2")]


def test_commits_are_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if a commit is acknowledged before it is on disk, which no kill -9 can show: only a power cut."""
    with Store.create(path) as store:
        synced = []

        class Spy:
            def write(self, _: object, options: object) -> None:
                synced.append(options.sync)  # type: ignore[attr-defined]

        batch = store.batch()
        with monkeypatch.context() as patch:
            patch.setattr(store, "_rocks", Spy())
            store.commit(batch)
        assert synced == [True]


def test_a_cursor_does_not_see_later_writes(path: Path) -> None:
    with Store.create(path) as store:
        cursor = store.cursor(META)
        batch = store.batch()
        batch.put(META, b"a", b"")
        store.commit(batch)
        assert list(cursor.items()) == []
        assert cursor.get(b"a") is None
        assert list(store.cursor(META).keys()) == [b"a"]
        cursor.close()
        with pytest.raises(RuntimeError):
            cursor.items()


def test_a_new_pass_of_a_cursor_ends_the_one_before(loaded: Path) -> None:
    with Store.open(loaded) as store:
        cursor = store.cursor(LEAVES)
        first = cursor.items()
        next(first)
        assert list(cursor.items(b"\0\0\1", b"\0\0\3")) == ITEMS[1:3]
        assert list(first) == []


def test_bulk_load_over_what_is_there(loaded: Path) -> None:
    table = loaded.parent / "table.sst"
    with Store.open(loaded) as store:
        store.ingest(LEAVES, [ITEMS[5][0]], [b"new"], table)
        store.ingest(LEAVES, [], [], table)
        with pytest.raises(InvalidWriteLogError) as caught:
            store.ingest(LEAVES, [ITEMS[2][0], ITEMS[1][0], ITEMS[0][0]], [b"", b"", b""], table)
        assert caught.value.entry == "items[1]"
        assert not table.exists()
        assert store.get(LEAVES, ITEMS[5][0]) == b"new"
        assert sum(1 for _ in store.items(LEAVES)) == len(ITEMS)


def table_of(path: Path) -> Path:
    return max(path.glob("*.sst"), key=lambda table: table.stat().st_size)


def read_all(path: Path) -> None:
    with Store.open(path) as store:
        assert sum(1 for _ in store.items(LEAVES)) == len(ITEMS)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "bit flipped in a data block": lambda path: flip_bit(table_of(path), table_of(path).stat().st_size // 2),
    "table cut": lambda path: cut(table_of(path), table_of(path).stat().st_size // 2),
    "table empty": lambda path: cut(table_of(path), 0),
    "table missing": lambda path: table_of(path).unlink(),
    "list of files cut": lambda path: cut(next(path.glob("MANIFEST-*")), 20),
    "list of files missing": lambda path: next(path.glob("MANIFEST-*")).unlink(),
    "pointer garbled": lambda path: flip_bit(path / "CURRENT", 3) or None,
    "pointer empty": lambda path: cut(path / "CURRENT", 0),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_never_passes_for_the_end_of_the_state(loaded: Path, damage: str) -> None:
    """Fails if iteration ends silently at a damaged block, as Rdict.items does."""
    DAMAGE[damage](loaded)
    with pytest.raises(DatabaseCorruptError):
        read_all(loaded)


@pytest.mark.parametrize("offset", range(0, 3000, 211))
def test_a_flipped_bit_anywhere_is_harmless_or_noticed(loaded: Path, offset: int) -> None:
    flip_bit(table_of(loaded), -1 - offset)
    try:
        with Store.open(loaded) as store:
            assert list(store.items(LEAVES)) == ITEMS
    except DatabaseError:
        gc.collect()


def test_keys_only_passes_and_point_reads_notice_damage_too(loaded: Path) -> None:
    flip_bit(table_of(loaded), table_of(loaded).stat().st_size // 2)
    with Store.open(loaded) as store:
        with pytest.raises(DatabaseCorruptError):
            list(store.cursor(LEAVES).keys())
        with pytest.raises(DatabaseCorruptError):
            any(store.get(LEAVES, key) is None for key, _ in ITEMS)


def test_nothing_is_made_where_nothing_is(path: Path) -> None:
    for read_only in (False, True):
        with pytest.raises(DatabaseNotFoundError):
            Store.open(path, read_only=read_only)
    assert not path.exists()


def test_a_closed_store_says_so(path: Path) -> None:
    store = Store.create(path)
    store.close()
    store.close()
    for call in (lambda: store.get(META, b""), lambda: store.cursor(META), store.batch, store.flush):
        with pytest.raises(RuntimeError):
            call()


class Refusing:
    """Stands for a part of RocksDB on a full disk, which refuses whatever it is asked."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def refuse(*_: object) -> None:
            raise Exception(f"IO error: No space left on device: {name}")

        return refuse


@pytest.fixture
def full(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An open Store, all of whose parts refuse."""
    with Store.create(path) as store, monkeypatch.context() as patch:
        patch.setattr(store, "_families", {family: Refusing() for family in FAMILIES})
        patch.setattr(store, "_rocks", Refusing())
        yield store


def test_each_refusal_of_the_disk_is_translated(full: Store, tmp_path: Path) -> None:
    """Fails if a bare Exception of rocksdict gets out of any call."""
    for call in (
        lambda: full.get(META, b""),
        lambda: full.cursor(META),
        full.flush,
        lambda: full.ingest(LEAVES, *COLUMNS, tmp_path / "table.sst"),
    ):
        with pytest.raises(DatabaseAccessError) as caught:
            call()
        assert caught.value.path == full.path
    assert not (tmp_path / "table.sst").exists()


def test_after_a_failed_commit_every_write_is_refused(full: Store) -> None:
    """Fails if a write goes on after one whose outcome is unknown."""
    batch = full.batch()
    with pytest.raises(DatabaseAccessError) as first:
        full.commit(batch)
    for write in (full.batch, full.flush, lambda: full.commit(batch)):
        with pytest.raises(DatabaseAccessError) as again:
            write()
        assert again.value is first.value


def test_closing_reports_what_could_not_be_written_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.create(path)
    with monkeypatch.context() as patch:
        patch.setattr(store, "_families", {LEAVES: Refusing()})
        with pytest.raises(DatabaseAccessError):
            store.close()
    store.close()


def test_a_table_that_cannot_be_built(path: Path, tmp_path: Path) -> None:
    with Store.create(path) as store:
        with pytest.raises(DatabaseError):
            store.ingest(LEAVES, *COLUMNS, tmp_path / "absent" / "table.sst")
        assert list(store.items(LEAVES)) == []
        with pytest.raises(DatabaseError):
            store.checkpoint(tmp_path)


def test_a_reader_tries_again_when_the_writer_moves_files_away(loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if one lost race between reading the list of files and opening them is taken for damage."""
    outcomes: list[DatabaseError] = [
        DatabaseCorruptError(loaded, "no such file"),
        DatabaseCorruptError(loaded, "again"),
    ]
    open_rocks = store_module._open_rocks

    def losing(*arguments: Any) -> Any:
        if outcomes:
            raise outcomes.pop()
        return open_rocks(*arguments)

    monkeypatch.setattr(store_module, "_open_rocks", losing)
    with Store.open(loaded, read_only=True) as store:
        assert sum(1 for _ in store.items(LEAVES)) == len(ITEMS)
    outcomes.extend([DatabaseCorruptError(loaded, "for good")] * 100)
    with pytest.raises(DatabaseCorruptError):
        Store.open(loaded, read_only=True)


@pytest.mark.parametrize("step", ["__setitem__", "finish"])
def test_a_disk_that_fills_up_while_a_table_is_built(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class FullWriter:
        def __init__(self, _: object) -> None:
            pass

        def open(self, name: str) -> None:
            Path(name).touch()

        def __setitem__(self, key: bytes, value: bytes) -> None:
            if step == "__setitem__":
                raise Exception("IO error: No space left on device")

        def finish(self) -> None:
            raise Exception("IO error: No space left on device")

    monkeypatch.setattr(store_module, "SstFileWriter", FullWriter)
    with Store.create(path) as store:
        with pytest.raises(DatabaseAccessError):
            store.ingest(LEAVES, *COLUMNS, tmp_path / "table.sst")
        assert list(store.items(LEAVES)) == []
    assert not (tmp_path / "table.sst").exists()
