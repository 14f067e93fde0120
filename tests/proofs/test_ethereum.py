"""Ethereum states: real genesis roots, the one form of an account and of a slot, and storage bound to its account."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from proofs import (
    LEAF,
    NODE,
    VALUE,
    InvalidLeafError,
    Item,
    MalformedProofError,
    ProofError,
    fold,
    leaf_items,
    state_root,
)
from proofs.hashing import keccak256
from proofs.rlp import decode, encode_list, encode_string
from proofs.schemes.ethereum import EMPTY_CODE, Account, Ethereum
from proofs.schemes.mpt import EMPTY_ROOT, MPT
from tests.model import EthereumModel, MPTModel, rlp, slim_account, slot_value

SCHEME = Ethereum()
ACCOUNT = b"\xaa" * 32
SLOT = b"\xbb" * 32
STORAGE = {SLOT: slot_value(7)}


def _number(text: str | int) -> int:
    return text if isinstance(text, int) else int(text, 16 if text.startswith("0x") else 10)


def _genesis(alloc: dict[str, Any]) -> dict[bytes, bytes]:
    """Leaves of a genesis allocation: an address holds a balance, or an object with code and storage too."""
    state: dict[bytes, bytes] = {}
    for address, account in alloc.items():
        fields = account if isinstance(account, dict) else {"balance": account}
        key = keccak256(bytes.fromhex(address.removeprefix("0x")))
        storage = {
            keccak256(_number(slot).to_bytes(32)): slot_value(_number(value))
            for slot, value in fields.get("storage", {}).items()
        }
        code = bytes.fromhex(fields.get("code", "0x").removeprefix("0x"))
        state[key] = slim_account(
            _number(fields.get("nonce", 0)), _number(fields["balance"]), storage, keccak256(code) if code else b""
        )
        state |= {key + slot: value for slot, value in storage.items()}
    return state


@pytest.mark.parametrize("chain", ["mainnet", "sepolia", "holesky", "hoodi"])
def test_genesis_roots(data: Path, chain: str) -> None:
    """Fails if an account, its storage or its code hash is encoded otherwise than on the real chains."""
    folder = data / "ethereum"
    alloc = json.loads((folder / f"genesis_alloc_{chain}.json").read_text())
    expected = json.loads((folder / "genesis_roots.json").read_text())[chain]
    state = _genesis(alloc)
    assert len([key for key in state if len(key) == 32]) == expected["accounts"]
    assert state_root(SCHEME, leaf_items(sorted(state.items()))).hex() == expected["stateRoot"].removeprefix("0x")


def test_a_recorded_chain(data: Path) -> None:
    """Height 0 to 20 and every 70th of the development chain: accounts and slots that grow under real roots."""
    heights = json.loads(gzip.decompress((data / "ethereum" / "devchain-writelogs-0-300.json.gz").read_bytes()))
    state: dict[bytes, bytes] = {}
    for height in heights:
        for account, slim in height.get("accounts", {}).items():
            state[bytes.fromhex(account.removeprefix("0x"))] = bytes.fromhex(slim.removeprefix("0x"))
        for account, slots in height.get("slots", {}).items():
            for slot, value in slots.items():
                key = bytes.fromhex(account.removeprefix("0x")) + bytes.fromhex(slot.removeprefix("0x"))
                state[key] = bytes.fromhex(value.removeprefix("0x"))
        number = int(height["n"])
        if number <= 20 or number % 70 == 0:
            root = state_root(SCHEME, leaf_items(sorted(state.items()))).hex()
            assert root == height["root"].removeprefix("0x"), number


def test_snapshot_generation_vector(data: Path) -> None:
    """Storage tries of raw (not RLP) values, which only the plain trie folds; their account trie by its full leaves."""
    vector = json.loads((data / "ethereum" / "vectors.json").read_text())["snapshotGeneration"]
    mpt = MPT()
    storage = {keccak256(key.encode()): value.encode() for key, value in vector["storage"].items()}
    storage_root = state_root(mpt, leaf_items(sorted(storage.items())))
    assert storage_root.hex() == vector["storageRoot"]
    for with_storage, expected in ((True, vector["stateRoot"]), (False, vector["accountsOnlyRoot_1_2_3_noStorage"])):
        accounts = {
            keccak256(account["name"].encode()): Account(
                0, account["balance"], storage_root if with_storage and account["hasStorage"] else EMPTY_ROOT
            ).full()
            for account in vector["accounts"]
        }
        assert state_root(mpt, leaf_items(sorted(accounts.items()))).hex() == expected


def _field(*items: bytes) -> bytes:
    return encode_list(b"".join(items))


HASH = bytes(range(32))
GOOD = encode_string(b"\x01"), encode_string(b"\x02"), encode_string(HASH), encode_string(HASH)
OTHER_ACCOUNTS = {
    "nothing": b"",
    "string": b"\x80",
    "three fields": _field(*GOOD[:3]),
    "five fields": _field(*GOOD, b"\x80"),
    "bytes behind": _field(*GOOD) + b"\x80",
    "empty list as storage": _field(b"\x80", b"\x80", b"\xc0", b"\x80"),
    "empty list as code": _field(b"\x80", b"\x80", b"\x80", b"\xc0"),
    "empty list as nonce": _field(b"\xc0", b"\x80", b"\x80", b"\x80"),
    "empty list as balance": _field(b"\x80", b"\xc0", b"\x80", b"\x80"),
    "empty storage written out": _field(b"\x80", b"\x80", encode_string(EMPTY_ROOT), b"\x80"),
    "empty code written out": _field(b"\x80", b"\x80", b"\x80", encode_string(EMPTY_CODE)),
    "full account": Account(1, 2).full(),
    "zero byte as nonce": _field(b"\x00", b"\x80", b"\x80", b"\x80"),
    "zero byte as balance": _field(b"\x80", b"\x00", b"\x80", b"\x80"),
    "leading zero in nonce": _field(b"\x82\x00\x01", b"\x80", b"\x80", b"\x80"),
    "leading zero in balance": _field(b"\x80", b"\x82\x00\xff", b"\x80", b"\x80"),
    "nonce of nine bytes": _field(encode_string(b"\x01" * 9), b"\x80", b"\x80", b"\x80"),
    "balance of 33 bytes": _field(b"\x80", encode_string(b"\x01" * 33), b"\x80", b"\x80"),
    "storage of 31 bytes": _field(b"\x80", b"\x80", encode_string(HASH[:31]), b"\x80"),
    "storage of 33 bytes": _field(b"\x80", b"\x80", encode_string(HASH + b"x"), b"\x80"),
    "code of 31 bytes": _field(b"\x80", b"\x80", b"\x80", encode_string(HASH[:31])),
    "nonce in two bytes": _field(b"\x81\x01", b"\x80", b"\x80", b"\x80"),
    "long list header": b"\xf8\x04\x80\x80\x80\x80",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_ACCOUNTS)
def test_an_account_has_one_form(name: str) -> None:
    """Fails if the sizes of its fields are not checked, or if it is not encoded again and compared."""
    for refuse in (SCHEME.check_leaf, SCHEME.check_value):
        with pytest.raises(InvalidLeafError):
            refuse(ACCOUNT, OTHER_ACCOUNTS[name])


@pytest.mark.parametrize(
    "account",
    [Account(0, 0), Account(1, 2**256 - 1), Account(2**64 - 1, 0, HASH), Account(3, 4, HASH, HASH[::-1])],
    ids=["empty", "rich", "storage without code", "contract"],
)
def test_slim_and_full(account: Account) -> None:
    """Fails if a field is lost between the form that is kept and the form that is hashed."""
    assert Account.from_slim(ACCOUNT, account.slim()) == account
    SCHEME.check_leaf(ACCOUNT, account.slim())
    fields = decode(account.full())
    assert isinstance(fields, list)
    assert [len(fields[2]), len(fields[3])] == [32, 32]
    assert (account.full() == account.slim()) is (account.storage_root == HASH and account.code_hash == HASH[::-1])


OTHER_SLOTS = {
    "nothing": b"",
    "zero": b"\x80",
    "zero byte": b"\x00",
    "leading zero": b"\x82\x00\x01",
    "list": b"\xc1\x01",
    "33 bytes": encode_string(b"\x01" * 33),
    "two bytes for one": b"\x81\x01",
    "bytes behind": b"\x01\x01",
    "not wrapped": b"\xff" * 32,
}


@pytest.mark.parametrize("name", OTHER_SLOTS)
def test_a_slot_holds_a_number_other_than_zero(name: str) -> None:
    """Fails if a deletion, or a number in a second form, is taken for a leaf."""
    with pytest.raises(InvalidLeafError):
        SCHEME.check_leaf(ACCOUNT + SLOT, OTHER_SLOTS[name])


@pytest.mark.parametrize("number", [1, 0x7F, 0x80, 2**256 - 1])
def test_slots(number: int) -> None:
    """Fails if a legal number is refused."""
    SCHEME.check_leaf(ACCOUNT + SLOT, slot_value(number))


@pytest.mark.parametrize("size", [0, 31, 33, 63, 65, 96])
def test_keys_have_32_or_64_bytes(size: int) -> None:
    """Fails if any other key is let through."""
    with pytest.raises(InvalidLeafError):
        SCHEME.check_leaf(bytes(size), slot_value(1))


def _items(state: dict[bytes, bytes]) -> list[Item]:
    return list(leaf_items(sorted(state.items())))


CONTRACT = slim_account(1, 2, STORAGE)
TWO = STORAGE | {b"\xbc" + bytes(31): slot_value(9)}
UNBOUND: dict[str, dict[bytes, bytes]] = {
    "a slot without its account": {ACCOUNT + SLOT: slot_value(7)},
    "slots without their account": {ACCOUNT + slot: value for slot, value in TWO.items()},
    "slots that share nothing, without their account": {ACCOUNT + SLOT: b"\x01", ACCOUNT + bytes(32): b"\x01"},
    "a slot of the neighbour's": {ACCOUNT: CONTRACT, ACCOUNT[:31] + b"\xab" + SLOT: slot_value(7)},
    "an account without its slot": {ACCOUNT: CONTRACT},
    "an account without one slot": {ACCOUNT: slim_account(1, 2, TWO), ACCOUNT + SLOT: slot_value(7)},
    "an account with a slot too many": {ACCOUNT: CONTRACT} | {ACCOUNT + slot: value for slot, value in TWO.items()},
    "an account with another value": {ACCOUNT: CONTRACT, ACCOUNT + SLOT: slot_value(8)},
    "an account with another slot": {ACCOUNT: CONTRACT, ACCOUNT + SLOT[::-1][:31] + b"\0": slot_value(7)},
    "a slot of an account without storage": {ACCOUNT: slim_account(1, 2, {}), ACCOUNT + SLOT: slot_value(7)},
}


@pytest.mark.parametrize("name", UNBOUND)
def test_storage_belongs_to_its_account(name: str) -> None:
    """Fails if the storage root in the leaf is not compared with the slots, or a slot may dangle: (c) and (d)."""
    others = {bytes(32): slim_account(0, 1, {}), b"\xff" * 32: slim_account(0, 2, {})}
    for around in ({}, others):
        with pytest.raises(InvalidLeafError):
            fold(SCHEME, _items(UNBOUND[name] | around))
    fold(SCHEME, _items({ACCOUNT: CONTRACT, ACCOUNT + SLOT: slot_value(7)} | others))


@pytest.mark.parametrize("depth", [65, 66, 128])
def test_a_storage_node_belongs_to_its_account(depth: int) -> None:
    """Fails if an opaque node inside a storage trie may hang under the account trie: free use of the virtual digit."""
    others = [(bytes(32), slim_account(0, 1, {}), LEAF, 0), (b"\xff" * 32, slim_account(0, 2, {}), LEAF, 0)]
    for key in (ACCOUNT + b"\0", ACCOUNT + SLOT):
        node = (key, HASH, NODE, depth)
        for items in ([node], [others[0], node, others[1]]):
            with pytest.raises(ProofError):
                fold(SCHEME, items)


def test_a_witness_needs_its_storage() -> None:
    """Fails if an account's leaf may stand as the value of a branch that has no storage below it."""
    with pytest.raises(ProofError):
        fold(SCHEME, [(ACCOUNT, CONTRACT, VALUE, 0)])
    with pytest.raises(ProofError):
        fold(SCHEME, [(ACCOUNT, slim_account(1, 2, {}), VALUE, 0), (b"\xff" * 32, HASH, NODE, 1)])
    whole = fold(SCHEME, _items({ACCOUNT: CONTRACT, ACCOUNT + SLOT: slot_value(7)}))
    storage_root = MPTModel().root(STORAGE)
    opaque = (ACCOUNT + b"\0", storage_root, NODE, 65)
    assert state_root(SCHEME, [(ACCOUNT, CONTRACT, VALUE, 0), opaque]) == SCHEME.root(whole[0][1])
    with pytest.raises(InvalidLeafError):
        fold(SCHEME, [(ACCOUNT, CONTRACT, VALUE, 0), (ACCOUNT + b"\0", HASH, NODE, 65)])


