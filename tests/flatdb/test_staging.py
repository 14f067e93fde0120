"""A restore under way: chunks in any order, crashes at each step, and no mirror before the seal."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from flatdb import FlatDB, HeightRecord, Identity, StagingDB, StoreLimits, WriteLog
from flatdb.errors import (
    DatabaseExistsError,
    DatabaseLockedError,
    IncompleteDatabaseError,
    InvalidWriteLogError,
    RestoreKeyConflictError,
)
from flatdb.staging import CHUNK_ID_BYTES_MAX
from flatdb.store import Store
from tests.faults import SimulatedCrash, crash_before, kill_after_lines
from tests.flatdb.conftest import IDENTITY

KEY = b"manifest digest"
RECORD = HeightRecord(7, b"r" * 32, verified=True)
LEAVES = [(index.to_bytes(2, "big"), bytes([index % 256]) * (index % 40)) for index in range(1000)]
CHUNKS = {b"chunk %d" % start: LEAVES[start : start + 100] for start in range(0, 1000, 100)}
BLOBS = [(bytes([index]) * 32, b"code") for index in range(5)]


def stage(folder: Path) -> StagingDB:
    return FlatDB.stage(folder, IDENTITY, KEY)


def load_the_rest(folder: Path) -> None:
    """Continue, load what is missing, seal, and see that it is the whole state."""
    with stage(folder) as staging:
        for chunk_id in CHUNKS.keys() - staging.staged():
            staging.ingest(chunk_id, CHUNKS[chunk_id])
        staging.ingest_blobs(b"blobs", BLOBS)
        assert staging.staged() == {*CHUNKS, b"blobs"}
        assert list(staging.scan()) == LEAVES
        assert list(staging.blobs()) == BLOBS
        assert staging.blob(BLOBS[1][0]) == b"code"
        staging.seal(RECORD)
    with FlatDB.open(folder) as db:
        assert (db.head, db.identity) == (RECORD, IDENTITY)
        assert list(db.scan()) == LEAVES


def test_chunks_in_any_order_become_a_mirror_that_goes_on(folder: Path, rng: random.Random) -> None:
    chunk_ids = list(CHUNKS)
    rng.shuffle(chunk_ids)
    with stage(folder) as staging:
        for chunk_id in chunk_ids[:5]:
            staging.ingest(chunk_id, iter(CHUNKS[chunk_id]))
        assert staging.staged() == set(chunk_ids[:5])
        assert list(staging.scan(b"", None)) == sorted(leaf for chunk in chunk_ids[:5] for leaf in CHUNKS[chunk])
    load_the_rest(folder)
    with FlatDB.open(folder) as db:
        assert db.blob(BLOBS[0][0]) == b"code"
        db.apply(WriteLog(9, RECORD.root, b"s" * 32, writes=((b"\0\0", None),)))
        assert list(db.scan()) == LEAVES[1:]


def test_nothing_opens_before_the_seal(folder: Path) -> None:
    with stage(folder) as staging:
        staging.ingest(b"chunk 0", CHUNKS[b"chunk 0"])
    for read_only in (False, True):
        with pytest.raises(IncompleteDatabaseError) as caught:
            FlatDB.open(folder, read_only=read_only)
        assert caught.value.restore_key == KEY
    with pytest.raises(DatabaseExistsError):
        FlatDB.create(folder, IDENTITY)
    load_the_rest(folder)


@pytest.mark.parametrize(("identity", "key"), [(IDENTITY, b"other"), (Identity("other"), KEY)])
def test_another_restore_is_refused_and_changes_nothing(folder: Path, identity: Identity, key: bytes) -> None:
    with stage(folder) as staging:
        staging.ingest(b"chunk 0", CHUNKS[b"chunk 0"])
    with pytest.raises(RestoreKeyConflictError) as caught:
        FlatDB.stage(folder, identity, key)
    assert (caught.value.expected, caught.value.found) == (key, KEY)
    with stage(folder) as staging:
        assert staging.staged() == {b"chunk 0"}
    load_the_rest(folder)


def test_a_complete_mirror_is_not_restored_over(folder: Path) -> None:
    load_the_rest(folder)
    with pytest.raises(DatabaseExistsError):
        stage(folder)


def test_two_restores_at_once(folder: Path) -> None:
    with stage(folder), pytest.raises(DatabaseLockedError):
        stage(folder)
    load_the_rest(folder)


@pytest.mark.parametrize("step", ["_move_in", "commit"])
def test_a_crash_between_two_steps_of_a_chunk(folder: Path, step: str) -> None:
    """Before the table is moved in, and between the load and the record of it.

    Fails if the record came first: the chunk would count as staged, and its leaves would be missing.
    """
    with stage(folder) as staging:
        staging.ingest(b"chunk 0", CHUNKS[b"chunk 0"])
        with crash_before(Store, step), pytest.raises(SimulatedCrash):
            staging.ingest(b"chunk 100", CHUNKS[b"chunk 100"])
        assert staging.staged() == {b"chunk 0"}
    with stage(folder) as staging:
        assert staging.staged() == {b"chunk 0"}
    load_the_rest(folder)


@pytest.mark.parametrize("step", ["_move_in", "commit"])
def test_chunks_that_are_loaded_together_count_together(folder: Path, step: str) -> None:
    """Fails if one of them is recorded before the leaves of all are there, or is not recorded."""
    ids = (b"chunk 100", b"chunk 200")
    leaves = CHUNKS[ids[0]] + CHUNKS[ids[1]]
    columns = [key for key, _ in leaves], [value for _, value in leaves]
    with stage(folder) as staging:
        with crash_before(Store, step), pytest.raises(SimulatedCrash):
            staging.ingest_columns(ids, *columns)
        assert staging.staged() == frozenset()
    with stage(folder) as staging:
        staging.ingest_columns(ids, *columns)
        assert list(staging.scan()) == leaves
    with stage(folder) as staging:
        assert staging.staged() == set(ids)
    load_the_rest(folder)


def test_a_crash_before_the_first_batch(folder: Path) -> None:
    with crash_before(Store, "commit"), pytest.raises(SimulatedCrash):
        stage(folder)
    load_the_rest(folder)


def test_a_crash_in_the_seal_leaves_it_unsealed(folder: Path) -> None:
    with stage(folder) as staging, crash_before(Store, "commit"), pytest.raises(SimulatedCrash):
        staging.seal(RECORD)
    with pytest.raises(IncompleteDatabaseError):
        FlatDB.open(folder)
    load_the_rest(folder)


def test_a_chunk_loaded_twice_is_there_once(folder: Path) -> None:
    with stage(folder) as staging:
        for _ in range(2):
            staging.ingest(b"chunk 0", CHUNKS[b"chunk 0"])
        assert list(staging.scan()) == CHUNKS[b"chunk 0"]
    load_the_rest(folder)


def test_a_chunk_without_leaves(folder: Path) -> None:
    with stage(folder) as staging:
        staging.ingest(b"empty", [])
        staging.ingest_blobs(b"no blobs", [])
        assert staging.staged() == {b"empty", b"no blobs"}
        staging.seal(RECORD)
    with FlatDB.open(folder) as db:
        assert list(db.scan()) == []


def test_extreme_leaves(folder: Path) -> None:
    leaves = [(b"", b"the empty key"), (b"\0", b""), (b"\xff" * 8191, b"v" * 100_000)]
    with stage(folder) as staging:
        staging.ingest(b"extremes", leaves)
        assert list(staging.scan()) == leaves
        staging.seal(RECORD)


class InterruptedSourceError(Exception):
    pass


def failing() -> Iterator[tuple[bytes, bytes]]:
    yield b"a", b""
    raise InterruptedSourceError


@pytest.mark.parametrize(
    ("items", "error"),
    [
        ([(b"b", b""), (b"a", b"")], InvalidWriteLogError),
        ([(b"a", b""), (b"a", b"")], InvalidWriteLogError),
        ([(b"a", b""), (b"k" * 8192, b"")], InvalidWriteLogError),
        ([(b"a", b""), (b"b", b"v" * 101)], InvalidWriteLogError),
        (failing(), InterruptedSourceError),
    ],
)
def test_a_bad_chunk_loads_nothing(folder: Path, items: list[tuple[bytes, bytes]], error: type[Exception]) -> None:
    """What the iterable raises reaches the caller as it is."""
    with FlatDB.stage(folder, IDENTITY, KEY, limits=StoreLimits(value_bytes_max=100)) as staging:
        with pytest.raises(error):
            staging.ingest(b"bad", items)
        assert (list(staging.scan()), staging.staged()) == ([], frozenset())
        assert not list((folder / "scratch").glob("*"))
        staging.seal(RECORD)


def test_chunk_ids_have_a_size(folder: Path) -> None:
    with stage(folder) as staging:
        for chunk_id in (b"", b"x" * (CHUNK_ID_BYTES_MAX + 1)):
            with pytest.raises(ValueError):
                staging.ingest(chunk_id, [])
        staging.ingest(b"\xff" * CHUNK_ID_BYTES_MAX, [])
        staging.seal(RECORD)
        with pytest.raises(RuntimeError):
            staging.ingest(b"late", [])


SCRIPT = """
import sys, pathlib
from flatdb import FlatDB
from tests.flatdb.conftest import IDENTITY
from tests.flatdb.test_staging import CHUNKS, KEY
with FlatDB.stage(pathlib.Path(sys.argv[1]), IDENTITY, KEY) as staging:
    for chunk_id, leaves in CHUNKS.items():
        staging.ingest(chunk_id, leaves)
        print(chunk_id.decode())
    print("all"); sys.stdin.read()
