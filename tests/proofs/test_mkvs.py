"""Oasis tries: hashes, node encodings and roots of the shared vectors, and the limits of the format."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from proofs import LEAF, InvalidLeafError, MalformedProofError, fold, get_scheme, leaf_items, leaf_run, state_root
from proofs.hashing import sha512_256
from proofs.schemes import mkvs
from proofs.schemes.mkvs import MKVS, label
from tests.model import MKVSModel
from tests.proofs.states import make_world

SCHEME = MKVS()


def _root(state: dict[bytes, bytes]) -> str:
    return state_root(SCHEME, leaf_items(sorted(state.items()))).hex()


def _vectors(data: Path, kind: str) -> list[dict[str, Any]]:
    vectors = json.loads((data / "oasis" / "vectors.json").read_text())["vectors"]
    found = [vector for vector in vectors if vector["kind"] == kind]
    assert found
    return found


def _state(inputs: dict[str, Any]) -> dict[bytes, bytes]:
    """The state that a vector describes, or names a generator for."""
    if "kv" in inputs:
        return {bytes.fromhex(key): bytes.fromhex(value) for key, value in inputs["kv"]}
    if inputs["generator"] == "prefix_chain":
        key, value = inputs["long_key"].encode(), inputs["long_value"].encode()
        return {key[:size]: value for size in range(1, len(key) + 1)}
    assert inputs["generator"] == "numbered"
    assert not inputs["prefix"]
    return {f"key {at}".encode(): f"value {at}".encode() for at in range(inputs["count"])}


def test_hashes_of_the_shared_vectors(data: Path) -> None:
    """Fails if a size is not u32 little-endian in a leaf or u16 bits in a branch, or a domain byte changes."""
    (empty,) = _vectors(data, "sha512_256")
    assert SCHEME.empty_root.hex() == empty["expected"]["hash"]
    (leaf,) = _vectors(data, "leaf_hash")
    key, value = (bytes.fromhex(leaf["inputs"][name]) for name in ("key_hex", "value_hex"))
    assert SCHEME.leaf(key, value, 0).hex() == SCHEME.value(key, value).hex() == leaf["expected"]["hash"]


def test_a_branch_hashes_its_label_and_parts(data: Path) -> None:
    """Fails if leaf, left and right are joined in another order. The vector's label keeps a stray last bit, which no
    honest label has, so its preimage is only compared with ours after that bit.
    """
    (vector,) = _vectors(data, "internal_hash")
    inputs = vector["inputs"]
    parts = [sha512_256(inputs[f"{part}_hash_of_text"].encode()) for part in ("leaf", "left", "right")]
    stray = bytes.fromhex(inputs["label_hex"])
    head = b"\1" + inputs["label_bits"].to_bytes(2, "little")
    assert sha512_256(b"".join((head, stray, *parts))).hex() == vector["expected"]["hash"]
    clean = stray[:2] + bytes((stray[2] & 0xFE,))
    assert SCHEME.branch(parts[1:], parts[0], stray, 0, inputs["label_bits"]) == sha512_256(
        b"".join((head, clean, *parts))
    )


@pytest.mark.parametrize("kind", ["root_from_kv", "root_from_generator"])
def test_roots_of_the_shared_vectors(data: Path, kind: str) -> None:
    """Fails with any deviation from Oasis Core's roots."""
    for vector in _vectors(data, kind):
        assert _root(_state(vector["inputs"])) == vector["expected"]["root"], vector["id"]


def test_roots_of_the_reference_cases(data: Path) -> None:
    """37 states recorded from the real implementation, by inserts and removals."""
    with gzip.open(data / "oasis" / "reference-cases.jsonl.gz", "rt") as lines:
        cases = [json.loads(line) for line in lines]
    assert len(cases) == 37
    for case in cases:
        state: dict[bytes, bytes] = {}
        for op in case["ops"]:
            if op[0] == "i":
                state[bytes.fromhex(op[1])] = bytes.fromhex(op[2])
            else:
                state.pop(bytes.fromhex(op[1]), None)
        assert _root(state) == case["root"], case["name"]


