"""What every commitment scheme must hold to, as plain checks over one state.

A check takes a scheme and a legal state (leaves in key order) and asserts. None knows a scheme by name: what differs
is asked of `Scheme.capabilities`. `test_scheme_conformance.py` runs all of them over every registered scheme, and the
worked example of docs/schemes.md runs them over its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from proofs import (
    LEAF,
    NODE,
    Item,
    LeafRun,
    ProofError,
    RangeProof,
    Scheme,
    fold,
    frontier_root,
    leaf_items,
    leaf_run,
    prove_range,
    state_root,
    verify_range,
)

Leaves = Sequence[tuple[bytes, bytes]]
Check = Callable[[Scheme, Leaves, Random], None]

PROOF_BYTES_MAX = 1 << 24


def naive_root(scheme: Scheme, leaves: Leaves) -> bytes:
    """The root by definition: group by digit, recurse, encode."""
    return scheme.root(_naive_node(scheme, leaves, 0)) if leaves else scheme.empty_root


def _naive_node(scheme: Scheme, leaves: Leaves, start: int) -> bytes:
    first_key, first_value = leaves[0]
    if len(leaves) == 1:
        return scheme.leaf(first_key, first_value, start)
    path = scheme.path
    depth = min(path.parting(first_key, key) for key, _ in leaves[1:])
    value = None
    if path.digits(first_key) == depth:
        value, leaves = scheme.value(first_key, first_value), leaves[1:]
    slots: list[bytes | None] = [None] * path.radix(depth)
    for digit in range(len(slots)):
        below = [leaf for leaf in leaves if path.digit(leaf[0], depth) == digit]
        if below:
            slots[digit] = _naive_node(scheme, below, depth + 1)
    return scheme.branch(slots, value, first_key, start, depth)


def check_leaves_are_legal(scheme: Scheme, leaves: Leaves, rng: Random) -> None:
    """The state is within what the capabilities promise, and keys outside of it are refused."""
    smallest, largest = scheme.capabilities.key_sizes
    for key, value in leaves:
        scheme.check_leaf(key, value)
        assert smallest <= len(key) <= largest
        assert len(value) <= scheme.capabilities.value_bytes_max
        with pytest.raises(ProofError):
            scheme.check_leaf(bytes(largest + 1), value)


def check_digit_order_is_byte_order(scheme: Scheme, leaves: Leaves, rng: Random) -> None:
    """Neighbours in byte order part at a digit that grows, or one is the start of the other."""
    path = scheme.path
    for (a, _), (b, _) in pairwise(leaves):
        depth = path.parting(a, b)
        assert path.digits(a) == depth or path.digit(a, depth) < path.digit(b, depth)


def check_fold_equals_the_definition(scheme: Scheme, leaves: Leaves, rng: Random) -> None:
    assert state_root(scheme, leaf_items(leaves)) == naive_root(scheme, leaves)


def check_parts_join(scheme: Scheme, leaves: Leaves, rng: Random) -> None:
    """Frontiers of any split fold to the root, in one join or in two."""
    whole = state_root(scheme, leaf_items(leaves))
    cuts = sorted(rng.sample(range(len(leaves) + 1), min(3, len(leaves) + 1)))
    frontiers = [_frontier(scheme, leaves, a, b) for a, b in pairwise([0, *cuts, len(leaves)])]
    joined = [item for frontier in frontiers for item in frontier]
    assert frontier_root(scheme, fold(scheme, joined)) == whole
    middle = cuts[len(cuts) // 2]
    left = [item for frontier in frontiers[: len(cuts) // 2 + 1] for item in frontier]
    after = leaves[middle][0] if middle < len(leaves) else None
    assert fold(scheme, left, None, after) == _frontier(scheme, leaves, 0, middle)


def check_every_range_is_proven(scheme: Scheme, leaves: Leaves, rng: Random) -> None:
    """An honest range verifies after a trip over the wire; a sum proves the whole state and nothing less."""
    root = state_root(scheme, leaf_items(leaves))
    for a, b in _ranges(leaves, rng):
        proof, run = honest_proof(scheme, leaves, a, b)
        assert RangeProof.decode(proof.encode(), size_max=PROOF_BYTES_MAX) == proof
        if scheme.capabilities.additive and len(run) < len(leaves):
            with pytest.raises(ProofError):
                verify_range(scheme, root, proof, run)
            continue
        verified = verify_range(scheme, root, proof, run)
        assert list(verified.run) == list(leaves[a:b])
        assert all(verified.get(key) == value for key, value in leaves[a:b])


def check_a_changed_proof_is_refused(scheme: Scheme, leaves: Leaves, rng: Random) -> None:
    """One mutation anywhere, in leaves or proof: the bytes are not the prover's, so they are refused."""
    root = state_root(scheme, leaf_items(leaves))
    for a, b in _ranges(leaves, rng):
        proof, run = honest_proof(scheme, leaves, a, b)
        for mutate in (_drop_leaf, _change_value, _swap_in_key, _flip_reference, _drop_node, _move_node, _move_bound):
            changed = mutate(proof, run, rng)
            if changed is None or changed == (proof, run):
                continue
            with pytest.raises(ProofError):
                verify_range(scheme, root, *changed)


