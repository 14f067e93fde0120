"""Cuts made from keys alone, against the oracle's trie."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from proofs import get_scheme
from proofs.cut import Piece, pieces, subtree_cut
from tests.proofs.states import KINDS, World, random_world

Path = tuple[int, ...]


def _expected(
    world: World, first: int, last: int, leaves_max: int, at: int = 0, count: int | None = None, parent: Path = (-1,)
) -> Iterator[tuple[int, int, Path]]:
    """(start, size, path of the parent) of the maximal closed subtrees among leaves[first:last], by recursion."""
    leaves = world.leaves[at : len(world.leaves) if count is None else at + count]
    end = at + len(leaves)
    if end <= first or at >= last:
        return
    if first <= at and end <= last and (len(leaves) <= leaves_max or len(leaves) == 1):
        yield at - first, len(leaves), parent
        return
    branch = world.model.digits(leaves[0][0])[: world.model.common(leaves)]
    for _, below in world.model.children(leaves):
        yield from _expected(world, first, last, leaves_max, at, len(below), branch)
        at += len(below)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_pieces_are_the_maximal_small_subtrees(name: str, kind: str, rng: random.Random) -> None:
    """Fails if a subtree is closed over a neighbour, left open without one, or counted wrongly."""
    for _ in range(4):
        world = random_world(name, kind, rng)
        keys = [key for key, _ in world.leaves]
        for first, last in world.cuts:
            for leaves_max in (1, 2, 3, 5, 100):
                before, after = keys[first - 1] if first else None, keys[last] if last < len(keys) else None
                found = pieces(world.scheme.path, keys[first:last], leaves_max, before, after)
                expected = list(_expected(world, first, last, leaves_max))
                assert [(piece.start, piece.size) for piece in found] == [one[:2] for one in expected]
                assert _groups([piece.parent for piece in found]) == _groups([one[2] for one in expected])


def _groups(parents: Sequence[int | Path]) -> list[int]:
    """The same list with each parent replaced by where it was seen first."""
    return [parents.index(parent) for parent in parents]


def test_no_keys_no_pieces() -> None:
    """Fails if an empty run has a piece."""
    assert pieces(get_scheme("mpt").path, [], 5) == []
    assert subtree_cut([], 5) == []


def _starts(*parts: tuple[int, int], leaves_max: int) -> list[int]:
    """The cut of pieces given as (size, parent)."""
    whole, at = [], 0
    for size, parent in parts:
        whole.append(Piece(at, size, parent))
        at += size
    return subtree_cut(whole, leaves_max)


def test_siblings_are_joined_up_to_the_limit() -> None:
    """Fails if a run of siblings exceeds the limit, or is cut below it."""
    assert _starts((40, 1), (40, 1), (40, 1), leaves_max=100) == [0, 80]
    assert _starts((50, 1), (50, 1), (1, 1), (99, 1), leaves_max=100) == [0, 100]


def test_cousins_are_not_joined() -> None:
    """Fails if a chunk has two parents though each part is large enough to stand alone."""
    assert _starts((40, 1), (40, 2), (40, 1), leaves_max=100) == [0, 40, 80]


def test_crumbs_join_a_neighbour() -> None:
    """Fails if a run below a 64th of the limit stands alone: before if it fits, else with what follows."""
    assert _starts((640, 1), (2, 2), (300, 3), leaves_max=1000) == [0, 642]
    assert _starts((2, 2), (640, 1), leaves_max=1000) == [0]
    assert _starts((1000, 1), (2, 2), (300, 3), leaves_max=1000) == [0, 1000]
    assert _starts((1000, 1), (2, 2), leaves_max=1000) == [0]
    assert _starts((2, 2), leaves_max=1000) == [0]
    assert _starts((2, 1), (3, 2), leaves_max=1000) == [0]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_cut_covers_all(name: str, kind: str, rng: random.Random) -> None:
    """Fails if a leaf is lost, or a chunk is larger than its limit and the crumbs on it."""
    world = random_world(name, kind, rng)
    keys = [key for key, _ in world.leaves]
    for leaves_max in (1, 2, 5, 64, 200):
        starts = subtree_cut(pieces(world.scheme.path, keys, leaves_max), leaves_max)
        sizes = [end - start for start, end in zip(starts, [*starts[1:], len(keys)], strict=True)]
        assert starts[0] == 0
        assert sum(sizes) == len(keys)
        assert all(0 < size <= leaves_max + leaves_max // 64 for size in sizes)
