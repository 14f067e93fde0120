"""What the presets have in common, and what `load` promises about power cuts: whole heights, none behind a hole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rocksdict import Checkpoint

from flatdb import FlatDB, Preset
from flatdb import store as store_module
from flatdb.errors import DatabaseAccessError
from flatdb.rocks_options import SETTINGS
from flatdb.store import META, Store
from tests.faults import cut, kill_after_lines
from tests.flatdb.conftest import IDENTITY
from tests.flatdb.disk import Disk, watch
from tests.flatdb.leaf_model import random_log, random_states
from tests.flatdb.test_db_crash import newest_log, see_one_height


@pytest.mark.parametrize("preset", Preset)
def test_the_contract_is_the_same(folder: Path, preset: Preset) -> None:
    """Fails if a preset changes what is applied, read, frozen or refused."""
    states = random_states(40)
    with FlatDB.create(folder, IDENTITY, preset=preset) as db:
        for height in range(20):
            db.apply(random_log(height))
        view = db.freeze("directory")
        db.flush()
        for height in range(20, 40):
            db.apply(random_log(height))
        assert db.apply(random_log(39)).height == 39
        db.sync()
        assert dict(db.scan()) == states[-1]
        assert all(db.get(key) == value for key, value in states[-1].items())
        assert dict(view.items()) == states[19]
        assert db.write_log(39) == random_log(39)
        assert list(db.check()) == []
    assert see_one_height(folder, acknowledged=39) == 39


@pytest.mark.parametrize("left_by", Preset)
@pytest.mark.parametrize("preset", Preset)
def test_each_preset_opens_what_another_left(folder: Path, left_by: Preset, preset: Preset) -> None:
    """Fails if presets lay bytes on disk that others cannot read or go on with."""
    with FlatDB.create(folder, IDENTITY, preset=left_by) as db:
        db.apply(random_log(0))
        with FlatDB.open(folder, read_only=True, preset=preset) as beside:
            assert dict(beside.scan()) == random_states(1)[-1]
    with FlatDB.open(folder, preset=preset) as db:
        db.apply(random_log(1))
    assert see_one_height(folder, acknowledged=1) == 1


@pytest.mark.parametrize("preset", Preset)
def test_rocksdb_never_begins_a_log_by_itself(preset: Preset) -> None:
    assert SETTINGS[preset].unflushed_bytes_max < SETTINGS[preset].memtable_bytes


APPLY = """
import json, pathlib, sys
from dataclasses import replace
from flatdb import FlatDB, Preset
from flatdb.rocks_options import SETTINGS
from tests.flatdb.leaf_model import random_log
from tests.flatdb.disk import watch
folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
SETTINGS[Preset.LOAD] = replace(SETTINGS[Preset.LOAD], unsynced_bytes_max=40_000, unflushed_bytes_max=150_000)
with FlatDB.open(folder, preset=Preset.LOAD) as db:
    disk = watch(db)
    for height in range(count):
        db.apply(random_log(height))
        print(json.dumps([height, disk.durable, disk.sizes()]))
    sys.stdin.read()
"""


@pytest.mark.parametrize("count", [3, 10, 33, 60])
def test_a_power_cut_takes_only_the_last_heights_and_whole(folder: Path, tmp_path: Path, count: int) -> None:
    """Fails if a log is begun behind one that is not synced, or a height is said to be durable that is not.

    Each log is cut to what was synced, and to more: what a disk may hold after a power cut.
    """
    FlatDB.create(folder, IDENTITY).close()
    states = [json.loads(line) for line in kill_after_lines(APPLY, str(folder), str(count), line_count=count)]
    for _, durable, sizes in states:
        newest = max(sizes)
        assert all(durable.get(name, 0) == size for name, size in sizes.items() if name != newest)
    assert count < 60 or len({name for state in states for name in state[2]}) > 2, "no log was followed by another"
    safe = max((before[0] for before, after in pairwise(states) if before[1] != after[1]), default=-1)
    name, size = newest_log(folder).name, newest_log(folder).stat().st_size
    synced = states[-1][1].get(name, 0)
    for kept in [*range(synced, size, max(1, (size - synced) // 12)), size]:
        copy = tmp_path / f"cut-{kept}"
        shutil.copytree(folder, copy)
        cut(newest_log(copy), kept)
        found = see_one_height(copy, acknowledged=count - 1 if kept == size else safe)
        with FlatDB.open(copy, preset=Preset.LOAD) as db:
            for height in range(found + 1, count + 3):
                db.apply(random_log(height))
        assert see_one_height(copy, acknowledged=count + 2) == count + 2


def test_heights_wait_for_the_disk_together(folder: Path) -> None:
    """Fails if `load` syncs each height, or another preset does not."""
    for preset, expected in ((Preset.LOAD, False), (Preset.FOLLOW, True), (Preset.SERVE, True)):
        shutil.rmtree(folder, ignore_errors=True)
        with FlatDB.create(folder, IDENTITY, preset=preset) as db:
            disk = watch(db)
            db.apply(random_log(0))
            assert (disk.durable == disk.sizes()) is expected


@pytest.mark.parametrize(
    "settle",
    [
        FlatDB.sync,
        FlatDB.flush,
        FlatDB.freeze,
        lambda db: db.freeze("directory"),
        lambda db: db.mark_verified(0, bytes(32)),
        FlatDB.close,
    ],
    ids=["sync", "flush", "freeze", "directory", "mark_verified", "close"],
)
def test_what_says_durable_syncs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, settle: Callable[[FlatDB], object]
) -> None:
    """Fails if one of them returns while heights are only in the kernel's memory."""
    monkeypatch.setattr(store_module, "Checkpoint", lambda disk: Checkpoint(disk._rocks))
    with FlatDB.create(folder, IDENTITY, preset=Preset.LOAD) as db:
        disk = watch(db)
        db.apply(random_log(0))
        before = disk.sizes()
        assert disk.durable != before
        settle(db)
        assert disk.durable.keys() == before.keys()
        assert all(disk.durable[name] >= size for name, size in before.items())


