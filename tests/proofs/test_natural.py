"""Compact naturals: the published forms, round trips, and every form that is not the one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import MalformedProofError
from proofs.natural import NATURAL_MAX, decode_natural, encode_natural


@pytest.mark.parametrize(
    ("number", "form"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8080"),
        (2**14 - 1, "bfff"),
        (2**14, "c00040"),
        (2**56 - 1, "feffffffffffffff"),
        (2**56, "ff0000000000000001"),
        (NATURAL_MAX, "ff" * 9),
    ],
)
def test_forms(number: int, form: str) -> None:
    assert encode_natural(number).hex() == form


@given(st.integers(0, 9).flatmap(lambda size: st.integers(0, min(NATURAL_MAX, 2 ** (7 * size + 1)))), st.binary())
def test_a_number_survives(number: int, behind: bytes) -> None:
    encoded = encode_natural(number)
    assert decode_natural(b"x" + encoded + behind, 1) == (number, 1 + len(encoded))


@given(st.binary(min_size=1, max_size=10))
def test_what_decodes_is_the_one_form(data: bytes) -> None:
    try:
        number, end = decode_natural(data, 0)
    except MalformedProofError:
        return
    assert encode_natural(number) == data[:end]


@pytest.mark.parametrize("form", ["", "80", "8000", "807f", "c0", "c000", "c0ff3f", "ff", "ffffffffffffffff00"])
def test_a_number_that_is_cut_off_or_too_long(form: str) -> None:
    with pytest.raises(MalformedProofError):
        decode_natural(bytes.fromhex(form), 0)
