"""Write logs from proofs: exactly what changed, from answers that are few and never believed unproven."""

from __future__ import annotations

import random

import pytest

from proofs.errors import MalformedProofError, ProofError
from proofs.oasis.messages import IterateRequest, Proof, TreeID
from proofs.oasis.reads import sync_iterate
from sidecar.oasis_gap import GapFill
from tests.oasis_cases import Pair, numbered, random_state, root_of, tree_of


def gap_of(old: list[Pair], new: list[Pair]) -> GapFill:
    def scan(start: bytes, end: bytes | None) -> list[Pair]:
        return [pair for pair in old if start <= pair[0] and (end is None or pair[0] < end)]

    return GapFill(root_of(new, version=9), tree_of(old, stub_leaves=8), scan, depth_max=1000)


def fill(gap: GapFill, new: list[Pair]) -> int:
    """Answer honestly until it is done; the number of answers."""
    tree, count = tree_of(new), 0
    while not gap.done:
        gap.accept(sync_iterate(tree, gap.request()))
        count += 1
    return count


def changes(old: list[Pair], new: list[Pair]) -> tuple[tuple[bytes, bytes | None], ...]:
    before, after = dict(old), dict(new)
    return tuple(sorted((key, after.get(key)) for key in before | after if before.get(key) != after.get(key)))


def edit(rng: random.Random, pairs: list[Pair], count: int) -> list[Pair]:
    state = dict(pairs)
    for _ in range(count):
        key = rng.choice(pairs)[0] if pairs and rng.random() < 0.7 else rng.randbytes(3)
        if rng.random() < 0.3:
            state.pop(key, None)
        else:
            state[key + rng.randbytes(rng.randrange(2))] = rng.randbytes(4)
    return sorted(state.items())


@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
def test_the_write_log_is_what_changed(kind: str, rng: random.Random) -> None:
    for count in (0, 1, 2, 20, 120):
        old = random_state(rng, kind, count)
        for new in (old, [], edit(rng, old, 1), edit(rng, old, 15), random_state(rng, "edges", 20)):
            for before, after in ((old, new), (new, old)):
                gap = gap_of(before, after)
                fill(gap, after)
                log = gap.write_log(b"p" * 32)
                assert log.writes == changes(before, after)
                assert (log.height, log.root, log.parent_root) == (9, root_of(after).hash, b"p" * 32)


def test_few_changes_need_few_answers() -> None:
    old = numbered(3000)
    new = sorted({**dict(old), b"key 1500": b"changed", b"key 99x": b"new"}.items())
    gap = gap_of(old, new)
    assert fill(gap, new) <= 8
    assert len(gap.write_log(None).writes) == 2


def test_equal_states_need_none() -> None:
    pairs = numbered(10)
    assert fill(gap_of(pairs, pairs), pairs) == 0
    assert fill(gap_of(pairs, []), []) == 0


def test_answers_that_prove_nothing_are_refused() -> None:
    old, new = numbered(50), numbered(60)
    root, tree = root_of(new, version=9), tree_of(new)
    where = TreeID(root, root.hash)
    gap = gap_of(old, new)
    with pytest.raises(ProofError):
        gap.accept(sync_iterate(tree_of(old), gap.request()))
    with pytest.raises(MalformedProofError):  # true, and not what was asked for
        gap.accept(Proof(0, (b"\2" + root.hash,), root.hash))
    gap.accept(sync_iterate(tree, IterateRequest(where, b"key 3", 3)))  # more than asked for is welcome
    fill(gap, new)
    assert gap.write_log(None).writes == changes(old, new)