def test_regression_of_a_thousand_pairs(data: Path) -> None:
    """The pairs that once broke a checkpoint."""
    regression = json.loads(gzip.decompress((data / "oasis" / "regression-n1000.json.gz").read_bytes()))
    assert _root({bytes.fromhex(key): bytes.fromhex(value) for key, value in regression["kv"]}) == regression["root"]


def test_operation_sequences(data: Path) -> None:
    """The trie tests' own sequences: what is read, and the root at the end. Fails if key order is another."""
    files = sorted((data / "oasis" / "cases").glob("case-*.json"))
    assert len(files) == 6
    model = MKVSModel()
    for file in files:
        state: dict[bytes, bytes] = {}
        for op in json.loads(file.read_text()):
            key, value = (base64.b64decode(op.get(name) or "") for name in ("key", "value"))
            match op["op"]:
                case "Insert":
                    state[key] = value
                case "Remove":
                    state.pop(key, None)
                case "Get":
                    assert state[key] == value
                case "IteratorSeek":
                    found = min((one for one in state if one >= key), default=None)
                    assert found == base64.b64decode(op["expected_key"])
                    assert state[found] == value
        assert _root(state) == model.root(state).hex()


def test_empty_keys_and_values_are_leaves() -> None:
    """Fails if an empty value is taken for a missing one, or the empty key for none."""
    roots = {_root(state) for state in ({}, {b"": b""}, {b"": b"v"}, {b"k": b""}, {b"": b"", b"k": b""})}
    assert len(roots) == 5
    world = make_world("mkvs", {b"": b"", b"\0": b"", b"\0\0": b"x"})
    assert state_root(SCHEME, leaf_items(world.leaves)) == world.root


def test_the_longest_key() -> None:
    """Fails if 8191 bytes are refused, or 8192 let through, where the bit length no longer fits in 16 bits."""
    longest = b"\xff" * 8191
    SCHEME.check_leaf(longest, b"")
    state = {longest: b"a", longest[:-1]: b"b", longest[:-1] + b"\xfe": b"c"}
    assert _root(state) == MKVSModel().root(state).hex()
    with pytest.raises(InvalidLeafError):
        SCHEME.check_leaf(longest + b"\0", b"")


def test_the_largest_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if a value whose size does not fit in 32 bits reaches the hash."""
    monkeypatch.setattr(mkvs, "VALUE_BYTES_MAX", 3)
    SCHEME.check_leaf(b"", b"abc")
    with pytest.raises(InvalidLeafError):
        SCHEME.check_leaf(b"", b"abcd")


@pytest.mark.parametrize("ref", [b"", bytes(31), bytes(33), bytes(64), SCHEME.empty_root])
def test_references(ref: bytes) -> None:
    """Fails if a hole may be written as a node: the hash of nothing is what an empty slot already has."""
    with pytest.raises(MalformedProofError):
        SCHEME.check_ref(ref)
    with pytest.raises(MalformedProofError):
        SCHEME.check_value(b"", ref)


def test_labels() -> None:
    """Bits [first, end), left-aligned. Fails if they are not shifted, or if the padding is not zero."""
    key = bytes.fromhex("a5c3")
    bits = f"{int.from_bytes(key):016b}"
    for first in range(17):
        for end in range(first, 17):
            text = bits[first:end]
            padded = text + "0" * (-len(text) % 8)
            assert label(key, first, end) == bytes(int(padded[at : at + 8], 2) for at in range(0, len(padded), 8))


def test_nothing_is_implied() -> None:
    """Fails if the scheme clears or names what the chain does not."""
    assert SCHEME.implied_clears([(b"k", None), (b"l", b"v")]) == []
    assert SCHEME.code_hash(b"k", b"v") is None
    assert get_scheme("mkvs").capabilities.has_code is False


def test_one_leaf_is_its_own_root() -> None:
    """Fails if a single leaf hangs under a branch of its own."""
    assert fold(SCHEME, [(b"k", b"v", LEAF, 0)]) == ((b"k", SCHEME.leaf(b"k", b"v", 0), 1, 0),)
    assert len(leaf_run([(b"k", b"v")])) == 1