def test_parts_that_cannot_belong_together() -> None:
    """Fails if `branch`, `value` or `lift` believe their caller: each is asked directly."""
    slots: list[bytes | None] = [HASH, HASH, *[None] * 14]
    with pytest.raises(InvalidLeafError):
        SCHEME.branch(slots, CONTRACT, ACCOUNT, 3, 3)
    with pytest.raises(InvalidLeafError):
        SCHEME.branch([HASH], None, ACCOUNT, 3, 64)
    with pytest.raises(InvalidLeafError):
        SCHEME.branch([None], CONTRACT, ACCOUNT, 3, 64)
    with pytest.raises(InvalidLeafError):
        SCHEME.lift(HASH, ACCOUNT + SLOT, 64, 70)
    for key in (b"", ACCOUNT[:31], ACCOUNT + b"\0", ACCOUNT + SLOT):
        with pytest.raises(MalformedProofError):
            SCHEME.check_value(key, CONTRACT)


def test_references_are_strict() -> None:
    """Fails if a short reference is spliced without being decoded."""
    SCHEME.check_ref(HASH)
    for ref in (b"", b"\x80", HASH[:31], HASH + b"\0", rlp([b"\x20", b"v"]) + b"\x80"):
        with pytest.raises(MalformedProofError):
            SCHEME.check_ref(ref)


