"""From oasis-1 checkpoints to mirrors: whole or closed, and never from the beginning again."""

from __future__ import annotations

from pathlib import Path

import pytest

from flatdb import FlatDB, HeightRecord, Identity
from flatdb.errors import IncompleteDatabaseError
from proofs.hashing import sha512_256
from proofs.oasis.messages import Metadata
from sync.errors import DigestMismatchError, RestoreMismatchError
from sync.oasis.create import Chunking, create_checkpoint
from sync.oasis.restore import IncompleteCheckpointError, OasisRestore
from sync.oasis.restored import RestoredMirror, restore_directory
from sync.oasis.store import OasisStore
from tests.oasis_cases import NAMESPACE, numbered, root_of

PAIRS = numbered(400)
ROOT = root_of(PAIRS, version=9)


@pytest.fixture(params=[0, 12])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> OasisStore:
    found = OasisStore(tmp_path / "store")
    create_checkpoint(lambda: PAIRS, ROOT, found, chunking=Chunking(chunk_bytes=2000, threads=request.param))
    return found


def test_a_directory_becomes_a_mirror(store: OasisStore, tmp_path: Path) -> None:
    record = restore_directory(store, ROOT, tmp_path / "db")
    assert record == HeightRecord(height=9, root=ROOT.hash, verified=True)
    with FlatDB.open(tmp_path / "db") as db:
        assert db.identity == Identity("mkvs", "state", NAMESPACE)
        assert db.head == record
        assert list(db.scan()) == PAIRS
        assert not list(db.check())


def test_a_restore_continues_where_it_stopped(store: OasisStore, tmp_path: Path) -> None:
    metadata = store.metadata(ROOT)
    with RestoredMirror(tmp_path / "db", OasisRestore(ROOT, metadata)) as mirror:
        assert not mirror.continued
        for index in (0, 3):
            mirror.accept(index, store.chunk(metadata.chunk(index)))
        with pytest.raises(DigestMismatchError):
            mirror.accept(1, b"")
    with pytest.raises(IncompleteDatabaseError):
        FlatDB.open(tmp_path / "db")
    restore = OasisRestore(ROOT, metadata)
    with RestoredMirror(tmp_path / "db", restore) as mirror:
        assert mirror.continued
        assert restore.missing == set(range(len(metadata.chunks))) - {0, 3}
    restore_directory(store, ROOT, tmp_path / "db")
    with FlatDB.open(tmp_path / "db") as db:
        assert list(db.scan()) == PAIRS


def test_what_is_incomplete_never_opens(store: OasisStore, tmp_path: Path) -> None:
    """Neither when the gap was seen, nor when it is only found by the fold."""
    chunks = [store.chunk(chunk) for chunk in map(store.metadata(ROOT).chunk, range(len(store.metadata(ROOT).chunks)))]
    partial = Metadata(ROOT, tuple(map(sha512_256, chunks[:-1])))
    for error in (IncompleteCheckpointError, RestoreMismatchError):
        restore = OasisRestore(ROOT, partial)
        with RestoredMirror(tmp_path / "db", restore) as mirror:
            for chunk in list(restore.wanted()):
                mirror.accept(chunk.index, chunks[chunk.index])
            with pytest.raises(error):
                mirror.seal()
        with pytest.raises(IncompleteDatabaseError):
            FlatDB.open(tmp_path / "db")
