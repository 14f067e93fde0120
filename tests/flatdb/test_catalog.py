"""The catalog: what goes in comes out, in order, for several processes, and nothing depends on it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from flatdb import CATALOG_NAME, Catalog, CheckpointEntry, PeerEntry, RestoreEntry
from flatdb.errors import CatalogCorruptError, DatabaseAccessError
from tests.faults import flip_bit

CHECKPOINT = CheckpointEntry(b"d" * 32, "file:store", 2**63 - 1, b"r" * 32, "leafmirror-1", 3, 10**12, 5, 1.5)
PEER = PeerEntry("https://peer.example", 2.5, 3, "a chunk with a wrong proof")
RESTORE = RestoreEntry(b"k" * 32, "mirror", 7, b"r" * 32, 3.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / CATALOG_NAME


def test_entries_survive_closing(path: Path) -> None:
    with Catalog.open(path) as catalog:
        catalog.put_checkpoint(CHECKPOINT)
        catalog.put_peer(PEER)
        catalog.put_restore(RESTORE)
    with Catalog.open(path) as catalog:
        assert (catalog.checkpoints(), catalog.peers(), catalog.restores()) == ((CHECKPOINT,), (PEER,), (RESTORE,))


def test_the_same_name_replaces_and_another_adds(path: Path) -> None:
    later = replace(CHECKPOINT, manifest_digest=b"e" * 32, height=5)
    elsewhere = replace(CHECKPOINT, store="s3:store")
    with Catalog.open(path) as catalog:
        for entry in (later, elsewhere, CHECKPOINT, replace(CHECKPOINT, chunk_count=4)):
            catalog.put_checkpoint(entry)
        assert catalog.checkpoints() == (replace(CHECKPOINT, chunk_count=4), elsewhere, later)
        catalog.remove_checkpoint(CHECKPOINT.manifest_digest, CHECKPOINT.store)
        catalog.remove_checkpoint(CHECKPOINT.manifest_digest, CHECKPOINT.store)
        assert catalog.checkpoints() == (elsewhere, later)
        catalog.put_peer(PEER)
        catalog.put_peer(replace(PEER, misbehaved=None))
        assert catalog.peers() == (replace(PEER, misbehaved=None),)
        catalog.put_restore(RESTORE)
        catalog.put_restore(replace(RESTORE, finished_s=9.0))
        assert catalog.restores() == (replace(RESTORE, finished_s=9.0),)


def test_two_at_once_see_each_other(path: Path) -> None:
    with Catalog.open(path) as one, Catalog.open(path) as other:
        one.put_peer(PEER)
        assert other.peers() == (PEER,)
        other.put_checkpoint(CHECKPOINT)
        assert one.checkpoints() == (CHECKPOINT,)


def test_a_deleted_catalog_is_an_empty_one(path: Path) -> None:
    with Catalog.open(path) as catalog:
        catalog.put_checkpoint(CHECKPOINT)
    path.unlink()
    with Catalog.open(path) as catalog:
        assert catalog.checkpoints() == ()


@pytest.mark.parametrize("damage", ["bytes", "version", "bit"])
def test_a_damaged_catalog_is_told_and_can_be_rebuilt(path: Path, damage: str) -> None:
    with Catalog.open(path) as catalog:
        catalog.put_peer(PEER)
    match damage:
        case "bytes":
            path.write_bytes(b"no database at all" * 100)
        case "version":
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA user_version = 99")
            connection.close()
        case "bit":
            flip_bit(path, 3)
    with pytest.raises(CatalogCorruptError) as caught:
        Catalog.open(path)
    assert caught.value.path == path
    with Catalog.rebuild(path, [CHECKPOINT], [RESTORE]) as catalog:
        assert (catalog.checkpoints(), catalog.peers(), catalog.restores()) == ((CHECKPOINT,), (), (RESTORE,))


def test_rebuilding_is_all_or_nothing(path: Path) -> None:
    with pytest.raises(CatalogCorruptError):
        Catalog.rebuild(path, [CHECKPOINT, replace(CHECKPOINT, store="other", root=None)])  # type: ignore[arg-type]
    with Catalog.open(path) as catalog:
        assert catalog.checkpoints() == ()


def test_a_catalog_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseAccessError):
        Catalog.open(tmp_path / "absent" / CATALOG_NAME)
