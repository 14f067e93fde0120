"""Every rule of a write log, and both encodings, one round trip and one named refusal at a time."""

from __future__ import annotations

import io
import json
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdb import StoreLimits, WriteLog
from flatdb.errors import InvalidWriteLogError
from flatdb.writelog import (
    decode_cbor,
    decode_json,
    encode_cbor,
    encode_json,
    read_cbor,
    read_ndjson,
    validate,
    write_cbor,
    write_ndjson,
)
from tests.flatdb.leaf_model import write_logs

LIMITS = StoreLimits()
TIGHT = StoreLimits(key_bytes_max=4, value_bytes_max=8, hash_bytes_max=4, entry_count_max=3, log_bytes_max=16)
ROOT = bytes(range(32))
FULL = WriteLog(7, ROOT, ROOT[::-1], (b"c",), ((b"", b""), (b"a", None), (b"b", b"\xff")), ((b"h", b"code"),))


def test_a_write_log_within_all_limits_is_valid() -> None:
    validate(FULL, LIMITS)
    validate(WriteLog(0, writes=((b"aaaa", b"v" * 8), (b"b", None))), TIGHT)


@pytest.mark.parametrize(
    ("write_log", "entry"),
    [
        (WriteLog(-1), "height"),
        (WriteLog(2**63), "height"),
        (WriteLog(1, parent_root=b"short"), "parent_root"),
        (WriteLog(1, root=ROOT + b"\0"), "root"),
        (WriteLog(1, writes=((b"b", b""), (b"a", b""))), "writes[1]"),
        (WriteLog(1, writes=((b"a", b""), (b"a", None))), "writes[1]"),
        (WriteLog(1, clear=(b"b", b"a")), "clear[1]"),
        (WriteLog(1, clear=(b"b", b"b")), "clear[1]"),
        (WriteLog(1, code=((b"b", b""), (b"a", b""))), "code[1]"),
        (WriteLog(1, writes=((b"aaaaa", b""),)), "writes[0]"),
        (WriteLog(1, clear=(b"aaaaa",)), "clear[0]"),
        (WriteLog(1, code=((b"aaaaa", b""),)), "code[0]"),
        (WriteLog(1, writes=((b"a", b"v" * 9),)), "writes[0]"),
        (WriteLog(1, code=((b"a", b"v" * 9),)), "code[0]"),
        (WriteLog(1, clear=(b"a", b"b"), writes=((b"a", None),), code=((b"a", b""),)), "writes"),
        (WriteLog(1, writes=((b"a", b"v" * 8), (b"b", b"v" * 8))), "writes"),
    ],
)
def test_each_broken_rule_is_named(write_log: WriteLog, entry: str) -> None:
    """Fails if any one rule of `validate` is taken out: each case breaks exactly one."""
    with pytest.raises(InvalidWriteLogError) as caught:
        validate(write_log, TIGHT)
    assert caught.value.entry == entry


@given(write_logs(3), st.none() | st.binary(min_size=32, max_size=32))
def test_both_encodings_give_back_what_went_in(write_log: WriteLog, root: bytes | None) -> None:
    write_log = WriteLog(3, root, ROOT, write_log.clear, write_log.writes, write_log.code)
    assert decode_json(encode_json(write_log), LIMITS) == write_log
    assert decode_cbor(encode_cbor(write_log), LIMITS) == write_log


def test_streams_of_several() -> None:
    logs = [FULL, WriteLog(8), WriteLog(9, writes=((b"x", b"y"),))]
    for write, read in ((write_ndjson, read_ndjson), (write_cbor, read_cbor)):
        stream = io.BytesIO()
        write(stream, logs)
        assert list(read(io.BytesIO(stream.getvalue()), LIMITS)) == logs


def test_the_documented_line() -> None:
    """The example of the format's description, with and without 0x and what may be left out."""
    line = b'{"height":12,"root":null,"writes":[["0x0A","ff"],["0b",null]]}'
    assert decode_json(line, LIMITS) == WriteLog(12, writes=((b"\x0a", b"\xff"), (b"\x0b", None)))
    assert encode_json(WriteLog(12)) == b'{"height":12,"root":null,"writes":[]}\n'


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        ({"height": "7"}, "height"),
        ({"height": True}, "height"),
        ({"height": 7.0}, "height"),
        ({"height": None}, "height"),
        ({"root": 5}, "root"),
        ({"root": "zz"}, "root"),
        ({"writes": {}}, "writes"),
        ({"writes": [["00"]]}, "writes[0]"),
        ({"writes": [["00", "00", "00"]]}, "writes[0]"),
        ({"writes": ["0000"]}, "writes[0]"),
        ({"writes": [[None, "00"]]}, "writes[0]"),
        ({"writes": [["00 01", "00"]]}, "writes[0]"),
        ({"writes": [["000", "00"]]}, "writes[0]"),
        ({"clear": "00"}, "clear"),
        ({"clear": [0]}, "clear[0]"),
        ({"code": []}, "code"),
        ({"code": {"00": None}}, "code[0]"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_json_of_the_wrong_shape(change: dict[str, Any], entry: str) -> None:
    fields = {"height": 7, "root": None, "writes": [], **change}
    with pytest.raises(InvalidWriteLogError) as caught:
        decode_json(json.dumps(fields).encode(), LIMITS)
    assert caught.value.entry == entry


@pytest.mark.parametrize("name", ["height", "root", "writes"])
def test_what_may_not_be_left_out(name: str) -> None:
    fields: dict[str, Any] = {"height": 7, "root": None, "writes": []}
    del fields[name]
    for decode, encoded in ((decode_json, json.dumps(fields).encode()), (decode_cbor, cbor2.dumps(fields))):
        with pytest.raises(InvalidWriteLogError) as caught:
            decode(encoded, LIMITS)
        assert caught.value.entry.endswith(name)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"null",
        b'{"height":1,"height":2,"root":null,"writes":[]}',
        b'{"height":1,"root":null,"writes":[],"code":{"00":"","00":"01"}}',
        b'{"height":' + b"9" * 5000 + b',"root":null,"writes":[]}',
        b"[" * 100_000,
    ],
)
def test_lines_that_are_no_object(line: bytes) -> None:
    with pytest.raises(InvalidWriteLogError):
        decode_json(line, LIMITS)


