"""Hashes next to cuts, against the trie itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from io import BytesIO

import pytest

from proofs import Frontier, get_kernel, get_scheme
from proofs.oasis.messages import EMPTY_HASH
from proofs.oasis.tree import Branch, Leaf, Tree, build
from sync.oasis import runs
from sync.oasis.cuts import cut
from sync.oasis.draft import Drafter
from sync.oasis.shape import measure
from sync.oasis.siblings import find_siblings
from tests.oasis_cases import Pair, nodes_of, numbered, random_state

PATH = get_scheme("mkvs").path


def named(pairs: list[Pair], cuts: list[tuple[int, int]]) -> Iterator[tuple[tuple[bytes, int], bytes]]:
    """Position and hash of what each chunk names: children outside of branches that reach inside."""
    for node in nodes_of(build(pairs)):
        if not isinstance(node, Branch):
            continue
        for start, end in cuts:
            keys = {key for key, _ in pairs[start:end]}
            for child in (node.left, node.right):
                if isinstance(child, (Leaf, Branch)) and keys & below(node) and not keys & below(child):
                    yield (PATH.bound(child.key, node.end + 1), node.end + 1), child.hash


def below(node: Leaf | Branch) -> set[bytes]:
    return {found.key for found in nodes_of(node) if isinstance(found, Leaf)}


def frontiers_of(pairs: list[Pair], chunk_bytes: int, threads: int) -> tuple[list[tuple[int, int]], list[Frontier]]:
    """Cuts, and the frontiers of the runs between them."""
    shape = measure(pairs)
    cuts = cut(shape, chunk_bytes, threads)
    drafter = Drafter(shape, cuts, BytesIO(), get_kernel("reference"))
    drafter.read(pairs)
    return cuts, drafter.frontiers


@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
def test_every_hash_that_a_chunk_names_is_there(kind: str, rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (0, 1, 2, 9, 40):
        pairs = random_state(rng, kind, count)
        for chunk_bytes, threads in ((0, 0), (200, 3), (500, 12), (1 << 20, 0)):
            monkeypatch.setattr(runs, "RUN_LEAVES_MAX", rng.choice((1, 3, 1000)))
            monkeypatch.setattr(runs, "RUN_BYTES_MAX", rng.choice((50, 1 << 20)))
            cuts, frontiers = frontiers_of(pairs, chunk_bytes, threads)
            root, found = find_siblings(frontiers)
            assert root == Tree(build(pairs)).root_hash
            for position, digest in named(pairs, cuts):
                assert found[position] == digest


def test_no_leaves_have_no_siblings() -> None:
    assert find_siblings(frontiers_of([], 1, 0)[1]) == (EMPTY_HASH, {})


def test_only_what_is_next_to_a_cut_is_kept() -> None:
    cuts, frontiers = frontiers_of(numbered(5000), 32768, 0)
    _, found = find_siblings(frontiers)
    assert len(found) < 60 * len(cuts)
