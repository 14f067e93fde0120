"""Genesis allocations: the four public networks, every way of writing an account, and every refusal."""

import json
from pathlib import Path

import pytest

from proofs.hashing import keccak256
from proofs.schemes.ethereum import EMPTY_CODE, Account
from proofs.schemes.mpt import EMPTY_ROOT
from sidecar.errors import InvalidImportError
from sidecar.importers.ethereum_genesis import convert_genesis

ADDRESS = "0x" + "ab" * 20
OWNER = keccak256(bytes.fromhex("ab" * 20))


def convert(account: object, address: str = ADDRESS) -> dict[bytes, bytes | None]:
    return dict(convert_genesis(json.dumps({address: account}).encode()).writes)


def account_of(account: object) -> Account:
    value = convert(account)[OWNER]
    assert value is not None
    return Account.from_slim(OWNER, value)


@pytest.mark.parametrize("network", ["mainnet", "sepolia", "holesky", "hoodi"])
def test_public_networks(data: Path, network: str) -> None:
    """State roots in the headers of block 0 of four networks."""
    expected = json.loads((data / "ethereum/genesis_roots.json").read_text())[network]
    write_log = convert_genesis((data / f"ethereum/genesis_alloc_{network}.json").read_bytes())
    assert write_log.root == bytes.fromhex(expected["stateRoot"][2:])
    assert sum(len(key) == 32 for key, _ in write_log.writes) == expected["accounts"]
    assert (write_log.height, write_log.parent_root) == (0, None)


@pytest.mark.parametrize(
    ("written", "balance"),
    [("0x10", 16), ("16", 16), (16, 16), ("0x", 0), ("", 0), ("0x0010", 16), (str(2**256 - 1), 2**256 - 1)],
)
def test_balances(written: object, balance: int) -> None:
    assert account_of({"balance": written}).balance == balance
    assert account_of(written).balance == balance


def test_a_whole_genesis_and_its_alloc_are_the_same() -> None:
    alloc = {ADDRESS[2:].upper(): {"balance": "1", "nonce": "0x2"}}
    whole = {"config": {"chainId": 1}, "gasLimit": "0x1", "alloc": alloc}
    assert convert_genesis(json.dumps(whole).encode()) == convert_genesis(json.dumps(alloc).encode())


def test_code_storage_and_nonce() -> None:
    slots = {"0x1": "0x05", "0x" + "0" * 63 + "2": "0", "3": "ff" * 32}
    account = {"balance": "1", "nonce": 7, "code": "0x6001", "storage": slots}
    write_log = convert_genesis(json.dumps({ADDRESS: account}).encode())
    leaves = dict(write_log.writes)
    decoded = account_of(account)
    assert (decoded.nonce, decoded.code_hash) == (7, keccak256(b"\x60\x01"))
    assert decoded.storage_root != EMPTY_ROOT
    assert leaves[OWNER + keccak256((1).to_bytes(32))] == b"\x05"
    assert leaves[OWNER + keccak256((3).to_bytes(32))] == b"\xa0" + b"\xff" * 32
    assert len(leaves) == 3, "a slot that is zero is no slot"
    assert write_log.code == ((decoded.code_hash, b"\x60\x01"),)


def test_an_account_with_nothing_is_kept() -> None:
    assert account_of({}) == Account(0, 0, EMPTY_ROOT, EMPTY_CODE)


def test_null_is_absent() -> None:
    nothing = dict.fromkeys(("balance", "nonce", "code", "storage", "secretKey"))
    assert account_of(nothing) == account_of({})


@pytest.mark.parametrize(
    ("account", "where"),
    [
        ({"balance": "-1"}, "balance"),
        ({"balance": str(2**256)}, "balance"),
        ({"balance": "0x1" + "0" * 64}, "balance"),
        ({"balance": "ff"}, "balance"),
        ({"balance": True}, "balance"),
        ({"balance": 1.5}, "balance"),
        ({"nonce": 2**64}, "nonce"),
        ({"code": "0x123"}, "code"),
        ({"code": 5}, "code"),
        ({"storage": []}, "storage"),
        ({"storage": ["0x1"]}, "storage"),
        ({"storage": {"0x1": "0x" + "1" * 65}}, "0x1"),
        ({"storage": {"0x1": "1", "0x01": "2"}}, "storage"),
        ({"storage": {"zz": "1"}}, "storage"),
        ({"balans": "1"}, ""),
        (None, ""),
    ],
)
def test_refusals_name_the_place(account: object, where: str) -> None:
    with pytest.raises(InvalidImportError) as caught:
        convert(account)
    assert caught.value.where.endswith(where)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{",
        b'{"alloc": 5}',
        b"[" * 100_000,
        b'["]]]]", ' * 50_000,
        b'{"0x12": "1"}',
        b'{"0xzz": "1"}',
        b'{"a": "1", "a": "1"}',
        json.dumps({ADDRESS: "1", ADDRESS[2:]: "1"}).encode(),
    ],
)
def test_refused_documents(document: bytes) -> None:
    with pytest.raises(InvalidImportError):
        convert_genesis(document)


def test_size_is_judged_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.importers.json_input.DOCUMENT_BYTES_MAX", 3)
    with pytest.raises(InvalidImportError):
        convert_genesis(b"{  }")
