"""The cuts: nothing lost, neighbours right, caps kept, and a subtree cut that stays put."""

from __future__ import annotations

from itertools import pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import LeafRun, get_scheme, leaf_run
from sync.cut import code_runs, cut_runs, run_size, split
from sync.manifest import RANGE, SUBTREE, Cut
from tests.sync.states import SCHEMES, MemoryView, state_of

LEAVES = st.dictionaries(st.binary(max_size=3), st.binary(max_size=30), max_size=40).map(lambda d: sorted(d.items()))


@given(LEAVES, st.lists(st.integers(1, 9), min_size=40, max_size=40), st.integers(1, 120))
def test_a_split_loses_nothing_and_keeps_pieces_and_bytes(
    leaves: list[tuple[bytes, bytes]], sizes: list[int], bytes_max: int
) -> None:
    """Fails when a run forgets its neighbours, a cap is off by one, or a split moves the next piece's start."""
    runs = list(split(leaves, iter(sizes), bytes_max))
    assert [leaf for _, run, _ in runs for leaf in run] == leaves
    assert runs[0].before is None
    assert runs[-1].after is None
    for a, b in pairwise(runs):
        assert (b.before, a.after) == (a.run.keys[-1], b.run.keys[0])
    starts, ends = set(), set()
    at = 0
    for size in sizes:
        starts.add(at)
        at += size
        ends.add(min(at, len(leaves)))
    at = 0
    for _, run, _ in runs:
        assert run_size(run) == len(run.encode())
        assert len(run) <= 1 or run_size(run) <= bytes_max
        following = LeafRun([*run.keys, b""], [*run.values, b""])
        at += len(run)
        if at < len(leaves) and at not in ends:
            grown = run_size(following) + len(leaves[at][0]) + len(leaves[at][1])
            assert grown > bytes_max, "a run ends inside a piece only where the next leaf does not fit"
    assert all(
        any(sum(len(r) for _, r, _ in runs[:i]) == start for i in range(len(runs)))
        for start in starts
        if 0 < start < len(leaves)
    )


def test_a_state_without_leaves_is_one_empty_run() -> None:
    for kind in (RANGE, SUBTREE):
        ((before, run, after),) = cut_runs(MemoryView({}), get_scheme("mkvs"), Cut(kind, 10))
        assert (before, len(run), after) == (None, 0, None)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_range_cut_counts(name: str) -> None:
    counts = [len(run) for _, run, _ in cut_runs(state_of(name), get_scheme(name), Cut(RANGE, 100))]
    assert counts[:-1] == [100] * (len(counts) - 1)
    assert 0 < counts[-1] <= 100


@pytest.mark.parametrize("leaves", [1, 2, 64, 100, 640, 10**6])
@pytest.mark.parametrize("name", SCHEMES)
def test_the_subtree_cut_covers_all_within_its_bounds(name: str, leaves: int) -> None:
    view, cut = state_of(name), Cut(SUBTREE, leaves)
    runs = [run for _, run, _ in cut_runs(view, get_scheme(name), cut)]
    assert [leaf for run in runs for leaf in run] == list(view.items())
    assert max(map(len, runs)) <= cut.leaves_max
    if len(runs) > 1:
        assert min(map(len, runs)) * 64 >= leaves


@pytest.mark.parametrize("name", ["mkvs", "mpt"])
def test_a_subtree_cut_stays_put_when_a_leaf_elsewhere_changes(name: str) -> None:
    """Fails for the range cut, where everything behind a new leaf moves."""
    view, scheme, cut = state_of(name), get_scheme(name), Cut(SUBTREE, 100)
    before = {run.encode() for _, run, _ in cut_runs(view, scheme, cut)}
    key = sorted(view.state)[20]
    for state in ({**view.state, key + b"\7\7": b"new"}, {k: v for k, v in view.state.items() if k != key}):
        after = {run.encode() for _, run, _ in cut_runs(MemoryView(state), scheme, cut)}
        assert len(after - before) <= 3


def test_code_is_cut_by_bytes_alone() -> None:
    code = [(bytes((at,)) * 32, bytes(100 * (at % 3) + 1)) for at in range(50)]
    runs = list(code_runs(code, 1000))
    assert [blob for run in runs for blob in run] == code
    assert all(run_size(run) <= 1000 for run in runs)
    assert all(run_size(a) + run_size(b[:1]) - 4 > 1000 for a, b in pairwise(runs))
    assert [len(run) for run in code_runs([(bytes(32), bytes(5000)), (b"\1" * 32, b"")], 1000)] == [1, 1]
    assert list(code_runs([], 1000)) == []


def test_the_size_of_a_run_is_known_before_it_is_encoded() -> None:
    run = leaf_run([(b"", b""), (b"a", b"bc")])
    assert run_size(run) == len(run.encode())
    assert next(split([], repeat(1), 1)).run == leaf_run([])
