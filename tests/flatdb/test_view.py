"""Both makers of a frozen view, held to the same promises while the mirror moves on."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Literal

import pytest

from flatdb import FlatDB, FrozenView, HeightRecord, WriteLog
from flatdb.errors import DatabaseNotFoundError
from tests.faults import ROOT
from tests.flatdb.conftest import IDENTITY
from tests.flatdb.leaf_model import random_log, random_states

Maker = Literal["iterators", "directory"]
MAKERS: tuple[Maker, ...] = ("iterators", "directory")
each_maker = pytest.mark.parametrize("maker", MAKERS)

STATES = random_states(12)


@pytest.fixture
def at_four(db: FlatDB) -> FlatDB:
    for height in range(5):
        db.apply(random_log(height))
    return db


def go_on(db: FlatDB) -> None:
    """Seven more heights, with a flush and a clear of everything among them."""
    for height in range(5, 11):
        db.apply(random_log(height))
        if height == 7:
            db.flush()
    db.apply(WriteLog(11, clear=(b"",)))
    db.flush()


@each_maker
def test_a_view_stays_where_it_was_frozen(at_four: FlatDB, maker: Maker) -> None:
    """Fails for a maker that reads through a Snapshot, which does not isolate iteration."""
    expected = sorted(STATES[4].items())
    with at_four.freeze(maker) as view:
        begun = view.items()
        head = [next(begun) for _ in range(3)]
        go_on(at_four)
        assert view.head == HeightRecord(4, None, verified=False)
        assert head + list(begun) == expected
        assert list(view.items()) == expected
        assert list(view.keys()) == [key for key, _ in expected]
        assert [view.get(key) for key, _ in expected] == [value for _, value in expected]
        assert view.get(b"absent") is None
        assert [int.from_bytes(digest, "big") for digest, _ in view.blobs()] == list(range(5))
        assert view.blob((4).to_bytes(32, "big")) is not None
        assert view.blob((5).to_bytes(32, "big")) is None
    assert list(at_four.scan()) == []


@each_maker
def test_ranges(at_four: FlatDB, maker: Maker, rng: random.Random) -> None:
    with at_four.freeze(maker) as view:
        for _ in range(50):
            start, end = rng.randbytes(rng.randrange(3)), rng.choice([None, rng.randbytes(rng.randrange(3))])
            expected = sorted(key for key in STATES[4] if key >= start and (end is None or key < end))
            assert list(view.keys(start, end)) == expected
            assert [key for key, _ in view.items(start, end)] == expected


@each_maker
def test_views_of_several_heights_at_once(db: FlatDB, maker: Maker) -> None:
    views = []
    for height in range(6):
        db.apply(random_log(height))
        views.append(db.freeze(maker, iterator_count=1))
    for height, view in enumerate(views):
        assert dict(view.items()) == STATES[height]


@each_maker
def test_several_passes_at_the_same_time(at_four: FlatDB, maker: Maker) -> None:
    with at_four.freeze(maker, iterator_count=3) as view:
        interleaved = list(zip(view.items(), view.keys(), view.items(), strict=True))
        assert [row[0] for row in interleaved] == sorted(STATES[4].items())


def test_a_pass_too_many_is_refused_and_one_that_ended_makes_room(at_four: FlatDB) -> None:
    with at_four.freeze("iterators", iterator_count=1) as view:
        first = view.keys()
        next(first)
        with pytest.raises(RuntimeError):
            next(view.keys())
        list(first)
        assert len(list(view.keys())) == len(STATES[4])
    with pytest.raises(ValueError):
        at_four.freeze("iterators", iterator_count=0)


@each_maker
def test_reading_from_several_threads_while_the_writer_goes_on(at_four: FlatDB, maker: Maker) -> None:
    """Fails if a view sees any of the writes that happen while it is read."""
    results: list[dict[bytes, bytes]] = []
    with at_four.freeze(maker, iterator_count=3) as view:
        threads = [threading.Thread(target=lambda: results.append(dict(view.items()))) for _ in range(3)]
        for thread in threads:
            thread.start()
        go_on(at_four)
        for thread in threads:
            thread.join()
    assert results == [STATES[4]] * 3


@each_maker
def test_a_closed_view_reads_no_more(at_four: FlatDB, maker: Maker) -> None:
    view = at_four.freeze(maker)
    begun = view.items()
    next(begun)
    view.close()
    view.close()
    assert list(begun) == []
    with pytest.raises(RuntimeError):
        next(view.items())
    with pytest.raises(RuntimeError):
        view.get(b"")


@each_maker
def test_a_view_of_an_empty_mirror(db: FlatDB, maker: Maker) -> None:
    with db.freeze(maker) as view:
        db.apply(random_log(0))
        assert (view.head, list(view.items()), list(view.blobs())) == (None, [], [])


def test_another_process_reads_a_directory(at_four: FlatDB) -> None:
    script = (
        "import sys, pathlib, flatdb\n"
        "with flatdb.FrozenView.open(pathlib.Path(sys.argv[1])) as view:\n"
        "    print(view.head.height, len(list(view.items())))"
    )
    with at_four.freeze("directory") as view:
        go_on(at_four)
        assert view.path is not None
        with FrozenView.open(view.path) as same:
            assert dict(same.items()) == STATES[4]
        done = subprocess.run([sys.executable, "-c", script, str(view.path)], cwd=ROOT, capture_output=True, text=True)
        assert done.stdout == f"4 {len(STATES[4])}\n", done.stderr
        assert dict(view.items()) == STATES[4]


def test_directories_are_removed_on_closing_and_after_a_crash(folder: Path) -> None:
    db = FlatDB.create(folder, IDENTITY)
    view = db.freeze("directory")
    assert view.path is not None
    view.close()
    assert not view.path.exists()
    left_over = folder / "views" / "1"
    left_over.mkdir(parents=True)
    (left_over / "000009.sst").touch()
    db.close()
    with FlatDB.open(folder, read_only=True):
        assert left_over.exists()
    with FlatDB.open(folder) as db, db.freeze("directory") as view:
        assert view.path is not None
        assert list(left_over.parent.iterdir()) == [view.path]


def test_opening_a_view_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFoundError):
        FrozenView.open(tmp_path / "gone")
