"""`jam` against a recursive definition on bit strings, byte by byte, and every published trace root."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from proofs import (
    NODE,
    InvalidLeafError,
    MalformedProofError,
    ProofNode,
    fold,
    get_scheme,
    leaf_items,
    state_root,
    verify_range,
)
from tests.properties.conformance import honest_proof
from tests.properties.scheme_states import STATES

JAM = get_scheme("jam")
TRACES = ("fallback", "preimages", "preimages_light", "safrole", "storage", "storage_light")


def merkle(leaves: dict[str, bytes], depth: int = 0) -> bytes:
    """The Gray Paper's M, on keys as strings of bits."""
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        ((bits, value),) = leaves.items()
        key = int(bits, 2).to_bytes(31)
        if len(value) <= 32:
            return _hash(bytes([0b1000_0000 + len(value)]) + key + value + bytes(32 - len(value)))
        return _hash(bytes([0b1100_0000]) + key + _hash(value))
    left = merkle({bits: value for bits, value in leaves.items() if bits[depth] == "0"}, depth + 1)
    right = merkle({bits: value for bits, value in leaves.items() if bits[depth] == "1"}, depth + 1)
    return _hash(bytes([left[0] % 128]) + left[1:] + right)


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


@settings(max_examples=100)
@given(STATES["jam"])
def test_the_root_is_the_gray_papers(state: list[tuple[bytes, bytes]]) -> None:
    assert state_root(JAM, leaf_items(state)) == merkle({f"{int.from_bytes(k):0248b}": v for k, v in state})


@pytest.mark.parametrize("name", TRACES)
def test_every_root_of_the_published_traces(data: Path, name: str) -> None:
    trace = json.loads(gzip.decompress((data / "jam" / f"trace_{name}.json.gz").read_bytes()))
    bases = {base["root"]: base["keyvals"] for base in trace["base_states"]}
    root, state = None, {}
    for step in trace["steps"]:
        if step["pre_root"] != root:
            state = dict(bases[step["pre_root"]])
            assert _root(state) == step["pre_root"]
        for key in step["delete"]:
            del state[key]
        state |= step["set"]
        root = _root(state)
        assert root == step["post_root"]


def _root(state: dict[str, str]) -> str:
    leaves = sorted((bytes.fromhex(key), bytes.fromhex(value)) for key, value in state.items())
    return state_root(JAM, leaf_items(leaves)).hex()


def test_a_left_reference_with_its_free_bit_set_is_refused() -> None:
    """It would fold to the same root: a second spelling of the same proof."""
    state = [(bytes((first,)) + bytes(30), b"value") for first in (0x00, 0x40, 0x80)]
    root = state_root(JAM, leaf_items(state))
    proof, run = honest_proof(JAM, state, 2, 3)
    (node,) = proof.left
    assert verify_range(JAM, root, proof, run)
    forged = ProofNode(node.depth, node.slot, bytes((node.ref[0] | 0x80,)) + node.ref[1:])
    with pytest.raises(MalformedProofError):
        verify_range(JAM, root, type(proof)(proof.start, proof.end, (forged,), proof.right), run)


@given(STATES["jam"])
def test_references_in_left_slots_have_their_free_bit_zero(state: list[tuple[bytes, bytes]]) -> None:
    for key, ref, kind, depth in fold(JAM, leaf_items(state[: len(state) // 2]), None, b"\xff" * 32):
        assert kind == NODE
        assert JAM.path.digit(key, depth - 1) or ref[0] < 0x80


@pytest.mark.parametrize("size", [0, 30, 32])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidLeafError):
        JAM.check_leaf(bytes(size), b"")
    with pytest.raises(MalformedProofError):
        JAM.check_value(bytes(size), b"")


@pytest.mark.parametrize("ref", [b"", bytes(32), b"\1" * 31, b"\1" * 33])
def test_a_reference_that_is_no_identity_is_refused(ref: bytes) -> None:
    with pytest.raises(MalformedProofError):
        JAM.check_ref(ref)
