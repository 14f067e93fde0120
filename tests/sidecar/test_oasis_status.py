"""Errors of a node, as they stand in gRPC's trailing metadata."""

from __future__ import annotations

import pytest

from proofs import cbor
from sidecar.oasis_status import CHUNK_NOT_FOUND, WRITE_LOG_NOT_FOUND, OasisCallError, decode_status, encode_status


@pytest.mark.parametrize("kind", [CHUNK_NOT_FOUND, WRITE_LOG_NOT_FOUND, ("m" * 300, 1 << 31)])
def test_module_and_code_come_back(kind: tuple[str, int]) -> None:
    assert decode_status(encode_status(kind, "message " * 40)) == kind


def test_the_bytes_are_a_status_message() -> None:
    value = cbor.encode({"code": 2, "module": "storage/mkvs/db"})
    expected = b"\x08\x02" + b"\x12\x02no" + b"\x1a" + bytes([len(value) + 2]) + b"\x12" + bytes([len(value)]) + value
    assert encode_status(WRITE_LOG_NOT_FOUND, "no") == expected


@pytest.mark.parametrize(
    "data",
    [b"", b"\x08\x02", b"\x1a\x00", b"\x1a\x02\x12\x00", b"\x1a\x03\x12\x01\xf6", b"\x80", b"\x0b\x00", b"\x1a\xff"],
)
def test_details_that_say_nothing(data: bytes) -> None:
    assert decode_status(data) == ("", 0)


def test_the_error_carries_both() -> None:
    error = OasisCallError("unix:node", CHUNK_NOT_FOUND, "gone")
    assert (error.source, error.module, error.code, error.reason) == ("unix:node", *CHUNK_NOT_FOUND, "gone")
