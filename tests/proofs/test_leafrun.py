"""Leaf runs: one byte string for each run of leaves, and every size checked before it is believed."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import LeafOrderError, LeafRun, MalformedProofError, ProofError, leaf_run

LEAVES_MAX = 100
STATES = st.dictionaries(st.binary(max_size=5), st.binary(max_size=5), max_size=8)


def _u32(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)


@given(STATES)
def test_round_trip(state: dict[bytes, bytes]) -> None:
    """Fails if columns are mixed up or a size is lost."""
    run = leaf_run(sorted(state.items()))
    decoded = LeafRun.decode(run.encode(), leaves_max=LEAVES_MAX)
    assert list(decoded) == sorted(state.items())
    assert decoded == run
    assert hash(decoded) == hash(run)
    assert len(decoded) == len(state)
    assert decoded[1:3] == leaf_run(sorted(state.items())[1:3])
    assert run != state


def test_bytes_are_the_documented_ones() -> None:
    """Fails if the order of the columns or the width of a number changes: old checkpoints would not open."""
    run = leaf_run([(b"", b"v"), (b"\x01\x02", b"")])
    assert run.encode() == _u32(2, 0, 2, 1, 0) + b"\x01\x02v"


@given(st.binary(max_size=60))
def test_what_decodes_is_canonical(data: bytes) -> None:
    """Fails if a run has a second encoding, or anything but the typed errors escapes."""
    try:
        run = LeafRun.decode(data, leaves_max=LEAVES_MAX)
    except ProofError:
        return
    assert leaf_run(list(run)).encode() == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        _u32(1),
        _u32(1, 0),
        _u32(1) + b"\0\0",
        _u32(2**32 - 1),
        _u32(LEAVES_MAX + 1) + bytes(8 * (LEAVES_MAX + 1)),
        _u32(1, 1, 0),
        _u32(1, 2**32 - 1, 2**32 - 1),
        _u32(0) + b"\0",
        _u32(1, 0, 0) + b"\0",
    ],
    ids=["nothing", "half a count", "no sizes", "half the sizes", "part of a size", "huge count",
         "one leaf too many", "no key", "huge sizes", "byte behind nothing", "byte behind a leaf"],
)  # fmt: skip
def test_malformed(data: bytes) -> None:
    """Fails if the count or a size is used before it is checked."""
    with pytest.raises(MalformedProofError):
        LeafRun.decode(data, leaves_max=LEAVES_MAX)


@pytest.mark.parametrize("keys", [(b"a", b"a"), (b"b", b"a"), (b"a", b"c", b"b"), (b"a", b"")])
def test_order(keys: tuple[bytes, ...]) -> None:
    """Fails if keys may repeat or descend."""
    data = LeafRun(keys, [b""] * len(keys)).encode()
    with pytest.raises(LeafOrderError) as caught:
        LeafRun.decode(data, leaves_max=LEAVES_MAX)
    assert caught.value.key <= caught.value.previous


def test_other_byte_order_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the numbers are written in the machine's own order: then the swap would show here."""
    run = leaf_run([(b"k", b"value")])
    straight = run.encode()
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    swapped = leaf_run([(b"k", b"value")]).encode()
    assert swapped[4:8] == straight[4:8][::-1]
    assert swapped[12:] == straight[12:]
    assert list(LeafRun.decode(swapped, leaves_max=1)) == [(b"k", b"value")]


def test_a_column_is_not_longer_than_the_other() -> None:
    """Fails if leaves without a value are silently left out."""
    with pytest.raises(ValueError):
        list(LeafRun([b"a", b"b"], [b""]))