def check_a_hidden_leaf_is_noticed(scheme: Scheme, leaves: Leaves, rng: Random) -> None:
    """Leaves turned into an opaque node, or a node that is one leaf too wide, never verify as the whole range."""
    root = state_root(scheme, leaf_items(leaves))
    for index in range(len(leaves)):
        rest = leaf_run([*leaves[:index], *leaves[index + 1 :]])
        with pytest.raises(ProofError):
            verify_range(scheme, root, RangeProof(b"", None, (), ()), rest)


ALL_CHECKS: tuple[Check, ...] = (
    check_leaves_are_legal,
    check_digit_order_is_byte_order,
    check_fold_equals_the_definition,
    check_parts_join,
    check_every_range_is_proven,
    check_a_changed_proof_is_refused,
    check_a_hidden_leaf_is_noticed,
)


def honest_proof(scheme: Scheme, leaves: Leaves, a: int, b: int) -> tuple[RangeProof, LeafRun]:
    """What an honest prover gives for leaves [a, b), a < b."""
    left, right = _frontier(scheme, leaves, 0, a), _frontier(scheme, leaves, b, len(leaves))
    return prove_range(scheme, left, leaves[a][0], leaves[b - 1][0], right), leaf_run(leaves[a:b])


def _frontier(scheme: Scheme, leaves: Leaves, a: int, b: int) -> tuple[Item, ...]:
    before = leaves[a - 1][0] if a else None
    after = leaves[b][0] if b < len(leaves) else None
    frontier = fold(scheme, leaf_items(leaves[a:b]), before, after)
    assert all(kind != LEAF for _, _, kind, _ in frontier), "a frontier holds references, never leaves"
    assert all(depth > 0 for _, _, kind, depth in frontier if kind == NODE) or (a, b) == (0, len(leaves))
    return frontier


def _ranges(leaves: Leaves, rng: Random) -> list[tuple[int, int]]:
    """The whole state and a few parts of it."""
    if not leaves:
        return []
    parts = {(0, len(leaves))}
    for _ in range(3):
        a = rng.randrange(len(leaves))
        parts.add((a, rng.randrange(a, len(leaves)) + 1))
    return sorted(parts)


Changed = tuple[RangeProof, LeafRun] | None


def _drop_leaf(proof: RangeProof, run: LeafRun, rng: Random) -> Changed:
    index = rng.randrange(len(run))
    return proof, leaf_run([leaf for at, leaf in enumerate(run) if at != index])


def _change_value(proof: RangeProof, run: LeafRun, rng: Random) -> Changed:
    leaves = list(run)
    index = rng.randrange(len(leaves))
    key, value = leaves[index]
    leaves[index] = key, value + b"\0" if not value or rng.random() < 0.5 else _flip(value, rng)
    return proof, leaf_run(leaves)


def _swap_in_key(proof: RangeProof, run: LeafRun, rng: Random) -> Changed:
    leaves = list(run)
    index = rng.randrange(len(leaves))
    key, value = leaves[index]
    if not key:
        return None
    leaves[index] = _flip(key, rng), value
    return proof, leaf_run(leaves)


def _flip_reference(proof: RangeProof, run: LeafRun, rng: Random) -> Changed:
    side = rng.choice(("left", "right"))
    nodes = list(proof.left if side == "left" else proof.right)
    if not nodes:
        return None
    index = rng.randrange(len(nodes))
    nodes[index] = nodes[index]._replace(ref=_flip(nodes[index].ref, rng))
    return (replace(proof, left=tuple(nodes)) if side == "left" else replace(proof, right=tuple(nodes))), run


def _drop_node(proof: RangeProof, run: LeafRun, rng: Random) -> Changed:
    if proof.left:
        index = rng.randrange(len(proof.left))
        return replace(proof, left=proof.left[:index] + proof.left[index + 1 :]), run
    return (replace(proof, right=proof.right[1:]), run) if proof.right else None


def _move_node(proof: RangeProof, run: LeafRun, rng: Random) -> Changed:
    """A node one level up or down from where it hangs."""
    side = rng.choice(("left", "right"))
    nodes = list(proof.left if side == "left" else proof.right)
    if not nodes:
        return None
    index = rng.randrange(len(nodes))
    nodes[index] = nodes[index]._replace(depth=nodes[index].depth + rng.choice((-1, 1)))
    return (replace(proof, left=tuple(nodes)) if side == "left" else replace(proof, right=tuple(nodes))), run


def _move_bound(proof: RangeProof, run: LeafRun, rng: Random) -> Changed:
    if rng.random() < 0.5:
        return replace(proof, start=_flip(proof.start, rng) if proof.start else b"\0"), run
    return replace(proof, end=_flip(proof.end, rng) if proof.end else b"\xff"), run


def _flip(data: bytes, rng: Random) -> bytes:
    """`data` with one bit changed."""
    at = rng.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]
