"""The spine: pieces that fold to the frontier, and sections that are whole or refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import NODE, VALUE, Item, LeafRun, cbor, fold, get_kernel, get_scheme, leaf_run
from sync.errors import FormatError, UnsupportedFormatError
from sync.limits import Limits
from sync.spine import (
    PIECE_LEAVES,
    SpinePiece,
    SpineReader,
    SpineWriter,
    decode_section,
    encode_section,
    piece_items,
    split_run,
)
from tests.sync.states import SCHEMES, state_of

LIMITS = Limits()


def positions(name: str, items: tuple[Item, ...]) -> list[Item]:
    """Items with the bytes of their position: any key below a node stands for it."""
    bound = get_scheme(name).path.bound
    return [(bound(key, depth) if kind == NODE else key, payload, kind, depth) for key, payload, kind, depth in items]


@pytest.mark.parametrize("name", SCHEMES)
def test_pieces_are_small_and_fold_to_the_frontier_of_their_run(name: str) -> None:
    """Fails when a piece is folded with the wrong neighbour or its leaves are hashed into the wrong place."""
    scheme, leaves, kernel = get_scheme(name), list(state_of(name).items()), get_kernel()
    for first, last in [(0, len(leaves)), (0, 700), (650, 1200), (900, 901), (1100, len(leaves))]:
        before = leaves[first - 1][0] if first else None
        after = leaves[last][0] if last < len(leaves) else None
        run = leaf_run(leaves[first:last])
        pieces = split_run(scheme, run, before, after, kernel=kernel)
        assert sum(piece.leaf_count for piece in pieces) == len(run)
        assert max(piece.leaf_count for piece in pieces) <= PIECE_LEAVES
        folded = fold(scheme, piece_items(pieces, run.keys), before, after)
        assert positions(name, folded) == positions(name, kernel.frontier(scheme, run, before, after))


PIECES = st.lists(
    st.builds(
        SpinePiece, st.integers(1, 600), st.integers(0, 70_000), st.sampled_from([NODE, VALUE]), st.binary(max_size=33)
    ),
    max_size=6,
)


@given(PIECES)
def test_a_section_comes_back(pieces: list[SpinePiece]) -> None:
    count = sum(piece.leaf_count for piece in pieces)
    assert decode_section(encode_section(pieces), count, limits=LIMITS) == tuple(pieces)
    with pytest.raises(FormatError):
        decode_section(encode_section(pieces), count + 1, limits=LIMITS)


@pytest.mark.parametrize(
    "section",
    [b"", b"\xff", cbor.encode({}), cbor.encode([1]), cbor.encode([[0, 0, NODE, b""]]), cbor.encode([[1, 0, 7, b""]])],
    ids=["nothing", "noise", "a map", "no piece", "a piece of nothing", "another kind"],
)
def test_what_is_no_section_is_refused(section: bytes) -> None:
    for count in (0, 1):
        with pytest.raises(FormatError):
            decode_section(section, count, limits=LIMITS)


def read(path: Path, *, start: int, size: int) -> bytes:
    return path.read_bytes()[start : start + size]


def test_sections_are_read_one_at_a_time(tmp_path: Path) -> None:
    sections = [[SpinePiece(at + 1, 3, NODE, b"\1" * 32)] * at for at in range(5)]
    writer = SpineWriter(tmp_path)
    for section in sections:
        writer.add(encode_section(section))
    path = writer.finish()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    reader = SpineReader(partial(read, path), 5, limits=LIMITS)
    for index, section in enumerate(sections):
        assert reader.section(index, sum(piece.leaf_count for piece in section)) == tuple(section)
    for count in (4, 6):
        with pytest.raises(FormatError):
            SpineReader(partial(read, path), count, limits=LIMITS).section(0, 0)
    with pytest.raises(FormatError):
        reader.section(5, 0)
    with pytest.raises(FormatError):
        SpineReader(partial(read, path), 5, limits=Limits(spine_bytes_max=10)).section(2, 4)
    path.write_bytes(b"\2" + path.read_bytes()[1:])
    with pytest.raises(UnsupportedFormatError):
        reader.section(0, 0)


def test_an_unfinished_spine_can_be_closed(tmp_path: Path) -> None:
    writer = SpineWriter(tmp_path)
    writer.add(b"section")
    writer.close()
    writer.close()


def test_the_empty_run_has_no_pieces() -> None:
    assert split_run(get_scheme("mkvs"), LeafRun([], []), None, None, kernel=get_kernel()) == []