def test_equal_storage_at_two_accounts() -> None:
    """Fails if storage is found by its root and not by its account."""
    state: dict[bytes, bytes] = {}
    for account in (ACCOUNT, bytes(32), ACCOUNT[:31] + b"\0"):
        state |= {account: CONTRACT, account + SLOT: slot_value(7)}
    assert state_root(SCHEME, _items(state)) == EthereumModel().root(state)


def test_implied_clears() -> None:
    """Fails if the storage of a deleted account, or of one written without storage, would stay behind."""
    writes = [
        (ACCOUNT, None),
        (bytes(32), slim_account(0, 1, {})),
        (b"\x01" * 32, CONTRACT),
        (b"\x01" * 32 + SLOT, None),
        (b"\x01" * 32 + SLOT, slot_value(1)),
    ]
    assert SCHEME.implied_clears(writes) == [ACCOUNT, bytes(32)]
    with pytest.raises(InvalidLeafError):
        SCHEME.implied_clears([(ACCOUNT, b"\xc0")])


def test_code_hashes() -> None:
    """Fails if code is looked for where there is none."""
    assert SCHEME.code_hash(ACCOUNT, slim_account(1, 2, {}, HASH)) == HASH
    assert SCHEME.code_hash(ACCOUNT, slim_account(1, 2, {})) is None
    assert SCHEME.code_hash(ACCOUNT + SLOT, slot_value(1)) is None
