"""checkpoint create, list, show, verify, prune; get and its proofs."""

from pathlib import Path

import pytest

from flatdb.writelog_file import save_write_logs
from proofs import get_scheme, verify_range
from proofs.hashing import keccak256
from proofs.schemes.ethereum import Account
from sync.limits import Limits
from sync.wire import decode_proof
from tests.e2e.cli import make_chain, ok, run

CHAIN = make_chain(6)
ROOT = CHAIN[-1].root
assert ROOT is not None


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    path, file = tmp_path / "mirror", tmp_path / "chain.ndjson"
    save_write_logs(file, CHAIN)
    ok("init", path, "--scheme", "mkvs")
    ok("apply", path, file)
    return path


@pytest.fixture
def store(tmp_path: Path, mirror: Path) -> Path:
    ok("checkpoint", "create", mirror, "--store", tmp_path / "store", "--chunk-leaves", 20)
    return tmp_path / "store"


def test_create_list_show_verify(store: Path) -> None:
    (listed,) = ok("checkpoint", "list", "--store", store)["checkpoints"]
    assert (listed["root"]["height"], listed["root"]["hash"]) == (6, ROOT.hex())
    assert listed["leaf_count"] == 140
    assert listed["chunk_count"] == 7
    for name in ("latest", "@6", listed["digest"], listed["digest"][:8]):
        shown = ok("checkpoint", "show", name, "--store", f"file://{store}")
        assert shown["digest"] == listed["digest"]
        assert sum(chunk["leaf_count"] for chunk in shown["chunks"]) == 140
    assert ok("checkpoint", "verify", "latest", "--store", store, "--root", ROOT.hex())["violations"] == []
    assert listed["digest"][:12] in run("checkpoint", "list", "--store", store).out
    assert ROOT.hex() in run("checkpoint", "show", "latest", "--store", store).out
    assert run("checkpoint", "verify", "latest", "--store", store).code == 0


def test_create_is_the_same_everywhere(mirror: Path, tmp_path: Path, store: Path) -> None:
    first = ok("checkpoint", "list", "--store", store)["checkpoints"][0]["digest"]
    second = ok(
        "checkpoint", "create", mirror, "--store", tmp_path / "other", "--chunk-leaves", 20, "--workers", 2,
        "--root", "0x" + ROOT.hex(),
    )  # fmt: skip
    assert second["digest"] == first
    again = ok("checkpoint", "create", mirror, "--store", store, "--chunk-leaves", 20)
    assert (again["digest"], again["existed"], second["existed"]) == (first, True, False)
    assert "already" in run("checkpoint", "create", mirror, "--store", store, "--chunk-leaves", 20).out


def test_a_wrong_root_publishes_nothing(mirror: Path, tmp_path: Path) -> None:
    done = run("checkpoint", "create", mirror, "--store", tmp_path / "s", "--root", "00" * 32, "--json")
    assert (done.code, done.error) == (1, "CheckpointMismatchError")
    assert ok("checkpoint", "list", "--store", tmp_path / "s")["checkpoints"] == []
    assert run("checkpoint", "list", "--store", tmp_path / "s").out == "no checkpoints\n"


