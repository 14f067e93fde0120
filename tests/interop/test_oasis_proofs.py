"""Proofs against the real verifier, and answers against the real reads."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from proofs.errors import ProofError
from proofs.oasis.messages import (
    STATE,
    GetPrefixesRequest,
    GetRequest,
    IterateRequest,
    OasisRoot,
    Proof,
    ProofResponse,
    TreeID,
)
from proofs.oasis.proof import verify
from proofs.oasis.reads import sync_get, sync_get_prefixes, sync_iterate
from proofs.oasis.tree import Branch, Tree
from tests.interop.program import Oasis, RefusedError
from tests.oasis_cases import NAMESPACE, Pair, nodes_of, random_state, tree_of

pytestmark = [pytest.mark.slow, pytest.mark.interop]

KINDS = ("uniform", "nested", "modules", "edges")


def draw_key(rng: random.Random, pairs: list[Pair]) -> bytes:
    """A key that is there, close to one, or anywhere."""
    key = rng.choice(pairs)[0] if pairs and rng.random() < 0.8 else rng.randbytes(rng.randrange(5))
    match rng.randrange(4):
        case 0:
            return key[: rng.randrange(len(key) + 1)]
        case 1:
            return key + rng.randbytes(1)
        case _:
            return key


def draw_position(rng: random.Random, tree: Tree) -> bytes:
    branches = [node.hash for node in nodes_of(tree.root) if isinstance(node, Branch)]
    return rng.choice([tree.root_hash, tree.root_hash, rng.randbytes(32), *branches])


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_equal_and_verify_on_both_sides(kind: str, oasis: Oasis, rng: random.Random) -> None:
    for count in (0, 1, 2, 10, 100):
        pairs = random_state(rng, kind, count)
        db, encoded = oasis.state(pairs, namespace=NAMESPACE, version=1, root_type=STATE)
        root, tree = OasisRoot.decode(encoded), tree_of(pairs, stub_leaves=8)
        for _ in range(25):
            version = rng.randrange(2)
            where = TreeID(root, draw_position(rng, tree))
            get = GetRequest(where, draw_key(rng, pairs), version, rng.random() < 0.5)
            iterate = IterateRequest(where, draw_key(rng, pairs), rng.choice((0, 1, 5, 50)), version)
            prefixes = tuple(draw_key(rng, pairs)[: rng.randrange(4)] for _ in range(rng.randrange(4)))
            get_prefixes = GetPrefixesRequest(where, prefixes, rng.choice((0, 1, 10, 500)), version)
            for cmd, request, proof in (
                ("get", get, sync_get(tree, get)),
                ("iterate", iterate, sync_iterate(tree, iterate)),
                ("prefixes", get_prefixes, sync_get_prefixes(tree, get_prefixes)),
            ):
                answer = oasis(cmd, db=db, request=request.encode())
                assert ProofResponse(proof).encode().hex() == answer["response"], request
                check_verdict(oasis, proof.untrusted_root, proof, whole=proof.untrusted_root == root.hash)
        oasis("close", db=db)


def check_verdict(oasis: Oasis, root: bytes, proof: Proof, *, whole: bool = True) -> bool:
    """Whether the reference accepts; where we do too, both show the same leaves. We never accept alone."""
    try:
        theirs = oasis("verify", root=root, proof=proof.encode())["writelog"]
    except RefusedError:
        with pytest.raises(ProofError):
            verify(root, proof, depth_max=70_000)
        return False
    if not whole:
        return True  # a subtree's proof: its positions are relative to a root that it does not show
    try:
        ours = verify(root, proof, depth_max=70_000)
    except ProofError:
        return True
    assert sorted([key.hex(), value.hex()] for key, value in ours.leaves) == sorted(theirs)
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_forgeries_are_refused_wherever_the_reference_refuses(kind: str, oasis: Oasis, rng: random.Random) -> None:
    accepted = 0
    for _ in range(60):
        pairs = random_state(rng, kind, rng.choice((1, 2, 5, 20)))
        tree = tree_of(pairs)
        where = TreeID(OasisRoot(NAMESPACE, 1, STATE, tree.root_hash), tree.root_hash)
        proof = sync_iterate(tree, IterateRequest(where, draw_key(rng, pairs), rng.randrange(20), rng.randrange(2)))
        assert check_verdict(oasis, tree.root_hash, proof)
        verify(tree.root_hash, proof, depth_max=1000)
        for _ in range(10):
            accepted += check_verdict(oasis, tree.root_hash, mutate(rng, proof))
    assert accepted < 600


def mutate(rng: random.Random, proof: Proof) -> Proof:
    entries = list(proof.entries)
    at = rng.randrange(len(entries))
    changed = bytearray(entries[at] or b"")
    match rng.randrange(6):
        case 0:
            del entries[at]
        case 1:
            entries.insert(at, rng.choice(entries))
        case 2:
            entries[at] = None if entries[at] else b"\2" + bytes.fromhex("c672b8d1ef56ed28") + bytes(24)
        case 3:
            entries[at] = bytes(changed) + rng.randbytes(rng.choice((1, 64)))
        case 4 if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            entries[at] = bytes(changed)
        case _:
            return replace(proof, version=rng.randrange(4))
    return replace(proof, entries=tuple(entries))
