"""Checkpoints on disk as a node lays them out; whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proofs.hashing import sha512_256
from proofs.oasis.messages import IO, Metadata, OasisRoot
from sync.errors import CheckpointCorruptError, CheckpointExistsError, CheckpointNotFoundError, StoreAccessError
from sync.oasis.create import create_checkpoint
from sync.oasis.store import OasisStore
from tests.oasis_cases import numbered, root_of, write_checkpoint

PAIRS = numbered(10)
ROOT = root_of(PAIRS, version=12)


@pytest.fixture
def store(tmp_path: Path) -> OasisStore:
    found = OasisStore(tmp_path / "checkpoints")
    create_checkpoint(lambda: PAIRS, ROOT, found)
    return found


def put(store: OasisStore, root: OasisRoot) -> Metadata:
    """Publish one chunk that nobody looks into."""
    with store.stage(root) as (stage,):
        stage.put_chunk(0, b"chunk")
        return stage.finish([sha512_256(b"chunk")])


def test_the_layout_is_the_node_s(store: OasisStore) -> None:
    path = store.directory / "12" / ROOT.hash.hex()
    assert sorted(str(found.relative_to(path)) for found in path.rglob("*")) == ["chunks", "chunks/0", "meta"]
    for folder in (store.directory, path.parent, path, path / "chunks"):
        assert folder.stat().st_mode & 0o777 == 0o700, folder
    assert (path / "meta").stat().st_mode & 0o777 == 0o600
    assert Metadata.decode((path / "meta").read_bytes()) == store.metadata(ROOT)


def test_chunks_are_served_by_their_metadata(store: OasisStore) -> None:
    chunk = store.metadata(ROOT).chunk(0)
    assert sha512_256(store.chunk(chunk)) == chunk.digest
    for other in (replace(chunk, index=1), replace(chunk, digest=bytes(32)), replace(chunk, version=2)):
        with pytest.raises(CheckpointNotFoundError):
            store.chunk(other)
    (store.path(ROOT) / "chunks" / "0").unlink()
    with pytest.raises(CheckpointNotFoundError):
        store.chunk(chunk)


def test_listing_is_in_the_order_of_directory_names(store: OasisStore) -> None:
    for version in (9, 100):
        put(store, replace(ROOT, version=version))
    assert [metadata.root.version for metadata in store.list()] == [100, 12, 9]
    assert [metadata.root.version for metadata in store.list(9)] == [9]
    assert store.list(1) == []
    assert OasisStore(store.directory / "none").list() == []


def stop_half_way(store: OasisStore, root: OasisRoot) -> None:
    with store.stage(root) as (stage,):
        stage.put_chunk(0, b"half")
        assert store.list(root.version) == []
        assert len(list(store.directory.glob("*/*/meta"))) == 1, "where a node looks"
        raise RuntimeError("stopped here")


def test_unfinished_work_is_seen_by_nobody(store: OasisStore) -> None:
    with pytest.raises(RuntimeError):
        stop_half_way(store, replace(ROOT, version=13))
    assert [metadata.root for metadata in store.list()] == [ROOT]
    assert not list((store.directory / ".staging").iterdir())


def test_a_second_root_joins_its_version(store: OasisStore) -> None:
    other = root_of(numbered(3), version=12, root_type=IO)
    create_checkpoint(lambda: numbered(3), other, store)
    assert {metadata.root for metadata in store.list(12)} == {ROOT, other}


def test_a_checkpoint_is_never_made_twice(store: OasisStore) -> None:
    """Nor for the same root hash under another type: the path would be the same."""
    for root in (ROOT, replace(ROOT, root_type=IO)):
        with pytest.raises(CheckpointExistsError) as caught:
            put(store, root)
        assert caught.value.digest == store.metadata(ROOT).encoded_hash


def test_somebody_else_s_unfinished_work_is_left_alone(store: OasisStore) -> None:
    root = replace(ROOT, version=14)
    store.path(root).mkdir(parents=True)
    with pytest.raises(CheckpointCorruptError):
        put(store, root)


def test_another_type_of_the_same_root_hash_is_not_this_checkpoint(store: OasisStore) -> None:
    with pytest.raises(CheckpointNotFoundError):
        store.metadata(replace(ROOT, root_type=IO))
    with pytest.raises(CheckpointNotFoundError):
        store.metadata(replace(ROOT, version=13))


def test_deleting(store: OasisStore) -> None:
    other = root_of(numbered(3), version=12, root_type=IO)
    put(store, other)
    store.delete(ROOT)
    assert [metadata.root for metadata in store.list()] == [other]
    store.delete(other)
    assert not (store.directory / "12").exists()
    with pytest.raises(CheckpointNotFoundError):
        store.delete(other)


def test_damaged_metadata_is_noticed(store: OasisStore, tmp_path: Path) -> None:
    bad = Metadata(replace(ROOT, root_type=3), (bytes(32),))
    write_checkpoint(tmp_path / "bad", bad, [])
    with pytest.raises(CheckpointCorruptError):
        OasisStore(tmp_path / "bad").list()
    (store.path(ROOT) / "meta").write_bytes(b"\xf6")
    with pytest.raises(CheckpointCorruptError):
        store.metadata(ROOT)


def test_what_the_system_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreAccessError):
        put(OasisStore(tmp_path / "file"), ROOT)
    path = OasisStore(tmp_path).path(ROOT)
    (path / "meta").mkdir(parents=True)
    with pytest.raises(StoreAccessError):
        OasisStore(tmp_path).metadata(ROOT)
