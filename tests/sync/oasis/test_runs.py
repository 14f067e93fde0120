"""Runs of leaves: ended by every cut, bounded, and those that were measured."""

from __future__ import annotations

import random

import pytest

from proofs import MalformedProofError
from sync.oasis import runs as module
from sync.oasis.cuts import cut
from sync.oasis.runs import runs
from sync.oasis.shape import measure
from tests.oasis_cases import numbered, random_state


@pytest.mark.parametrize("kind", ["uniform", "modules", "edges"])
def test_no_run_crosses_a_cut(kind: str, rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (0, 1, 2, 50):
        pairs = random_state(rng, kind, count)
        shape = measure(pairs)
        for chunk_bytes, threads in ((1, 0), (300, 5), (1 << 20, 12)):
            monkeypatch.setattr(module, "RUN_LEAVES_MAX", rng.choice((1, 7, 1000)))
            monkeypatch.setattr(module, "RUN_BYTES_MAX", rng.choice((0, 300, 1 << 20)))
            cuts = cut(shape, chunk_bytes, threads)
            found = list(runs(pairs, shape, cuts))
            assert [pair for _, _, run in found for pair in run] == pairs
            assert all(len(run) == end - start <= module.RUN_LEAVES_MAX for start, end, run in found)
            bounds = {bound for one in cuts for bound in one}
            assert bounds <= {bound for start, end, _ in found for bound in (start, end)} | {0}


def test_other_leaves_are_noticed() -> None:
    pairs = numbered(10)
    shape = measure(pairs)
    cuts = cut(shape, 1 << 20, 0)
    for changed in (
        pairs[:-1],
        [*pairs, (b"z", b"")],
        [*pairs[:-1], (b"key 9", b"")],
        [*pairs[:-1], (b"z", b"value 9")],
    ):
        with pytest.raises(MalformedProofError):
            list(runs(changed, shape, cuts))
