"""RLP against the shared vectors, and every way to write it that is not the shortest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import MalformedProofError
from proofs.rlp import RLP, decode, encode_integer, encode_list, encode_string, split_list
from tests import model

TREES = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=4), max_leaves=8)


def _encode(item: RLP) -> bytes:
    return encode_string(item) if isinstance(item, bytes) else encode_list(b"".join(map(_encode, item)))


def _item(value: object) -> RLP:
    """An item as the vectors write it: text, number, "#" with a big number, or a list of these."""
    if isinstance(value, list):
        return [_item(one) for one in value]
    if isinstance(value, str) and not value.startswith("#"):
        return value.encode()
    number = int(str(value).removeprefix("#"))
    return number.to_bytes((number.bit_length() + 7) // 8)


def test_shared_vectors(data: Path) -> None:
    """Fails if a header is off by one anywhere. (Lists nested deeper than a trie's are refused, not misread.)"""
    vectors = json.loads((data / "ethereum" / "RLPTests" / "rlptest.json").read_text())
    for vector in vectors.values():
        item, encoded = _item(vector["in"]), bytes.fromhex(vector["out"].removeprefix("0x"))
        assert _encode(item) == encoded
        assert decode(encoded) == item


def test_shared_invalid_vectors(data: Path) -> None:
    """Fails if a long form of a short length, a leading zero or a short input is let through."""
    vectors = json.loads((data / "ethereum" / "RLPTests" / "invalidRLPTest.json").read_text())
    assert len(vectors) > 20
    for vector in vectors.values():
        with pytest.raises(MalformedProofError):
            decode(bytes.fromhex(vector["out"].removeprefix("0x")))


@given(TREES)
def test_round_trip_equals_the_oracle(item: RLP) -> None:
    """Fails if encoder and decoder agree with each other and with nobody else."""
    encoded = _encode(item)
    assert encoded == model.rlp(item)
    assert decode(encoded) == item
    if isinstance(item, list):
        assert [decode(part) for part in split_list(encoded)] == item


@given(st.binary(max_size=80))
def test_what_decodes_is_canonical(data: bytes) -> None:
    """Fails if any item has a second encoding, or anything but the typed error escapes."""
    try:
        item = decode(data)
    except MalformedProofError:
        return
    assert _encode(item) == data


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x80", b"\x81\x00", b"\x81\x7f", b"\xb8\x01\xff", b"\xb9\x00\x40" + bytes(64), b"\xb8", b"\xb9\x01",
     b"\x82\x01", b"\xc2\x01", b"\xc1\x82", b"\xc1\xb8", b"\xf8\x01\x80", b"\xf8\x00", b"\xff" * 9, b"\xc2\x81\x05",
     b"\xc1" * 3],
    ids=lambda data: data.hex()[:16] or "nothing",
)  # fmt: skip
def test_other_forms_are_refused(data: bytes) -> None:
    """Fails if one of the strictness checks of the header is taken out."""
    with pytest.raises(MalformedProofError):
        decode(data)


def test_nesting_is_bounded() -> None:
    """Fails if a small input can exhaust the stack."""
    data = b"\xc0"
    for _ in range(8):
        data = encode_list(data)
    decode(data)
    with pytest.raises(MalformedProofError):
        decode(encode_list(data))
    hostile = b""
    for _ in range(20_000):
        hostile = encode_list(hostile)
    with pytest.raises(MalformedProofError):
        decode(hostile)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x05", b"\xc2\x81\x05", b"\xc1\x80\x80"])
def test_split_takes_strict_lists_only(data: bytes) -> None:
    """Fails if the items of a sloppy list are handed out."""
    with pytest.raises(MalformedProofError):
        split_list(data)


@pytest.mark.parametrize(("number", "encoded"), [(0, "80"), (1, "01"), (127, "7f"), (128, "8180"), (256, "820100")])
def test_integers(number: int, encoded: str) -> None:
    """Fails if zero is not the empty string, or a leading zero is written."""
    assert encode_integer(number).hex() == encoded
