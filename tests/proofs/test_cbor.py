"""One encoding for each value; whatever else is refused with one error."""

from __future__ import annotations

import pytest

from proofs import MalformedProofError, cbor

SIZE_MAX = 1_000_000

PLAIN = [0, 23, 24, 2**32, -1, b"", b"\0" * 300, "text", None, True, [], [1, [b"x", None]], {}, {"a": 1, "bb": [2]}]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_round_trip(value: object) -> None:
    """Fails if a plain value does not come back."""
    assert cbor.decode(cbor.encode(value), size_max=SIZE_MAX) == value


def test_maps_are_sorted() -> None:
    """Fails if the order of insertion shows in the bytes."""
    assert cbor.encode({"b": 1, "a": 2, "aa": 3}) == bytes.fromhex("a3616102616201626161 03".replace(" ", ""))
    assert cbor.encode({"aa": 3, "a": 2, "b": 1}) == cbor.encode({"b": 1, "a": 2, "aa": 3})


SECOND_FORMS = {
    "one in two bytes": "1801",
    "one in nine bytes": "1b0000000000000001",
    "size in two bytes": "580101",
    "indefinite bytes": "5f4101ff",
    "indefinite list": "9f01ff",
    "indefinite map": "bf616101ff",
    "unsorted map": "a2616202616101",
    "key twice": "a2616101616102",
    "trailing byte": "0100",
    "small bignum": "c24101",
    "tagged self": "d9d9f701",
    "long float": "fb3ff0000000000000",
}
BROKEN = {
    "nothing": "",
    "half a value": "5820aa",
    "size beyond the end": "9b7fffffffffffffff",
    "bytes beyond the end": "5bffffffffffffffff",
    "lone break": "ff",
    "text not utf-8": "61ff",
    "ratio over zero": "d81e820100",
    "decimal out of range": "c4821b7fffffffffffffff01",
    "binary float out of range": "c5821b7fffffffffffffff01",
    "pattern not closed": "d823612 8".replace(" ", ""),
    "date out of range": "c11bffffffffffffffff",
    "cycle": "d81c81d81d00",
    "message": "d82461 61".replace(" ", ""),
}


@pytest.mark.parametrize("encoded", [*SECOND_FORMS.values(), *BROKEN.values()], ids=[*SECOND_FORMS, *BROKEN])
def test_other_bytes_are_refused(encoded: str) -> None:
    """Fails if the decoded value is not encoded again and compared, or if an error of the library escapes."""
    with pytest.raises(MalformedProofError):
        cbor.decode(bytes.fromhex(encoded), size_max=SIZE_MAX)


def test_size_and_nesting_are_bounded() -> None:
    """Fails if the size is not checked before the work, or if deep nesting ends in RecursionError."""
    encoded = cbor.encode(bytes(100))
    cbor.decode(encoded, size_max=len(encoded))
    with pytest.raises(MalformedProofError):
        cbor.decode(encoded, size_max=len(encoded) - 1)
    with pytest.raises(MalformedProofError):
        cbor.decode(b"\x81" * 900_000 + b"\0", size_max=SIZE_MAX)
