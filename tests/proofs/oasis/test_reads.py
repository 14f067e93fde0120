"""Proof-returning reads: exactly the nodes that the reference includes."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from proofs.errors import MalformedProofError
from proofs.oasis.messages import (
    GetPrefixesRequest,
    GetRequest,
    IterateRequest,
    OasisRoot,
    Proof,
    ProofResponse,
    TreeID,
)
from proofs.oasis.proof import verify
from proofs.oasis.reads import ProofBuilder, ReadTooLargeError, Walk, sync_get, sync_get_prefixes, sync_iterate
from proofs.oasis.tree import Branch, Node, Tree
from tests.oasis_cases import NAMESPACE, apply_ops, numbered, reference_cases, root_of, tree_of, vectors


def tree_id(tree: Tree, position: bytes | None = None) -> TreeID:
    return TreeID(OasisRoot(NAMESPACE, 1, 1, tree.root_hash), position or tree.root_hash)


ASKED = ("gets", "iters", "prefixes")


def ask(tree: Tree, kind: str, question: dict[str, Any]) -> Proof:
    """The answer to a recorded question."""
    where, version = tree_id(tree), question["v"]
    if kind == "prefixes":
        prefixes = tuple(map(bytes.fromhex, question["prefixes"]))
        return sync_get_prefixes(tree, GetPrefixesRequest(where, prefixes, question["limit"], version))
    key = bytes.fromhex(question["key"])
    if kind == "iters":
        return sync_iterate(tree, IterateRequest(where, key, question["prefetch"], version))
    return sync_get(tree, GetRequest(where, key, version, question["siblings"]))


@pytest.mark.parametrize("stub_leaves", [0, 4])
def test_recorded_answers(stub_leaves: int, data: Path) -> None:
    """Every answer byte for byte, from a whole tree and from a spine; each one verifies."""
    seen = 0
    for case in reference_cases(data):
        pairs = apply_ops(case["ops"])
        tree, state = tree_of(pairs, stub_leaves=stub_leaves), dict(pairs)
        answers = [(ask(tree, kind, question), question) for kind in ASKED for question in case[kind]]
        for proof, question in answers:
            assert ProofResponse(proof).encode().hex() == question["proof"], (case["name"], question)
            verified = verify(tree.root_hash, proof)
            assert all(state[key] == value for key, value in verified.leaves)
            seen += 1
        for question in case["gets"]:
            key = bytes.fromhex(question["key"])
            answer = verify(tree.root_hash, sync_get(tree, GetRequest(tree_id(tree), key, question["v"])))
            assert answer.get(key) == state.get(key)
    assert seen > 500


def test_unit_test_proofs(data: Path) -> None:
    for vector in vectors(data).values():
        inputs = vector["inputs"]
        if vector["kind"] == "sync_get_proof":
            tree = tree_of(numbered(inputs["count"]))
            request = GetRequest(
                tree_id(tree), bytes.fromhex(inputs["key_hex"]), inputs["version"], inputs["include_siblings"]
            )
            proof = sync_get(tree, request)
        elif vector["kind"] == "proof_builder":
            tree = tree_of(numbered(inputs["count"]))
            builder = ProofBuilder(tree, inputs["version"])
            for path in inputs["include_paths"]:
                builder.include(descend(tree, path))
            proof = builder.build()
        else:
            continue
        expected = vector["expected"]["proof_b64"]
        assert base64.b64encode(proof.encode()).decode() == expected, vector["id"]
        verify(tree.root_hash, proof)


def descend(tree: Tree, path: str) -> Node | None:
    node = tree.root
    for letter in path:
        assert isinstance(node, Branch)
        node = node.left if letter == "L" else node.right
    return node


def test_seeks_of_the_reference(data: Path) -> None:
    vector = vectors(data)["iterator-basic"]
    keys = [key.encode() for key in vector["inputs"]["keys"]]
    tree = tree_of([(key, b"") for key in keys])
    for sought, expected in vector["expected"]["seeks"]:
        assert walk_from(tree, sought.encode()) == (keys[expected:] if expected >= 0 else []), sought
    for name in ("iterator-case1", "iterator-case2"):
        inputs = vectors(data)[name]["inputs"]
        tree = tree_of(sorted((bytes.fromhex(key), bytes.fromhex(value)) for key, value in inputs["kv"]))
        found = [key.hex() for key in walk_from(tree, bytes.fromhex(inputs["seek_hex"]))]
        assert found == [key for key in vectors(data)[name]["expected"]["keys_hex"] if key >= inputs["seek_hex"]]


def walk_from(tree: Tree, key: bytes) -> list[bytes]:
    walk = Walk(tree, ProofBuilder(tree, 0))
    walk.seek(key)
    found = []
    while walk.current is not None:
        found.append(walk.current.key)
        walk.next()
    return found


def test_a_walk_finds_every_key_from_anywhere() -> None:
    """Against the obvious model, for keys that are prefixes of each other."""
    keys = sorted({bytes(byte for byte in (a, b, c) if byte < 4) for a in range(5) for b in range(5) for c in range(3)})
    tree = tree_of([(key, b"") for key in keys])
    for sought in [*keys, *(key + b"\1" for key in keys), b"\xff"]:
        assert walk_from(tree, sought) == [key for key in keys if key >= sought]


def test_a_caller_that_knows_a_subtree_gets_the_rest_only() -> None:
    pairs = numbered(100)
    tree = tree_of(pairs)
    assert isinstance(tree.root, Branch)
    assert tree.root.left is not None
    position = tree.root.left.hash
    key = pairs[0][0]
    whole = sync_get(tree, GetRequest(tree_id(tree), key))
    part = sync_get(tree, GetRequest(tree_id(tree, position), key))
    assert part.untrusted_root == position
    assert whole.untrusted_root == tree.root_hash
    assert len(part.entries) < len(whole.entries)
    elsewhere = sync_get(tree, GetRequest(tree_id(tree, bytes(32)), key))
    assert elsewhere == whole


def test_a_walk_that_was_not_started_has_no_next() -> None:
    tree = tree_of(numbered(3))
    walk = Walk(tree, ProofBuilder(tree, 0))
    walk.next()
    assert walk.current is None


@pytest.mark.parametrize("version", [-1, 2])
def test_proof_versions_that_do_not_exist(version: int) -> None:
    with pytest.raises(MalformedProofError):
        ProofBuilder(tree_of([]), version)


def test_sizes_are_those_that_chunkers_go_by() -> None:
    """An embedded leaf counts within its branch, and again for itself."""
    tree = tree_of([(b"a", b"1"), (b"ab", b"2")])
    builder = ProofBuilder(tree, 0)
    root = builder.include(tree.root)
    assert isinstance(root, Branch)
    before = builder.size
    builder.include(root.leaf)
    assert (before, builder.size) == (1 + 3 + 1 + 9, before + 10)
    builder.include(root.leaf)
    assert builder.size == before + 10
    assert root_of([(b"a", b"1"), (b"ab", b"2")]).hash == tree.root_hash
    assert isinstance(builder.build(), Proof)


def test_an_answer_is_no_larger_than_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proofs.oasis.reads.MESSAGE_BYTES_MAX", 1000)
    tree = tree_of(numbered(100))
    sync_iterate(tree, IterateRequest(tree_id(tree), b"", 5))
    with pytest.raises(ReadTooLargeError) as caught:
        sync_iterate(tree, IterateRequest(tree_id(tree), b"", 90))
    assert caught.value.bytes_max == 1000
