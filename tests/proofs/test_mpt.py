"""Plain Merkle-Patricia tries: the shared vectors, and every node that no honest trie holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proofs import InvalidLeafError, MalformedProofError, ProofError, leaf_items, leaf_run, state_root, verify_range
from proofs.hashing import keccak256
from proofs.rlp import RLP, encode_list, encode_string
from proofs.schemes import mpt
from proofs.schemes.mpt import MPT, check_node, check_reference, decode_path
from tests.model import Tree, hex_prefix, rlp
from tests.proofs.states import make_world

SCHEME = MPT()
HASH = bytes(range(32))
LEAF_NODE: RLP = [b"\x20", b"v"]
BRANCH: RLP = [LEAF_NODE, LEAF_NODE, *[b""] * 15]


def _root(state: dict[bytes, bytes]) -> str:
    return state_root(SCHEME, leaf_items(sorted(state.items()))).hex()


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()


def _final_state(pairs: Any, secure: bool) -> dict[bytes, bytes]:
    """What is left after all writes, in order; a null or empty value deletes."""
    state: dict[bytes, bytes] = {}
    for text, value in pairs.items() if isinstance(pairs, dict) else pairs:
        key = keccak256(_bytes(text)) if secure else _bytes(text)
        if value:
            state[key] = _bytes(value)
        else:
            state.pop(key, None)
    return state


TRIE_TESTS = {
    "trietest.json": False,
    "trieanyorder.json": False,
    "trietest_secureTrie.json": True,
    "trieanyorder_secureTrie.json": True,
    "hex_encoded_securetrie_test.json": True,
}


@pytest.mark.parametrize("file", TRIE_TESTS)
def test_trie_tests(data: Path, file: str) -> None:
    """Fails with any deviation from the shared TrieTests; keys inside keys are among them."""
    vectors = json.loads((data / "ethereum" / "TrieTests" / file).read_text())
    assert vectors
    for name, vector in vectors.items():
        state = _final_state(vector["in"], TRIE_TESTS[file])
        assert _root(state) == vector["root"][2:], name


def test_next_and_previous_are_key_order(data: Path) -> None:
    """Fails if key order is not plain byte order."""
    vector = json.loads((data / "ethereum" / "TrieTests" / "trietestnextprev.json").read_text())["basic"]
    keys = sorted(key.encode() for key in vector["in"])
    for key, before, after in vector["tests"]:
        assert max((one for one in keys if one < key.encode()), default=b"").decode() == before
        assert min((one for one in keys if one > key.encode()), default=b"").decode() == after


def test_roots_after_each_insert(data: Path) -> None:
    """The 104 roots of the stack trie's own tests."""
    sequences = json.loads((data / "ethereum" / "vectors.json").read_text())["stackTrieInsertAndHash"]
    assert sum(map(len, sequences)) == 104
    for sequence in sequences:
        state: dict[bytes, bytes] = {}
        for step in sequence:
            state[bytes.fromhex(step["key"])] = step["valueAscii"].encode()
            assert _root(state) == step["rootAfter"]


def test_small_tries_of_the_shared_vectors(data: Path) -> None:
    """Stack-trie edge cases and two keys with a shared prefix."""
    vectors = json.loads((data / "ethereum" / "vectors.json").read_text())
    for case in [*vectors["stackTrieEqualsReference"], vectors["sharedPrefix"]]:
        state = {bytes.fromhex(key): bytes.fromhex(value) for key, value in case["leaves"]}
        assert _root(state) == case["root"]


def test_a_gap_in_a_small_trie(data: Path) -> None:
    """Ten numbered leaves, 2 to 7 proven. Fails if the range may come without its 5."""
    assert "gappedSmallTrie" in json.loads((data / "ethereum" / "vectors.json").read_text())
    world = make_world("mpt", {number.to_bytes(32): bytes((number,)) for number in range(10)})
    proof, run = world.prove(2, 8), world.run(2, 8)
    verify_range(SCHEME, world.root, proof, run)
    with pytest.raises(ProofError):
        verify_range(SCHEME, world.root, proof, leaf_run([leaf for leaf in run if leaf[1] != b"\x05"]))


def test_hex_prefix_vectors(data: Path) -> None:
    """Fails if a path's parity or kind is read wrongly."""
    for vector in json.loads((data / "ethereum" / "vectors.json").read_text())["hexPrefix"]:
        encoded = bytes.fromhex(vector["encoded"])
        assert decode_path(encoded) == (vector["nibbles"], vector["leaf"])
        assert hex_prefix(tuple(vector["nibbles"]), vector["leaf"]) == encoded


@pytest.mark.parametrize("item", [b"", b"\x40", b"\xff", b"\x01", b"\x2f", [], [b"\x20"]], ids=repr)
def test_other_paths_are_refused(item: RLP) -> None:
    """Fails if a flag above 3 or a stray nibble in an even path is let through."""
    with pytest.raises(MalformedProofError):
        decode_path(item)


