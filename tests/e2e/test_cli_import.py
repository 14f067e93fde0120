"""import …: from other programs' files to a verified mirror, through the command line alone."""

import gzip
import json
from pathlib import Path

import pytest

from tests.e2e.cli import ok, run, run_process

GENESIS = json.dumps({"alloc": {"0x" + "11" * 20: {"balance": "0x5"}}})


@pytest.mark.parametrize("network", ["mainnet", "sepolia", "holesky", "hoodi"])
def test_genesis_of_public_networks(data: Path, tmp_path: Path, network: str) -> None:
    expected = json.loads((data / "ethereum/genesis_roots.json").read_text())[network]["stateRoot"][2:]
    alloc = data / f"ethereum/genesis_alloc_{network}.json"
    converted = ok("import", "ethereum-genesis", alloc, "-o", tmp_path / "0.cbor.zst")
    assert (converted["count"], converted["last_height"], converted["root"]) == (1, 0, expected)
    ok("init", tmp_path / "mirror", "--scheme", "ethereum")
    applied = ok("apply", tmp_path / "mirror", tmp_path / "0.cbor.zst", "--verify-every", 1)
    assert (applied["verified"], applied["root"]) == (1, expected)
    assert ok("check", tmp_path / "mirror")["violations"] == []


def test_all_heights_of_the_development_chain(data: Path, tmp_path: Path) -> None:
    """301 heights, every root folded before it is committed."""
    source = data / "ethereum/devchain-writelogs-0-300.json.gz"
    converted = ok("import", "ethereum-writelogs", source, "-o", tmp_path / "blocks.ndjson")
    assert (converted["count"], converted["first_height"], converted["last_height"]) == (301, 0, 300)
    ok("init", tmp_path / "mirror", "--scheme", "ethereum")
    applied = ok("apply", tmp_path / "mirror", tmp_path / "blocks.ndjson", "--verify-every", 1)
    assert (applied["applied"], applied["verified"], applied["unclaimed"]) == (301, 301, 0)
    assert applied["root"] == converted["root"]


def test_standard_output_is_a_write_log_file(tmp_path: Path) -> None:
    (tmp_path / "genesis.json.gz").write_bytes(gzip.compress(GENESIS.encode()))
    printed = run_process("import", "ethereum-genesis", tmp_path / "genesis.json.gz")
    assert printed.code == 0
    assert json.loads(printed.out)["height"] == 0
    ok("init", tmp_path / "mirror", "--scheme", "ethereum")
    applied = run_process("apply", tmp_path / "mirror", "-", "--json", stdin=printed.out.encode())
    assert applied.document["applied"] == 1


def test_people_are_told_where_it_went(tmp_path: Path) -> None:
    (tmp_path / "genesis.json").write_text(GENESIS)
    done = run("import", "ethereum-genesis", tmp_path / "genesis.json", "-o", tmp_path / "0.ndjson")
    assert done.out.startswith("1 write logs to ")
    (tmp_path / "none.json").write_text("[]")
    assert "root none" in run("import", "ethereum-writelogs", tmp_path / "none.json", "-o", tmp_path / "n.cbor").out
    assert ok("import", "ethereum-writelogs", tmp_path / "none.json", "-o", tmp_path / "n.cbor")["root"] is None


def test_refusals(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.json.gz", tmp_path / "genesis.json"
    bad.write_bytes(gzip.compress(b"{}" * 100)[:-8])
    good.write_text(GENESIS)
    output = tmp_path / "out.ndjson"
    assert run("import", "ethereum-genesis", bad, "-o", output, "--json").error == "InvalidImportError"
    assert run("import", "ethereum-writelogs", good, "-o", output, "--json").error == "InvalidImportError"
    assert not output.exists()
    assert run("import", "ethereum-genesis", tmp_path / "absent", "-o", output).code == 2
    assert run("import", "ethereum-genesis", good, "--json").code == 2
    assert run("import", "ethereum-genesis", good, "-o", tmp_path / "out.txt", "--json").error == "UnknownSuffixError"
    assert run("import", "ethereum-genesis", good, "-o", tmp_path / "no/such/dir.ndjson").code == 2


def test_a_document_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small compressed file may hold a huge document: it is given up where the limit is reached."""
    monkeypatch.setattr("sidecar.cli.importer.DOCUMENT_BYTES_MAX", 2**20)
    bomb = tmp_path / "bomb.json.gz"
    bomb.write_bytes(gzip.compress(bytes(2**22)))
    done = run("import", "ethereum-genesis", bomb, "-o", tmp_path / "out.ndjson", "--json")
    assert done.error == "InvalidImportError"
