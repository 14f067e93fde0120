"""What both ends agree on: conditions and ranges as RFC 9110 has them, listings, queries, statuses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import LeafRun, MalformedProofError, RangeProof
from sync import wire
from sync.checkpoint_store import CheckpointInfo
from sync.errors import FormatError, PeerRefusedError, PeerUnavailableError
from sync.limits import Limits
from sync.manifest import MANIFEST_FORMAT, Cut
from sync.root import Root

TAG = '"t"'
ROOT = Root("mkvs", "state", b"\1", 3, bytes(32))
INFO = CheckpointInfo(bytes(range(32)), ROOT, Cut(), 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (200, 0, 10)),
        ({"If-Match": TAG}, (200, 0, 10)),
        ({"If-Match": '"x", "t"'}, (200, 0, 10)),
        ({"If-Match": "*"}, (200, 0, 10)),
        ({"If-Match": '"x"'}, (412, 0, 0)),
        ({"If-Match": 'W/"t"'}, (412, 0, 0)),
        ({"If-Match": ""}, (412, 0, 0)),
        ({"If-None-Match": TAG}, (304, 0, 0)),
        ({"If-None-Match": 'W/"t"'}, (304, 0, 0)),
        ({"If-None-Match": "*"}, (304, 0, 0)),
        ({"If-None-Match": '"x"'}, (200, 0, 10)),
        ({"If-Match": '"x"', "If-None-Match": TAG}, (412, 0, 0)),
        ({"If-None-Match": TAG, "Range": "bytes=1-2"}, (304, 0, 0)),
        ({"Range": "bytes=0-9"}, (206, 0, 10)),
        ({"Range": "bytes=3-5"}, (206, 3, 3)),
        ({"Range": "bytes=3-"}, (206, 3, 7)),
        ({"Range": "bytes=3-99"}, (206, 3, 7)),
        ({"Range": "bytes=-4"}, (206, 6, 4)),
        ({"Range": "bytes=-99"}, (206, 0, 10)),
        ({"Range": "bytes=-0"}, (416, 0, 0)),
        ({"Range": "bytes=10-"}, (416, 0, 0)),
        ({"Range": "bytes=5-4"}, (200, 0, 10)),
        ({"Range": "bytes=-"}, (200, 0, 10)),
        ({"Range": "bytes=0-1,3-4"}, (200, 0, 10)),
        ({"Range": "lines=1-2"}, (200, 0, 10)),
        ({"Range": "bytes=" + "9" * 40 + "-"}, (200, 0, 10)),
        ({"Range": "bytes=3-", "If-Range": TAG}, (206, 3, 7)),
        ({"Range": "bytes=3-", "If-Range": '"x"'}, (200, 0, 10)),
        ({"Range": "bytes=3-", "If-Range": 'W/"t"'}, (200, 0, 10)),
        ({"Range": "bytes=3-", "If-Range": "Sat, 21 Nov 2026 00:00:00 GMT"}, (200, 0, 10)),
    ],
)
def test_answer(headers: dict[str, str], expected: tuple[int, int, int]) -> None:
    answer = wire.answer("GET", headers, tag=TAG, size=10)
    assert (answer.status, answer.start, answer.count) == expected


def test_only_get_has_ranges() -> None:
    assert wire.answer("HEAD", {"Range": "bytes=1-2"}, tag=TAG, size=10).status == 200


@given(st.text(st.characters(max_codepoint=255), max_size=40), st.integers(0, 50))
def test_any_range_header_is_answered(header: str, size: int) -> None:
    """Whatever it says, the part lies within the bytes."""
    for value in (header, "bytes=" + header):
        answer = wire.answer("GET", {"Range": value}, tag=TAG, size=size)
        assert answer.status in (200, 206, 416)
        assert 0 <= answer.start <= answer.start + answer.count <= size


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 10**6))
def test_content_range_there_and_back(start: int, count: int, rest: int) -> None:
    size = start + count + rest
    text = wire.content_range(wire.Answer(206, start, count), size)
    assert wire.parse_content_range(text) == (start, count, size)


@pytest.mark.parametrize("text", ["", "bytes */5", "bytes 3-2/9", "bytes 0-9/9", "bytes 0-1/*", "lines 0-1/2"])
def test_content_ranges_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        wire.parse_content_range(text)


def test_etag_names_digest_codec_and_stored_bytes() -> None:
    """Fails if any of the three can change and the tag stays."""
    tags = {
        wire.etag(digest, codec, stored)
        for digest in (bytes(32), bytes([1]) * 32)
        for codec in ("chunk-1", "chunk-2")
        for stored in (bytes(32), bytes([2]) * 32)
    }
    assert len(tags) == 8


# Listings.


def test_listing_there_and_back() -> None:
    assert wire.decode_listing(wire.encode_listing([INFO]), count_max=9) == (
        wire.ListedCheckpoint(INFO.digest, ROOT, MANIFEST_FORMAT),
    )


def test_listing_is_cut_at_its_bound() -> None:
    assert len(wire.decode_listing(wire.encode_listing([INFO] * 7), count_max=3)) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "00"},
        {"digest": 7},
        {"root": {}},
        {"root": {**ROOT.to_json(), "scheme": "Ärger"}},
        {"root": {**ROOT.to_json(), "height": -1}},
        {"manifest_format": "1"},
    ],
)
def test_lines_of_another_kind_are_passed_over(change: dict[str, object]) -> None:
    """A newer release may list what this one cannot name: the rest of its listing still counts."""
    known = json.loads(wire.encode_listing([INFO]))["checkpoints"][0]
    listing = {"checkpoints": [{**known, **change}, 5, None, {**known, "more": 1}]}
    assert len(wire.decode_listing(json.dumps(listing).encode(), count_max=9)) == 1


@pytest.mark.parametrize(
    "untrusted",
    [b"", b"<html>", b"[]", b"{}", b'{"checkpoints": 1}', b"\xff", b"[" * 100_000, b'{"checkpoints": [' + b"9" * 9999],
)
def test_listings_that_are_none(untrusted: bytes) -> None:
    with pytest.raises(FormatError):
        wire.decode_listing(untrusted, count_max=9)


# Proof answers.


def test_proof_answer_there_and_back() -> None:
    proof, run = RangeProof(b"", None, (), ()), LeafRun([b"k"], [b"v"])
    decoded = wire.decode_proof(wire.encode_proof(proof, run), limits=Limits())
    assert decoded[0] == proof
    assert list(decoded[1]) == list(run)


@pytest.mark.parametrize("untrusted", [b"", b"\x80", b"\x83\x02\x40\x40", b"\x83\x01\x40\x40"])
def test_proof_answers_that_are_none(untrusted: bytes) -> None:
    with pytest.raises((FormatError, MalformedProofError)):
        wire.decode_proof(untrusted, limits=Limits())


# Queries and statuses.


@pytest.mark.parametrize(("text", "key"), [("", b""), ("00ff", b"\0\xff"), ("0xAb", b"\xab")])
def test_query_key(text: str, key: bytes) -> None:
    assert wire.query_key({"k": text}, "k", key_bytes_max=2) == key


@pytest.mark.parametrize("text", ["0", "zz", "000000", "0x0x00", "00 ", "\u0660\u0660"])
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(wire.InvalidQueryError):
        wire.query_key({"k": text}, "k", key_bytes_max=2)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "11", "1e1", " 1", "\u0663", "9" * 5000])
def test_numbers_that_are_none(text: str) -> None:
    with pytest.raises(wire.InvalidQueryError):
        wire.query_number({"n": text}, "n", largest=10)


def test_what_is_left_out_is_none() -> None:
    assert wire.query_number({}, "n", largest=1) is None
    assert wire.query_key({}, "k", key_bytes_max=1) is None
    assert wire.query_number({"n": "010"}, "n", largest=10) == 10


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_statuses_to_come_back_after(status: int) -> None:
    assert isinstance(wire.refusal("p", status), PeerUnavailableError)


@pytest.mark.parametrize("status", [204, 301, 302, 400, 401, 403, 404, 410, 412, 416, 418, 429])
def test_statuses_to_try_another_peer_after(status: int) -> None:
    error = wire.refusal("p", status, retry_after="7")
    assert isinstance(error, PeerRefusedError)
    assert (error.status, error.retry_after_s) == (status, 7.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("0", 0.0), ("90", 90.0), ("9" * 19, 3600.0), ("9" * 99, None), ("-1", None), ("soon", None)],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert wire.parse_retry_after(text) == seconds
