"""Nodes inside Oasis proofs: one encoding each, hashed as the reference hashes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs.errors import MalformedProofError
from proofs.hashing import sha512_256
from proofs.oasis.node import branch_hash, decode_branch, decode_leaf, encode_branch, encode_leaf, leaf_hash
from tests.oasis_cases import vectors


def test_hashes_are_those_of_the_reference(data: Path) -> None:
    leaf = vectors(data)["leaf-hash"]
    key, value = (bytes.fromhex(leaf["inputs"][name]) for name in ("key_hex", "value_hex"))
    assert leaf_hash(key, value).hex() == leaf["expected"]["hash"]
    node = vectors(data)["internal-hash"]
    inputs = node["inputs"]
    children = (sha512_256(inputs[f"{side}_hash_of_text"].encode()) for side in ("leaf", "left", "right"))
    assert (
        branch_hash(inputs["label_bits"], bytes.fromhex(inputs["label_hex"]), *children).hex()
        == node["expected"]["hash"]
    )


@given(st.binary(max_size=40), st.binary(max_size=300))
def test_a_leaf_comes_back(key: bytes, value: bytes) -> None:
    assert decode_leaf(encode_leaf(key, value)) == (key, value)
    assert decode_leaf(b"??" + encode_leaf(key, value), 2) == (key, value)


@given(st.integers(0, 60), st.none() | st.tuples(st.binary(max_size=9), st.binary(max_size=9)))
def test_a_branch_comes_back(bits: int, leaf: tuple[bytes, bytes] | None) -> None:
    size = bits + 7 >> 3
    label = (((1 << bits) - 1) << (size * 8 - bits)).to_bytes(size)
    encoded = encode_branch(bits, label, encode_leaf(*leaf)) if leaf else encode_branch(bits, label)
    assert decode_branch(encoded) == (bits, label, leaf)


LEAF = encode_leaf(b"key", b"value")
BRANCH = encode_branch(9, b"\x12\x80", LEAF)


@pytest.mark.parametrize("size", range(len(LEAF)))
def test_a_truncated_leaf_is_refused(size: int) -> None:
    with pytest.raises(MalformedProofError):
        decode_leaf(LEAF[:size])


@pytest.mark.parametrize("size", range(len(BRANCH)))
def test_a_truncated_branch_is_refused(size: int) -> None:
    with pytest.raises(MalformedProofError):
        decode_branch(BRANCH[:size])


def test_what_follows_a_node_is_refused() -> None:
    for bad in (BRANCH + b"\0", encode_branch(9, b"\x12\x80") + b"\0", encode_branch(9, b"\x12\x80", b"\3")):
        with pytest.raises(MalformedProofError):
            decode_branch(bad)
    with pytest.raises(MalformedProofError):
        decode_leaf(LEAF + b"\0")


def test_a_label_with_bits_behind_its_end_is_refused() -> None:
    with pytest.raises(MalformedProofError):
        decode_branch(encode_branch(9, b"\x12\x81"))


def test_a_key_that_no_trie_holds_is_refused() -> None:
    with pytest.raises(MalformedProofError):
        decode_leaf(encode_leaf(bytes(8192), b""))