def test_entries_are_counted_before_a_line_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the count is made after parsing, when the memory is already spent."""
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed"))
    for padding in (b"[]," * 40, b'"",' * 40, b"{}," * 40):
        with pytest.raises(InvalidWriteLogError):
            decode_json(b'{"height":1,"root":null,"writes":[' + padding + b"0]}", TIGHT)


def test_a_line_at_all_limits_passes() -> None:
    """Fails if `record_bytes_max` or the count before parsing is too tight for what `validate` allows."""
    log = WriteLog(2**63 - 1, ROOT, ROOT, (), ((b"a", b"v" * 3), (b"b", b"v" * 8), (b"c", None)), ())
    for write_log in (log, WriteLog(1, ROOT, ROOT, (b"a",), ((b"a", None),), ((b"h", b"v" * 8),))):
        line = encode_json(write_log)
        assert decode_json(line, TIGHT) == write_log
        assert decode_cbor(encode_cbor(write_log), TIGHT) == write_log


def test_an_endless_line_is_given_up() -> None:
    """Fails if a line is read whole before its size is judged."""

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, target: Any) -> int:
            target[:] = b" " * len(target)
            return len(target)

    with pytest.raises(InvalidWriteLogError) as caught:
        next(read_ndjson(io.BufferedReader(Endless()), TIGHT))
    assert caught.value.entry.startswith("line 1")


def test_the_line_number_is_told() -> None:
    stream = io.BytesIO(encode_json(FULL) + b"\n")
    with pytest.raises(InvalidWriteLogError) as caught:
        list(read_ndjson(stream, LIMITS))
    assert caught.value.entry.startswith("line 2")


@pytest.mark.parametrize(
    "item",
    [
        {"height": "7"},
        {"height": -1},
        {"height": 1.5},
        {"height": 2**70},
        {"root": b"short"},
        {"root": "00" * 32},
        {"clear": {}},
        {"clear": [1]},
        {"writes": {}},
        {"writes": [[b"a"]]},
        {"writes": [[b"a", b"b", b"c"]]},
        {"writes": [[b"a", 0]]},
        {"writes": [[None, b""]]},
        {"writes": [b"ab"]},
        {"code": []},
        {"code": {b"a": None}},
        {"surprise": 1},
        {"a name that is longer than any": 1},
    ],
)
def test_cbor_of_the_wrong_shape(item: dict[str, Any]) -> None:
    fields = {"height": 7, "root": None, "writes": [], **item}
    with pytest.raises(InvalidWriteLogError):
        decode_cbor(cbor2.dumps(fields), LIMITS)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\x80",
        b"\xbf\xff",
        b"\xbb" + b"\xff" * 8,
        b"\xa1\x66height",
        b"\xa3\x66height\x01\x64root\xf6\x66writes\x9b" + b"\xff" * 8,
        b"\xa3\x66height\x01\x64root\xf6\x66writes\x81\x82\x5b" + b"\x7f" * 8,
        b"\xa3\x66height\x01\x64root\xf6\x66writes\x9f\xff",
        b"\xa4\x66height\x01\x66height\x01\x64root\xf6\x66writes\x80",
        encode_cbor(FULL)[:-1],
        encode_cbor(FULL) + b"\0",
    ],
)
def test_cbor_that_is_malformed(encoded: bytes) -> None:
    """Claims of huge sizes and counts are refused at their heads; cut, doubled and trailing bytes as well."""
    with pytest.raises(InvalidWriteLogError):
        decode_cbor(encoded, LIMITS)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(noise: bytes) -> None:
    for decode in (decode_cbor, decode_json):
        try:
            decode(noise, TIGHT)
        except InvalidWriteLogError:
            continue


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_one_changed_byte_is_refused_or_still_a_valid_log(position: int, replacement: int) -> None:
    for decode, encode in ((decode_cbor, encode_cbor), (decode_json, encode_json)):
        damaged = bytearray(encode(FULL))
        damaged[position % len(damaged)] = replacement
        try:
            validate(decode(bytes(damaged), LIMITS), LIMITS)
        except InvalidWriteLogError:
            continue


@pytest.mark.parametrize(
    "claim",
    [
        b"\x84",  # four writes, where three entries are allowed
        b"\x81\x82\x59\xff\xff",  # a key of 65,535 bytes, where the whole log may have 16
    ],
)
def test_cbor_is_refused_at_the_head_that_claims_too_much(claim: bytes) -> None:
    """Fails if a count or size is judged only after what it announces has been read."""
    beginning = b"\xa3\x66height\x01\x64root\xf6\x66writes" + claim
    stream = io.BytesIO(beginning + b"\x82\x41a\xf6" * 20_000)
    with pytest.raises(InvalidWriteLogError):
        next(read_cbor(stream, TIGHT))
    assert stream.tell() == len(beginning)