"""


@pytest.mark.parametrize("line_count", [1, 4])
def test_kill_9_while_chunks_come_in(folder: Path, line_count: int) -> None:
    """Fails if a chunk that was acknowledged is not staged after the kill, or is staged without its leaves."""
    lines = kill_after_lines(SCRIPT, str(folder), line_count=line_count)
    with stage(folder) as staging:
        assert staging.staged() >= {line.encode() for line in lines} - {b"all"}
        loaded = dict(staging.scan())
        for chunk_id in staging.staged():
            assert all(loaded.get(key) == value for key, value in CHUNKS[chunk_id])
    load_the_rest(folder)


def test_a_replaced_range_leaves_nothing_behind(folder: Path) -> None:
    """What a disputed chunk held is gone, also where its successor is shorter, and where its record was never made."""
    first, second = CHUNKS[b"chunk 0"], CHUNKS[b"chunk 100"]
    disputed = [(key, b"disputed") for key, _ in first + second]
    with stage(folder) as staging:
        staging.ingest(b"disputed", disputed)
        obsolete = {b"disputed": (b"", second[-1][0] + b"\0")}
        staging.replace(b"chunk 0", first[:50], b"", second[0][0], obsolete=obsolete)
        assert staging.staged() == {b"chunk 0"}
        assert list(staging.scan()) == first[:50]
        staging.replace(b"chunk 0 again", first, b"", second[0][0], obsolete={b"chunk 0": (b"", second[0][0])})
        staging.replace(b"chunk 100", second, second[0][0], None, obsolete={})
        assert list(staging.scan()) == first + second
    with stage(folder) as staging:
        assert staging.staged() == {b"chunk 0 again", b"chunk 100"}
        assert list(staging.scan()) == first + second
        staging.seal(RECORD)


def test_a_restore_that_stored_nothing_gives_way(folder: Path) -> None:
    """Fails if a mistyped root occupies its directory, or if leaves loaded for it, and not recorded, survive."""
    with stage(folder) as staging, crash_before(Store, "commit"), pytest.raises(SimulatedCrash):
        staging.ingest(b"chunk of another root", [(b"\0stray", b"leaf")])
    with FlatDB.stage(folder, Identity("other"), b"other") as staging:
        assert (staging.identity, staging.restore_key) == (Identity("other"), b"other")
        assert list(staging.scan()) == []
    with stage(folder) as staging:
        assert staging.restore_key == KEY
    load_the_rest(folder)
