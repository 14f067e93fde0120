"""Processes killed at any instant, power cuts and full disks: on reopening exactly one height, and check() is clean."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flatdb import FlatDB, Preset
from flatdb.errors import DatabaseAccessError, FlatDBError
from flatdb.store import Store
from tests.faults import ROOT, SimulatedCrash, crash_before, cut, flip_bit, kill_after_lines
from tests.flatdb.conftest import IDENTITY
from tests.flatdb.leaf_model import random_log, random_states

APPLY = """
import sys, pathlib
from flatdb import FlatDB, Preset
from tests.flatdb.leaf_model import random_log
with FlatDB.open(pathlib.Path(sys.argv[1]), preset=sys.argv[2]) as db:
    print("open")
    height = db.head.height + 1 if db.head else 0
    while True:
        db.apply(random_log(height))
        print(height)
        if height % 50 == 0:
            db.flush()
        height += 1
"""


def see_one_height(folder: Path, acknowledged: int) -> int:
    """Open what a crash left and hold it to the model; returns its height."""
    with FlatDB.open(folder) as db:
        height = db.head.height if db.head else -1
        assert height >= acknowledged, "an acknowledged height is lost"
        assert [record.height for record in db.records()] == list(range(max(0, height - 1023), height + 1))
        states = random_states(height + 1)
        assert dict(db.scan()) == (states[-1] if states else {})
        assert sum(1 for _ in db.freeze().blobs()) == height + 1
        assert list(db.check()) == []
    return height


def kill_again_and_again(folder: Path, rng: random.Random, preset: Preset, kill_count: int) -> None:
    FlatDB.create(folder, IDENTITY).close()
    acknowledged = -1
    for _ in range(kill_count):
        pause_s = rng.random() * 0.003  # the kill may fall anywhere between two heights, and within one
        lines = kill_after_lines(
            APPLY, str(folder), preset, line_count=rng.randint(1, 12), delay=lambda pause_s=pause_s: time.sleep(pause_s)
        )
        acknowledged = max([acknowledged, *map(int, lines[1:])])
        acknowledged = see_one_height(folder, acknowledged)


@pytest.mark.parametrize("preset", Preset)
def test_kill_9_during_apply(folder: Path, rng: random.Random, preset: Preset) -> None:
    """Fails if a height is written in two batches, or acknowledged before the kernel has it."""
    kill_again_and_again(folder, rng, preset, kill_count=8)


@pytest.mark.slow
@pytest.mark.parametrize("preset", Preset)
def test_kill_9_during_apply_many_times(folder: Path, rng: random.Random, preset: Preset) -> None:
    kill_again_and_again(folder, rng, preset, kill_count=60)


@pytest.fixture(params=[Preset.LOAD, Preset.FOLLOW])
def eight_heights(folder: Path, request: pytest.FixtureRequest) -> Path:
    """A mirror as a killed process leaves it: eight heights, all in RocksDB's log and none in tables."""
    script = APPLY.replace("height % 50 == 0", "False")
    FlatDB.create(folder, IDENTITY).close()
    kill_after_lines(
        script.replace("while True", "while height < 8") + "    sys.stdin.read()",
        str(folder),
        request.param,
        line_count=9,
    )
    return folder


def newest_log(folder: Path) -> Path:
    return max((folder / "rocksdb").glob("*.log"), key=lambda path: int(path.stem))


def test_a_power_cut_leaves_one_height_wherever_it_cuts_the_log(eight_heights: Path, tmp_path: Path) -> None:
    """Whatever part of RocksDB's log reached the disk, one whole height opens. Fails for two batches a height."""
    size = newest_log(eight_heights).stat().st_size
    heights = set()
    for kept in [*range(0, size, size // 40), size]:
        copy = tmp_path / f"cut-{kept}"
        shutil.copytree(eight_heights, copy)
        cut(newest_log(copy), kept)
        heights.add(see_one_height(copy, acknowledged=7 if kept == size else -1))
    assert len(heights) > 4


def test_a_flipped_bit_in_the_log_never_gives_a_mixed_height(eight_heights: Path, tmp_path: Path) -> None:
    size = newest_log(eight_heights).stat().st_size
    for offset in range(10, size, size // 20):
        copy = tmp_path / f"flip-{offset}"
        shutil.copytree(eight_heights, copy)
        flip_bit(newest_log(copy), offset)
        try:
            see_one_height(copy, acknowledged=-1)
        except FlatDBError:
            continue


def test_a_crash_before_the_commit_changes_nothing(folder: Path) -> None:
    with FlatDB.create(folder, IDENTITY) as db:
        db.apply(random_log(0))
        with crash_before(Store, "commit"), pytest.raises(SimulatedCrash):
            db.apply(random_log(1))
        assert db.head is not None
        assert db.head.height == 0
        db.apply(random_log(1))
    assert see_one_height(folder, acknowledged=1) == 1


FULL_DISK = """
import sys, pathlib
from flatdb import FlatDB, Preset
from flatdb.errors import DatabaseAccessError
from tests.faults import limit_file_size
from tests.flatdb.leaf_model import random_log
with FlatDB.open(pathlib.Path(sys.argv[1]), preset=sys.argv[2]) as db:
    limit_file_size(60_000)
    for height in range(1000):
        try:
            db.apply(random_log(height))
        except DatabaseAccessError:
            break
    try:
        db.apply(random_log(height))
    except DatabaseAccessError:
        print(db.head.height)
"""


@pytest.mark.parametrize("preset", Preset)
def test_a_full_disk_is_a_typed_refusal_and_loses_nothing(folder: Path, preset: Preset) -> None:
    """Fails if the handle goes on after a failed write, or close() hides the refusal behind another error."""
    FlatDB.create(folder, IDENTITY).close()
    command = [sys.executable, "-c", FULL_DISK, str(folder), preset]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    acknowledged = int(done.stdout)
    assert acknowledged > 2
    assert see_one_height(folder, acknowledged) in (acknowledged, acknowledged + 1)


def test_a_failed_flush_at_closing_is_reported(folder: Path) -> None:
    script = """
import sys, pathlib
from flatdb import FlatDB, Preset
from flatdb.errors import DatabaseAccessError
from tests.faults import limit_file_size
from tests.flatdb.leaf_model import random_log
db = FlatDB.open(pathlib.Path(sys.argv[1]))
for height in range(10):
    db.apply(random_log(height))
limit_file_size(500)
for attempt in (db.flush, lambda: db.freeze("directory")):
    try:
        attempt()
    except DatabaseAccessError:
        print("refused")
"""
    FlatDB.create(folder, IDENTITY).close()
    done = subprocess.run([sys.executable, "-c", script, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "refused\nrefused\n", done.stderr
    assert see_one_height(folder, acknowledged=9) == 9


def test_the_refusal_names_the_folder(tmp_path: Path) -> None:
    assert DatabaseAccessError(tmp_path, "No space left on device").path == tmp_path
