"""Coverage against a set of keys."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.coverage import Coverage, KeyRange

SPACE = range(12)
"""Every byte string here is one byte, or empty: position n of the space is before byte n."""


def key(position: int) -> bytes:
    return bytes([position]) if position else b""


def ranges() -> st.SearchStrategy[KeyRange]:
    pairs = st.tuples(st.sampled_from(SPACE), st.sampled_from(SPACE) | st.none())
    return pairs.filter(lambda pair: pair[1] is None or pair[0] < pair[1]).map(
        lambda pair: (key(pair[0]), None if pair[1] is None else key(pair[1]))
    )


def positions(covered: KeyRange) -> set[int]:
    start, end = covered
    return {n for n in SPACE if start <= key(n) and (end is None or key(n) < end)}


@given(st.lists(ranges(), max_size=8), ranges())
def test_against_a_set(added: list[KeyRange], asked: KeyRange) -> None:
    """Fails if ranges that touch are not joined, or if an end is forgotten. Tried: `>` for `>=` in `_reaches`."""
    coverage = Coverage(added)
    held = set().union(*map(positions, added)) if added else set()
    endless = any(end is None for _, end in added)
    assert coverage.covers(*asked) == (positions(asked) <= held and (asked[1] is not None or endless))
    assert coverage.whole == (held == set(SPACE) and endless)
    listed = coverage.ranges()
    assert set().union(*map(positions, listed)) == held if listed else not held
    assert all(one[1] is not None and one[1] < other[0] for one, other in pairwise(listed))


def test_an_empty_range_is_our_own_bug() -> None:
    with pytest.raises(AssertionError):
        Coverage([(b"b", b"b")])
