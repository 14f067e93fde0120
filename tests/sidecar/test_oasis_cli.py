"""Oasis checkpoints on the command line, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flatdb import FlatDB, Identity, WriteLog, save_write_logs
from sidecar.cli import main
from sync.oasis.store import OasisStore
from tests.oasis_cases import NAMESPACE, numbered, root_of

PAIRS = numbered(300)
ROOT = root_of(PAIRS, version=9)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    path = tmp_path / "mirror"
    with FlatDB.create(path, Identity("mkvs", "state", NAMESPACE)) as db:
        db.apply(WriteLog(height=9, root=ROOT.hash, writes=tuple(PAIRS)))
    return path


@pytest.fixture
def io_log(tmp_path: Path) -> Path:
    save_write_logs(tmp_path / "io.ndjson", [WriteLog(height=9, writes=((b"in", b"1"),))])
    return tmp_path / "io.ndjson"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def create(mirror: Path, store: Path | str, *more: object) -> int:
    return run("checkpoint", "create", mirror, "--store", store, "--format", "oasis-1", "--progress", "none", *more)


def test_a_checkpoint_and_a_mirror_of_it(mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    assert create(mirror, store, "--chunk-bytes", 1000, "--chunker-threads", 12, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    (metadata,) = OasisStore(store).list()
    (made,) = answer["checkpoints"]
    assert made["metadata_hash"] == metadata.encoded_hash.hex()
    assert (made["root_type"], made["height"], made["chunk_count"]) == ("state", 9, len(metadata.chunks))
    target = tmp_path / "copy"
    trusted = ("--namespace", NAMESPACE.hex(), "--height", 9, "--root", ROOT.hash.hex())
    assert run("import", "oasis-checkpoint", store, "--to", target, *trusted, "--progress", "none", "--json") == 0
    assert json.loads(capsys.readouterr().out)["verified"] is True
    with FlatDB.open(target) as db:
        assert list(db.scan()) == PAIRS
    assert create(mirror, store) == 1, "it is there already"


def test_both_checkpoints_of_a_round(mirror: Path, io_log: Path, tmp_path: Path) -> None:
    assert create(mirror, f"file://{tmp_path}/both", "--from-writelog", io_log) == 0
    assert len(OasisStore(tmp_path / "both").list(9)) == 2
    assert create(mirror, tmp_path / "io", "--root-type", "io", "--from-writelog", io_log) == 0
    (metadata,) = OasisStore(tmp_path / "io").list(9)
    assert metadata.root == root_of([(b"in", b"1")], version=9, root_type=2)


def test_wrong_usage(mirror: Path, tmp_path: Path) -> None:
    assert create(mirror, tmp_path / "store", "--root-type", "io") == 2
    assert create(mirror, "s3://bucket") == 2
    with FlatDB.create(tmp_path / "other", Identity("jam")):
        pass
    assert create(tmp_path / "other", tmp_path / "store") == 2
    trusted = ("--height", 9, "--root", ROOT.hash.hex(), "--progress", "none")
    for source, namespace in ((tmp_path, "00"), ("chekpoints", NAMESPACE.hex())):
        target = ("--to", tmp_path / "x", "--namespace", namespace)
        assert run("import", "oasis-checkpoint", source, *target, *trusted) == 2


def test_where_nobody_answers(tmp_path: Path) -> None:
    trusted = ("--namespace", NAMESPACE.hex(), "--height", 9, "--root", ROOT.hash.hex())
    socket = f"unix:{tmp_path}/none.sock"
    assert run("import", "oasis-checkpoint", socket, "--to", tmp_path / "x", *trusted, "--progress", "none") == 3


def test_plain_output(mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(mirror, tmp_path / "store") == 0
    assert ROOT.hash.hex() in capsys.readouterr().out
    trusted = ("--namespace", NAMESPACE.hex(), "--height", 9, "--root", ROOT.hash.hex(), "--progress", "none")
    assert run("import", "oasis-checkpoint", tmp_path / "store", "--to", tmp_path / "copy", *trusted) == 0
    assert ROOT.hash.hex() in capsys.readouterr().out