def test_an_interrupt_while_a_height_is_written_leaves_it_to_be_synced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if bytes are counted only after the write, which Ctrl-C may skip: close would then not sync them."""
    with FlatDB.create(folder, IDENTITY, preset=Preset.LOAD) as db:
        disk = watch(db)

        def interrupted(batch: Any, options: Any) -> None:
            disk._rocks.write(batch, options)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(disk, "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                db.apply(random_log(0))
        sizes = disk.sizes()
        db.close()
        assert disk.durable == sizes
    assert see_one_height(folder, acknowledged=0) == 0


@pytest.mark.parametrize("closing", [False, True])
def test_a_failed_sync_is_reported_and_nothing_is_written_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closing: bool
) -> None:
    """Fails if what may be lost passes for durable."""
    store = Store.create(tmp_path / "rocksdb", preset=Preset.LOAD)
    batch = store.batch()
    batch.put(META, b"a", b"")
    store.commit(batch)
    disk = Disk(store._rocks, store.path)
    monkeypatch.setattr(store, "_rocks", disk)

    def refuse(*, sync: bool) -> None:
        raise Exception("IO error: No space left on device")

    monkeypatch.setattr(disk, "flush_wal", refuse)
    with pytest.raises(DatabaseAccessError):
        (store.close if closing else store.sync)()
    if not closing:
        for write in (store.batch, store.sync, lambda: store.commit(batch)):
            with pytest.raises(DatabaseAccessError):
                write()
    store.close()
    Store.open(tmp_path / "rocksdb").close()


def commit_unsynced(store: Store) -> tuple[Disk, dict[str, int]]:
    """One commit that is not on the disk yet; how long the logs are."""
    disk = Disk(store._rocks, store.path)
    store._rocks = disk  # type: ignore[assignment]
    batch = store.batch()
    batch.put(META, b"a", b"")
    store.commit(batch)
    written = disk.sizes()
    assert disk.durable != written
    return disk, written


def test_a_table_is_not_moved_in_before_what_was_committed_is_durable(tmp_path: Path) -> None:
    """Fails if a power cut could leave a table, which is durable at once, and take the commits before it."""
    with Store.create(tmp_path / "rocksdb", preset=Preset.LOAD) as store:
        disk, written = commit_unsynced(store)
        store.ingest(store_module.LEAVES, [b"a"], [b"b"], tmp_path / "table")
        assert all(disk.durable[name] >= size for name, size in written.items())


def test_a_checkpoint_directory_holds_only_what_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "Checkpoint", lambda disk: Checkpoint(disk._rocks))
    with Store.create(tmp_path / "rocksdb", preset=Preset.LOAD) as store:
        disk, written = commit_unsynced(store)
        store.checkpoint(tmp_path / "checkpoint")
        assert all(disk.durable.get(name, 0) >= size for name, size in written.items())


def test_families_are_flushed_together_where_commits_are_not_synced(tmp_path: Path) -> None:
    """Fails if a table of one family could hold what the log, and so another family, has lost."""
    with Store.create(tmp_path / "rocksdb", preset=Preset.LOAD) as store:
        newest = max(store.path.glob("OPTIONS-*"), key=lambda path: path.stat().st_mtime_ns)
        assert "atomic_flush=true" in newest.read_text()


def test_a_batch_is_counted_for_more_than_it_takes(tmp_path: Path, rng: Random) -> None:
    """Fails if memtables could fill up, and a log end, before the store's own count says so."""
    with Store.create(tmp_path / "rocksdb", preset=Preset.LOAD) as store:
        counted = 0
        for value_bytes in (0, 1, 100, 5_000):
            batch = store.batch()
            for _ in range(20_000 if value_bytes < 5_000 else 1_000):
                batch.put(store_module.LEAVES, rng.randbytes(4), bytes(value_bytes))
                batch.delete(store_module.LEAVES, rng.randbytes(4))
            counted += batch.size_bytes
            store.commit(batch)
        held = store._families[store_module.LEAVES].property_int_value("rocksdb.cur-size-active-mem-table")
        assert 2**20 < held < counted