NODES: dict[str, RLP] = {
    "leaf": LEAF_NODE,
    "extension to a hash": [b"\x11", HASH],
    "extension to a short branch": [b"\x11", BRANCH],
    "branch of two": BRANCH,
    "branch of a child and a value": [LEAF_NODE, *[b""] * 15, b"v"],
    "branch of hashes": [HASH, HASH, *[b""] * 15],
}
NOT_NODES: dict[str, RLP] = {
    "string": b"v",
    "nothing": [],
    "three items": [b"\x20", b"v", b"v"],
    "leaf without a value": [b"\x20", b""],
    "leaf holding a list": [b"\x20", [b"v"]],
    "path that is a list": [[b"\x20"], b"v"],
    "path of no kind": [b"\x60", b"v"],
    "extension without a path": [b"\x00", HASH],
    "extension to a short string": [b"\x11", b"v"],
    "extension to nothing": [b"\x11", b""],
    "extension to no node": [b"\x11", [b"v"]],
    "branch of one": [LEAF_NODE, *[b""] * 16],
    "branch of a value only": [*[b""] * 16, b"v"],
    "branch whose value is a list": [LEAF_NODE, LEAF_NODE, *[b""] * 14, [b"v"]],
    "branch with a short string": [LEAF_NODE, b"v", *[b""] * 15],
    "branch with no node": [LEAF_NODE, [b"v"], *[b""] * 15],
    "sixteen items": [LEAF_NODE, LEAF_NODE, *[b""] * 14],
}


def _tree(node: RLP) -> Tree:
    return node if isinstance(node, bytes) else [_tree(item) for item in node]


@pytest.mark.parametrize("name", NODES)
def test_nodes(name: str) -> None:
    """Fails if a legal shape is refused."""
    check_node(NODES[name])
    if len(rlp(_tree(NODES[name]))) < 32:
        SCHEME.check_ref(rlp(_tree(NODES[name])))


@pytest.mark.parametrize("name", NOT_NODES)
def test_not_nodes(name: str) -> None:
    """Fails if one of the shapes that no honest trie holds is let through, at the top or inside a node."""
    encoded = rlp(_tree(NOT_NODES[name]))
    with pytest.raises(MalformedProofError):
        check_node(NOT_NODES[name])
    with pytest.raises(MalformedProofError):
        check_node([b"\x11", [NOT_NODES[name], LEAF_NODE, *[b""] * 15]])
    if len(encoded) != 32:
        with pytest.raises(MalformedProofError):
            check_reference(encoded)


@pytest.mark.parametrize(
    "ref",
    [
        b"",
        b"\x80",
        bytes(31),
        bytes(33),
        rlp([b"\x20", b"v"]) + b"\x80",
        rlp([b"\x20", b"v"]) * 2,
        b"\xc3\x81\x20v",
        b"\xc3\x20\x81v",
        b"\xf8\x03\x20\x81\x90",
        rlp([b"\x20", b"v" * 40]),
    ],
    ids=["nothing", "empty", "31 zeros", "33 bytes", "swallows a hole", "swallows a neighbour", "path in two bytes",
         "value in two bytes", "long list", "node that is hashed"],
)  # fmt: skip
def test_other_references_are_refused(ref: bytes) -> None:
    """Fails if a short reference is spliced without being decoded strictly."""
    with pytest.raises(MalformedProofError):
        SCHEME.check_ref(ref)


def test_a_hash_is_any_32_bytes() -> None:
    """Fails if a hash is parsed as if it were a node."""
    SCHEME.check_ref(rlp([b"\x20", b"v" * 29]))
    assert len(rlp([b"\x20", b"v" * 29])) == 32


def test_leaves() -> None:
    """Fails if an empty value, which is a deletion, or a key or value beyond the limits is folded."""
    SCHEME.check_leaf(b"", b"v")
    SCHEME.check_leaf(bytes(mpt.KEY_BYTES_MAX), b"v")
    for key, value in ((b"k", b""), (bytes(mpt.KEY_BYTES_MAX + 1), b"v"), (b"k", bytes(mpt.VALUE_BYTES_MAX + 1))):
        for check in (SCHEME.check_leaf, SCHEME.check_value):
            with pytest.raises(InvalidLeafError):
                check(key, value)


def test_nodes_of_31_and_32_bytes() -> None:
    """Fails if the border between standing inside and being hashed is off by one."""
    for size, is_inside in ((28, True), (29, False)):
        node = encode_list(encode_string(b"\x20") + encode_string(b"v" * size))
        assert len(node) == size + 3
        ref = SCHEME.leaf(b"\x12", b"v" * size, 2)
        assert ref == (node if is_inside else keccak256(node))
        assert SCHEME.root(ref) == keccak256(node)


def test_nothing_is_implied() -> None:
    """Fails if the scheme clears or names what the chain does not."""
    assert SCHEME.implied_clears([(b"k", None)]) == []
    assert SCHEME.code_hash(b"k", b"v") is None
