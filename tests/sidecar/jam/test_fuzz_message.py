"""Fuzz protocol messages: round trips, and bytes that are none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from proofs import MalformedProofError
from sidecar.jam.fuzz_message import (
    Failure,
    GetState,
    ImportBlock,
    Initialize,
    Message,
    PeerInfo,
    StateMessage,
    StateRoot,
    decode_message,
    encode_message,
)
from sidecar.jam.header import decode_header
from sidecar.jam.trace import Step

LEAVES = [(bytes(31), b""), (b"\1" * 31, b"v" * 300)]


def header_bytes(step: Step) -> bytes:
    return step.block[: decode_header(step.block)[1]]


@pytest.mark.parametrize(
    "message",
    [
        PeerInfo("näme", (0, 7, 2), (1, 2, 3), features=3),
        StateRoot(b"\7" * 32),
        ImportBlock(b"block"),
        GetState(b"\5" * 32),
        StateMessage(LEAVES),
        StateMessage([]),
        Failure(b"why"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_survives(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


def test_initialize_survives(step: Step) -> None:
    message = Initialize(header_bytes(step), LEAVES, [(7, b"\2" * 32), (8, b"\3" * 32)])
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\6",
        b"\0",
        b"\0" + bytes(11) + b"\5abc",
        b"\0" + bytes(11) + b"\1\xff",
        b"\1" + bytes(10),
        b"\1" + bytes(100) + b"\2",
        b"\2" + bytes(31),
        b"\4" + bytes(33),
        b"\5",
        b"\5\1" + bytes(31),
        b"\5\0\0",
        b"\5\2" + bytes(32) + bytes(32),
    ],
)
def test_bytes_that_are_no_message(data: bytes) -> None:
    with pytest.raises(MalformedProofError):
        decode_message(data)


def test_a_block_that_is_cut_off_has_no_header(data: Path, step: Step) -> None:
    assert gzip.decompress((data / "jam" / "raw_preimages_00000050.bin.gz").read_bytes()).count(step.block) == 1
    for size in (0, 99, 100, 101, 200, 290):
        with pytest.raises(MalformedProofError):
            decode_header(step.block[:size])
