"""The fold against the oracle and against itself: any way to cut a state and join it again gives one root."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from proofs import NODE, Frontier, ProofError, fold, frontier_root, get_scheme, leaf_items, state_root
from tests.model import MKVSModel, MPTModel
from tests.proofs.states import KINDS, World, random_world

WORLD_COUNT = 8


def _part(world: World, first: int, last: int) -> Frontier:
    """Frontier of leaves[first:last] between its neighbours."""
    leaves = world.leaves
    before = leaves[first - 1][0] if first else None
    after = leaves[last][0] if last < len(leaves) else None
    return fold(world.scheme, leaf_items(leaves[first:last]), before, after)


def _join(world: World, first: int, last: int, *parts: Frontier) -> Frontier:
    """The same from frontiers of its parts."""
    leaves = world.leaves
    before = leaves[first - 1][0] if first else None
    after = leaves[last][0] if last < len(leaves) else None
    return fold(world.scheme, [item for part in parts for item in part], before, after)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_root_is_the_oracle_s(name: str, kind: str, rng: random.Random) -> None:
    """Fails if any encoding, label, inlining rule or the order of a branch's parts is changed."""
    for _ in range(WORLD_COUNT):
        world = random_world(name, kind, rng)
        assert state_root(world.scheme, leaf_items(world.leaves)) == world.root


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_joining_is_associative(name: str, kind: str, rng: random.Random) -> None:
    """Fails if a branch that holds a neighbour is closed, or one that holds none is left open."""
    for _ in range(WORLD_COUNT):
        world = random_world(name, kind, rng)
        a, b, c, d = sorted(rng.choices(range(len(world.leaves) + 1), k=4))
        x, y, z = _part(world, a, b), _part(world, b, c), _part(world, c, d)
        whole = _part(world, a, d)
        assert _join(world, a, d, _join(world, a, c, x, y), z) == whole
        assert _join(world, a, d, x, _join(world, b, d, y, z)) == whole
        assert _join(world, a, d, x, y, z) == whole


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_many_parts_fold_to_the_root(name: str, kind: str, rng: random.Random) -> None:
    """Fails if the frontier of a part is not exactly what the whole needs of it."""
    for _ in range(WORLD_COUNT):
        world = random_world(name, kind, rng)
        count = len(world.leaves)
        stops = sorted({*rng.choices(range(count + 1), k=rng.randint(0, 6)), 0, count})
        parts = [_part(world, first, last) for first, last in pairwise(stops)]
        frontier = fold(world.scheme, (item for part in parts for item in part))
        assert frontier_root(world.scheme, frontier) == world.root


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_frontier_is_maximal_and_in_order(name: str, kind: str, rng: random.Random) -> None:
    """Fails if siblings that fill a branch are not joined, or if items come out of key order."""
    for _ in range(WORLD_COUNT):
        world = random_world(name, kind, rng)
        for first, last in world.cuts:
            frontier = _part(world, first, last)
            assert _join(world, first, last, frontier) == frontier
            assert [item[0] for item in frontier] == sorted({item[0] for item in frontier})
            assert len(frontier) <= last - first
            if (first, last) == (0, len(world.leaves)):
                assert [(item[2], item[3]) for item in frontier] == [(NODE, 0)]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_wrong_neighbours_never_give_another_root(name: str, kind: str, rng: random.Random) -> None:
    """A part folded between keys that are not its neighbours joins to the true root or to none. Fails if a subtree that
    was closed too early is not noticed when the rest arrives.
    """
    refused = 0
    for _ in range(WORLD_COUNT):
        world = random_world(name, kind, rng)
        keys = [key for key, _ in world.leaves]
        for first, last in world.cuts:
            before = rng.choice([None, *keys[:first]])
            after = rng.choice([None, *keys[last:]])
            left, right = leaf_items(world.leaves[:first]), leaf_items(world.leaves[last:])
            try:
                part = fold(world.scheme, leaf_items(world.leaves[first:last]), before, after)
                root = state_root(world.scheme, [*left, *part, *right])
            except ProofError:
                refused += 1
                continue
            assert root == world.root
    assert refused


@given(st.dictionaries(st.binary(max_size=6), st.binary(min_size=1, max_size=40), max_size=20))
def test_mpt_root_equals_the_library_trie_s(state: dict[bytes, bytes]) -> None:
    """Fails with any deviation from an implementation that nobody here wrote."""
    library = HexaryTrie({})
    for key, value in state.items():
        library[key] = value
    assert state_root(get_scheme("mpt"), leaf_items(sorted(state.items()))) == library.root_hash
    assert MPTModel().root(state) == library.root_hash


@given(st.dictionaries(st.binary(max_size=5), st.binary(max_size=5), max_size=20))
def test_mkvs_root_equals_the_oracle_s(state: dict[bytes, bytes]) -> None:
    """Fails if a prefix key, an empty key or an empty value is treated apart."""
    assert state_root(get_scheme("mkvs"), leaf_items(sorted(state.items()))) == MKVSModel().root(state)
