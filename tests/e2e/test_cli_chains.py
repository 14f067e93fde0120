"""JAM traces and Solana archives through the command line: import, apply with every root folded, check, refusals."""

from pathlib import Path

import pytest

from tests.e2e.cli import ok, run

FULL = "snapshot-1-5pgMpQj4MZYWauD1VnoNfmGAdUQCe6VVCSCQMNbDoxf7.tar.zst"
INCREMENTAL = "incremental-snapshot-1-4-43FT6mnmRW9XbxpCzqH3ogYexHXboG7d8vmf3gBLvLrR.tar.zst"


def test_a_jam_trace_replays_with_every_root(data: Path, tmp_path: Path) -> None:
    file, mirror = tmp_path / "trace.ndjson", tmp_path / "mirror"
    done = ok("import", "jam-trace", data / "jam" / "trace_storage.json.gz", "-o", file)
    assert (done["count"], done["first_height"], done["last_height"]) == (101, 0, 100)
    ok("init", mirror, "--scheme", "jam")
    ok("apply", mirror, file, "--verify-every", "1")
    assert ok("status", mirror)["verified"] is True
    assert ok("check", mirror)["violations"] == []


def test_jam_steps_in_both_forms(data: Path, tmp_path: Path) -> None:
    for suffix in ("bin", "json"):
        ok("import", "jam-trace", data / "jam" / f"raw_preimages_00000050.{suffix}.gz", "-o", tmp_path / f"{suffix}.ndjson")
    assert (tmp_path / "bin.ndjson").read_bytes() == (tmp_path / "json.ndjson").read_bytes()
    mirror = tmp_path / "mirror"
    ok("init", mirror, "--scheme", "jam")
    ok("apply", mirror, tmp_path / "bin.ndjson", "--verify-every", "1")
    assert ok("status", mirror)["height"] == 50


def test_solana_archives_become_a_mirror(data: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    solana = data / "solana"
    done = ok("import", "solana-snapshot", solana / FULL, "--to", mirror, "--incremental", solana / INCREMENTAL)
    assert done["height"] == 4
    assert ok("root", mirror)["root"]["hash"] == done["root"]
    assert ok("check", mirror)["violations"] == []


@pytest.mark.parametrize("bank_hash", ["11111111111111111111111111111111", "0"])
def test_another_bank_is_refused(data: Path, tmp_path: Path, bank_hash: str) -> None:
    archive, mirror = data / "solana" / FULL, tmp_path / "mirror"
    done = run("import", "solana-snapshot", archive, "--to", mirror, "--bank-hash", bank_hash)
    assert done.code == 1
    assert run("status", mirror).code != 0


def test_a_file_that_is_no_trace(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    (tmp_path / "x.bin").write_bytes(b"\0" * 40)
    for name in ("x.json", "x.bin"):
        assert run("import", "jam-trace", tmp_path / name).code == 1
