"""What is held, proven or staged, against the obvious model: a set of keys, or a map from keys to whose they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sync.held import DisjointRanges, HeldRange, ProvenRanges, StagedRanges, held_ranges, overlaps

BOUNDS = tuple(bytes((number,)) for number in range(6))


@st.composite
def _ranges(draw: st.DrawFn) -> HeldRange:
    a, b = sorted(draw(st.lists(st.integers(0, 6), min_size=2, max_size=2, unique=True)))
    end = None if b == 6 else BOUNDS[b]
    return HeldRange(BOUNDS[a] if a else b"", end, draw(st.sampled_from((b"x", b"y"))))


def keys_in(held: HeldRange) -> set[bytes]:
    keys = {b"", *BOUNDS[1:]}
    return {key for key in keys if held.start <= key and (held.end is None or key < held.end)}


@given(_ranges(), _ranges())
def test_overlaps(a: HeldRange, b: HeldRange) -> None:
    assert overlaps(a, b) == bool(keys_in(a) & keys_in(b))


@given(st.lists(_ranges(), max_size=6), _ranges())
def test_proven_ranges_count_by_their_keys(added: list[HeldRange], wanted: HeldRange) -> None:
    held = ProvenRanges()
    for one in added:
        held.add(one)
    held.begin([wanted])
    keys = {key for one in added for key in keys_in(one)}
    assert held.covers(wanted) == (keys_in(wanted) <= keys)
    assert held.whole == (keys == {b"", *BOUNDS[1:]})


@given(st.lists(_ranges(), max_size=6), st.lists(_ranges(), max_size=3))
def test_staged_ranges_count_by_their_bytes_and_all_together(added: list[HeldRange], wanted: list[HeldRange]) -> None:
    held = StagedRanges()
    model: list[HeldRange] = []
    for one in added:
        held.add(one)
        model = [other for other in model if not keys_in(other) & keys_in(one)] + [one]
    assert not held.whole
    held.begin(wanted)
    assert [held.covers(one) for one in wanted] == [one in model for one in wanted]
    assert held.whole == (bool(wanted) and set(wanted) == set(model))


@given(st.lists(_ranges(), max_size=8), _ranges())
def test_what_is_added_displaces_what_it_overlaps(added: list[HeldRange], wanted: HeldRange) -> None:
    held = DisjointRanges()
    model: list[HeldRange] = []
    for one in added:
        displaced = [other for other in model if keys_in(other) & keys_in(one)]
        model = [other for other in model if other not in displaced] + [one]
        assert held.overlapping(one) == sorted(displaced, key=lambda other: other.start)
        assert held.add(one) == sorted(displaced, key=lambda other: other.start)
        assert len(held) == len(model)
    assert (wanted in held) == (wanted in model)
    assert held.overlapping(wanted) == sorted(
        (one for one in model if keys_in(one) & keys_in(wanted)), key=lambda one: one.start
    )


@given(st.lists(_ranges(), max_size=8), st.lists(_ranges(), max_size=4))
def test_staged_ranges_become_whole_whatever_the_order(added: list[HeldRange], wanted: list[HeldRange]) -> None:
    """Fails if what is displaced after a manifest is begun is not missed, or what comes back still is."""
    held = StagedRanges()
    held.begin(wanted)
    model: list[HeldRange] = []
    for one in [*added, *wanted]:
        held.add(one)
        model = [other for other in model if not keys_in(other) & keys_in(one)] + [one]
        assert held.whole == (bool(wanted) and set(wanted) == set(model))


def test_the_scheme_decides() -> None:
    assert held_ranges("jam", ()).counts_alone
    assert not held_ranges("solana-lattice", ()).counts_alone
