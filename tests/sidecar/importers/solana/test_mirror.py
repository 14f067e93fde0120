"""Mirrors out of real snapshot archives: in bulk, on top, after a kill, and never half."""

from __future__ import annotations

from pathlib import Path

import base58
import pytest

from flatdb import FlatDB, StagingDB
from flatdb.errors import DatabaseExistsError, IncompleteDatabaseError
from proofs import RootMismatchError
from sidecar.errors import InvalidImportError
from sidecar.importers.solana import address_bytes, import_full, import_incremental
from sidecar.importers.solana import mirror as importer
from sync.mirror import Mirror

FULL = "snapshot-1-5pgMpQj4MZYWauD1VnoNfmGAdUQCe6VVCSCQMNbDoxf7.tar.zst"
INCREMENTAL = "incremental-snapshot-1-4-43FT6mnmRW9XbxpCzqH3ogYexHXboG7d8vmf3gBLvLrR.tar.zst"


@pytest.fixture
def solana(data: Path) -> Path:
    return data / "solana"


def test_a_full_and_an_incremental_snapshot(solana: Path, tmp_path: Path) -> None:
    record = import_full(solana / FULL, tmp_path / "mirror")
    assert (record.height, record.verified) == (1, True)
    with Mirror.open(tmp_path / "mirror") as mirror:
        assert mirror.claimed_root == mirror.root()
        assert not list(mirror.check())
        record = import_incremental(solana / INCREMENTAL, mirror)
        assert (record.height, record.verified) == (4, True)
        assert record.root == base58.b58decode("43FT6mnmRW9XbxpCzqH3ogYexHXboG7d8vmf3gBLvLrR")
        assert mirror.root().hash == record.root
        assert len(list(mirror.scan())) == 21
        with pytest.raises(InvalidImportError):
            import_incremental(solana / INCREMENTAL, mirror)


def test_a_killed_import_continues(solana: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "BATCH_LEAVES", 4)
    loaded: list[bytes] = []
    ingest = StagingDB.ingest

    def counted(self: StagingDB, chunk_id: bytes, items: list[tuple[bytes, bytes]]) -> None:
        if len(loaded) == 3:
            raise KeyboardInterrupt
        loaded.append(chunk_id)
        ingest(self, chunk_id, items)

    monkeypatch.setattr(StagingDB, "ingest", counted)
    with pytest.raises(KeyboardInterrupt):
        import_full(solana / FULL, tmp_path / "mirror")
    with pytest.raises(IncompleteDatabaseError):
        FlatDB.open(tmp_path / "mirror")
    monkeypatch.setattr(StagingDB, "ingest", ingest)
    assert import_full(solana / FULL, tmp_path / "mirror").height == 1
    with Mirror.open(tmp_path / "mirror") as mirror:
        assert len(list(mirror.scan())) == 21
        assert not list(mirror.check())


def test_what_does_not_add_up_does_not_open(solana: Path, tmp_path: Path) -> None:
    with pytest.raises(RootMismatchError):
        import_full(solana / FULL, tmp_path / "mirror", bank_hash=bytes(32))
    with pytest.raises(IncompleteDatabaseError):
        FlatDB.open(tmp_path / "mirror")


def test_the_wrong_kind_or_place(solana: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidImportError):
        import_full(solana / INCREMENTAL, tmp_path / "mirror")
    with Mirror.create(tmp_path / "empty", scheme="solana-lattice") as mirror, pytest.raises(InvalidImportError):
        import_incremental(solana / INCREMENTAL, mirror)
    import_full(solana / FULL, tmp_path / "mirror")
    with pytest.raises(DatabaseExistsError):
        import_full(solana / FULL, tmp_path / "mirror")


@pytest.mark.parametrize("text", ["", "0", "abc", "1" * 31, "lll"])
def test_a_hash_that_is_none(text: str) -> None:
    with pytest.raises(InvalidImportError):
        address_bytes("--bank-hash", text)