def test_verify_finds_damage(store: Path) -> None:
    chunk = next((store / "chunks").iterdir())
    damaged = bytearray(chunk.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    chunk.write_bytes(damaged)
    done = run("checkpoint", "verify", "latest", "--store", store, "--json")
    assert done.code == 1
    assert chunk.name in done.document["violations"][0]["where"]
    assert run("checkpoint", "verify", "latest", "--store", store).code == 1


def test_verify_compares_with_the_users_root(store: Path) -> None:
    done = run("checkpoint", "verify", "latest", "--store", store, "--root", "00" * 32, "--json")
    assert done.code == 1
    assert [found["where"] for found in done.document["violations"]] == ["root"]


def test_prune(mirror: Path, store: Path, tmp_path: Path) -> None:
    longer = make_chain(8)
    save_write_logs(tmp_path / "more.ndjson", longer[6:])
    for height in (7, 8):
        save_write_logs(tmp_path / "more.ndjson", longer[height - 1 : height])
        ok("apply", mirror, tmp_path / "more.ndjson")
        ok("checkpoint", "create", mirror, "--store", store, "--chunk-leaves", 20)
    dry = ok("checkpoint", "prune", "--store", store, "--keep", 1, "--dry-run")
    assert [info["root"]["height"] for info in dry["removed"]] == [6, 7]
    assert len(ok("checkpoint", "list", "--store", store)["checkpoints"]) == 3
    assert run("checkpoint", "prune", "--store", store, "--keep", 1).out.count("removed height") == 2
    (left,) = ok("checkpoint", "list", "--store", store)["checkpoints"]
    assert left["root"]["height"] == 8
    assert ok("checkpoint", "verify", "latest", "--store", store)["violations"] == []


def test_names(store: Path, mirror: Path) -> None:
    ok("checkpoint", "create", mirror, "--store", store, "--cut", "subtree", "--chunk-leaves", 20)
    assert run("checkpoint", "show", "latest", "--store", store, "--json").error == "UsageError"
    assert run("checkpoint", "show", "ab", "--store", store, "--json").error == "UsageError"
    for absent in ("@7", "ffffffffffff"):
        done = run("checkpoint", "show", absent, "--store", store, "--json")
        assert (done.code, done.error) == (2, "CheckpointNotFoundError")
    assert run("checkpoint", "list", "--store", "s3://bucket").code == 2
    assert run("checkpoint", "prune", "--store", store, "--keep", 0).code == 2


def test_the_catalog_is_made_again_from_the_stores(mirror: Path, store: Path) -> None:
    (mirror / "catalog.sqlite3").unlink()
    rebuilt = ok("doctor", mirror, "--rebuild-catalog", "--store", store)
    assert rebuilt["checkpoints"] == 1
    (mirror / "catalog.sqlite3").write_bytes(b"not a database at all" * 100)
    assert ok("doctor", mirror, "--rebuild-catalog", "--store", store)["checkpoints"] == 1
    assert run("doctor", mirror, "--rebuild-catalog").code == 2


@pytest.mark.parametrize("key", ["00000020", "00000000", "ffffffff", "0000002000", ""])
def test_get_proves_presence_and_absence(mirror: Path, tmp_path: Path, key: str) -> None:
    """The written proof alone, under the root alone, says what `get` said."""
    file = tmp_path / "one.proof"
    done = run("get", mirror, key, "--proof", file, "--json")
    verified = verify_range(get_scheme("mkvs"), ROOT, *decode_proof(file.read_bytes(), limits=Limits()))
    value = verified.get(bytes.fromhex(key))
    assert done.document["value"] == (None if value is None else value.hex())
    assert (done.code == 0) is done.document["found"] is (value is not None)


def test_get_of_an_ethereum_account_and_its_slot(tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_text('{"0x%s": {"balance": "5", "storage": {"0x2": "0x1234"}}}' % ("11" * 20))
    ok("import", "ethereum-genesis", genesis, "--output", tmp_path / "0.cbor")
    ok("init", tmp_path / "m", "--scheme", "ethereum")
    ok("apply", tmp_path / "m", tmp_path / "0.cbor", "--verify-every", 1)
    account = ok("get", tmp_path / "m", "--address", "11" * 20)
    owner = keccak256(b"\x11" * 20)
    assert account["meaning"]["balance"] == "5"
    assert Account.from_slim(owner, bytes.fromhex(account["value"])).balance == 5
    assert ok("get", tmp_path / "m", owner.hex())["value"] == account["value"]
    for slot in ("2", "0x2"):
        assert ok("get", tmp_path / "m", "--address", "0x" + "11" * 20, "--slot", slot)["meaning"] == {"number": "4660"}
    assert run("get", tmp_path / "m", "--address", "11" * 20, "--slot", "3").code == 1
    for wrong in (["--slot", "1"], ["00", "--slot", "1"], ["00", "--address", "11" * 20], ["--address", "11"]):
        assert run("get", tmp_path / "m", *wrong).code == 2
    assert run("get", tmp_path / "m", "--address", "11" * 20, "--slot", "-1").code == 2


def test_get_prints_the_value(mirror: Path) -> None:
    assert run("get", mirror, "0x00000020").out == b"value 1 of 32".hex() + "\n"
    assert run("get", mirror, "0xffffffff").code == 1
    assert run("get", mirror, "zz").code == 2
    assert run("get", mirror, "--address", "11" * 20).code == 2
