"""JAM traces and Solana archives through the command line: import, apply with every root folded, check, refusals."""

from pathlib import Path

import pytest
import zstandard

from proofs import get_scheme
from proofs.nomt_proof import PathProof, verify_path
from proofs.schemes.nomt import NOMT
from tests.e2e.cli import ok, run, start_process

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
        ok(
            "import",
            "jam-trace",
            data / "jam" / f"raw_preimages_00000050.{suffix}.gz",
            "-o",
            tmp_path / f"{suffix}.ndjson",
        )
    assert (tmp_path / "bin.ndjson").read_bytes() == (tmp_path / "json.ndjson").read_bytes()
    mirror = tmp_path / "mirror"
    ok("init", mirror, "--scheme", "jam")
    ok("apply", mirror, tmp_path / "bin.ndjson", "--verify-every", "1")
    assert ok("status", mirror)["height"] == 50


def test_a_jam_state_goes_over_a_state_request(data: Path, tmp_path: Path) -> None:
    """Mirror, checkpoint, CE 129 over TCP between two processes, and a mirror of what came."""
    file, mirror, store = tmp_path / "trace.ndjson", tmp_path / "mirror", tmp_path / "store"
    done = ok("import", "jam-trace", data / "jam" / "trace_preimages.json.gz", "-o", file)
    ok("init", mirror, "--scheme", "jam")
    ok("apply", mirror, file)
    ok("checkpoint", "create", mirror, "--store", store, "--chunk-leaves", "16")
    header = "ab" * 32
    server = start_process("jam", "serve-state", "--store", store, "--height", "100", "--header", header)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1]
        fetched = tmp_path / "fetched.cbor"
        arguments = ("--header", header, "--height", "100", "-o", fetched)
        answer = ok("jam", "fetch-state", address, "--root", done["root"], *arguments)
        assert answer["leaf_count"] == 107
        assert run("jam", "fetch-state", address, "--root", "11" * 32, *arguments).code == 1
    finally:
        server.terminate()
        server.communicate()
    ok("init", tmp_path / "copy", "--scheme", "jam")
    ok("apply", tmp_path / "copy", fetched, "--verify-every", "1")
    assert ok("root", tmp_path / "copy")["root"]["hash"] == done["root"]


def test_a_nomt_proof_for_nomts_own_verifier(tmp_path: Path) -> None:
    key, value = "11" * 32, "22"
    line = f'{{"height": 1, "root": null, "writes": [["{key}", "{value}"], ["{"f1" * 32}", "{value}"]]}}'
    (tmp_path / "log.ndjson").write_text(line + "\n")
    ok("init", tmp_path / "mirror", "--scheme", "nomt-sha2")
    ok("apply", tmp_path / "mirror", tmp_path / "log.ndjson")
    proof = tmp_path / "proof"
    ok("get", tmp_path / "mirror", key, "--proof", proof, "--proof-form", "nomt-path")
    root = bytes.fromhex(ok("root", tmp_path / "mirror")["root"]["hash"])
    scheme = get_scheme("nomt-sha2")
    assert isinstance(scheme, NOMT)
    assert verify_path(scheme, root, PathProof.decode(proof.read_bytes())).holds(bytes.fromhex(key), b"\x22")


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


def test_a_damaged_archive_is_refused_where_it_is_damaged(data: Path, tmp_path: Path) -> None:
    raw = zstandard.ZstdDecompressor().decompressobj().decompress((data / "solana" / FULL).read_bytes())
    owner = 7680 + 152 + 64
    (tmp_path / FULL).write_bytes(zstandard.compress(raw[:owner] + b"\xaa" + raw[owner + 1 :]))
    done = run("import", "solana-snapshot", tmp_path / FULL, "--to", tmp_path / "mirror")
    assert done.code == 1
    assert "accounts/0.1 at byte 216 (account BPFLoaderUpgradeab1e11111111111111111111111): found 0xaa" in done.err
    assert "fetch it again" in done.err
    assert run("status", tmp_path / "mirror").code != 0


def test_a_file_that_is_no_trace(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    (tmp_path / "x.bin").write_bytes(b"\0" * 40)
    for name in ("x.json", "x.bin"):
        assert run("import", "jam-trace", tmp_path / name).code == 1
