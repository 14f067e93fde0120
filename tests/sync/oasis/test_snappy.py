"""Snappy framing: cut and encoded as golang/snappy does, read within bounds."""

from __future__ import annotations

import random

import cramjam
import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.oasis.snappy import BLOCK_BYTES_MAX, SnappyError, SnappyWriter, decompress

STREAM = bytes.fromhex("ff060000734e61507059")


def framed(*items: bytes) -> bytes:
    out = bytearray()
    writer = SnappyWriter(out.extend)
    for item in items:
        writer.write(item)
    writer.flush()
    return bytes(out)


def blocks(data: bytes) -> list[tuple[int, int]]:
    """(type, plain size) of every block after the stream identifier."""
    found, offset = [], len(STREAM)
    while offset < len(data):
        kind, size = data[offset], int.from_bytes(data[offset + 1 : offset + 4], "little")
        body = data[offset + 8 : offset + 4 + size]
        found.append((kind, len(body) if kind else len(cramjam.snappy.decompress_raw(body))))
        offset += 4 + size
    return found


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        # Answers of the reference for whole chunks.
        ([b"\xf6"], "ff060000734e61507059010500003dfa1b5af6"),
        (
            [bytes.fromhex("4e01000300666f6f03000000626172")],
            "ff060000734e61507059011300003d097b394e01000300666f6f03000000626172",
        ),
        (
            [bytes.fromhex("58190101080061000100610100000031"), bytes.fromhex("4b0100020061620100000032"), b"\xf6"],
            None,
        ),
    ],
)
def test_known_streams(items: list[bytes], expected: str | None) -> None:
    data = framed(*items)
    assert expected is None or data.hex() == expected
    assert b"".join(decompress(data, bytes_max=1000)) == b"".join(items)


def test_nothing_written_is_nothing_at_all() -> None:
    assert framed() == b""
    assert framed(b"") == b""
    assert list(decompress(b"", bytes_max=0)) == []


def test_blocks_are_cut_as_a_buffered_writer_cuts_them() -> None:
    full, half = BLOCK_BYTES_MAX, BLOCK_BYTES_MAX // 2
    noise = random.Random(1).randbytes(3 * full)
    sizes = lambda *items: [size for _, size in blocks(framed(*items))]  # noqa: E731
    assert sizes(*[noise[:1000]] * 200) == [full, full, full, 200_000 - 3 * full]
    # Meets an empty buffer: framed whole, its end short, and the grid starts anew.
    assert sizes(noise[: full + 5], b"x") == [full, 5, 1]
    # Meets a filled one: tops it up first.
    assert sizes(b"x", noise[: full + 5]) == [full, 6]
    assert sizes(noise[:half], noise[: 2 * full], b"x") == [full, full, half, 1]
    # Exactly full: waits for the next write.
    assert sizes(noise[:full], b"x") == [full, 1]
    assert sizes(noise[:half], noise[:half]) == [full]


@pytest.mark.parametrize("before", [0, 1, 40_000])
@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200_000])
def test_small_items_may_be_joined(before: int, size: int) -> None:
    noise = random.Random(3).randbytes(before + size)
    items = [noise[at : at + 1000] for at in range(before, before + size, 1000)]
    expected = framed(noise[:before], *items, b"x" * 70_000, b"end")
    out = bytearray()
    writer = SnappyWriter(out.extend)
    writer.write(noise[:before])
    writer.write_small(b"".join(items))
    writer.write(b"x" * 70_000)
    writer.write_small(b"end")
    writer.flush()
    assert bytes(out) == expected


def test_what_hardly_shrinks_is_stored() -> None:
    """The rule compares with n - n // 8, in whole bytes; sizes on either side of the border are met."""
    rng = random.Random(2)
    distances = set()
    for size in range(1001, 1400):  # zeros first: the encoder looks closely only while it finds something
        for zeros in range(size // 8 + 4, size // 8 + 20):
            plain = bytes(zeros) + rng.randbytes(size - zeros)
            ((kind, _),) = blocks(framed(plain))
            distance = len(cramjam.snappy.compress_raw(plain)) - (size - size // 8)
            assert kind == (distance >= 0)
            if size % 8:
                distances.add(distance)
    assert {-1, 0} <= distances


@given(st.lists(st.binary(max_size=400) | st.integers(0, 150_000).map(bytes), max_size=8))
def test_what_was_written_comes_back(items: list[bytes]) -> None:
    plain = b"".join(items)
    assert b"".join(decompress(framed(*items), bytes_max=len(plain))) == plain


def block(kind: int, body: bytes, plain: bytes | None = None) -> bytes:
    crc = google_crc32c.value(body if plain is None else plain)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return bytes([kind]) + (len(body) + 4).to_bytes(3, "little") + masked.to_bytes(4, "little") + body


def test_any_valid_framing_is_read() -> None:
    padding, skipped = b"\xfe\x03\0\0abc", b"\x80\0\0\0"
    stream = STREAM + padding + block(1, b"one") + STREAM + skipped + block(0, b"\x03\x08two", b"two")
    assert list(decompress(stream, bytes_max=6)) == [b"one", b"two"]


def raw_of(size: int) -> bytes:
    return bytes(cramjam.snappy.compress_raw(bytes(size)))


BROKEN = {
    "no stream identifier": block(1, b"one"),
    "a broken identifier": b"\xff\x06\0\0sNaPpX",
    "a broken second identifier": STREAM + b"\xff\x05\0\0sNaPp",
    "an unknown type": STREAM + b"\x02\0\0\0",
    "a truncated head": STREAM + b"\x01\x07",
    "a truncated body": STREAM + block(1, b"one")[:-1],
    "no checksum": STREAM + b"\x01\x03\0\0abc",
    "a wrong checksum": STREAM + block(1, b"one", b"two"),
    "a damaged body": STREAM + block(0, b"\x03\x08tw", b"two"),
    "a size without end": STREAM + block(0, b"\x80\x80\x80\x80\x80\x01", b""),
    "a truncated size": STREAM + block(0, b"\x80", b""),
    "a compressed block past the bound": STREAM + block(0, raw_of(BLOCK_BYTES_MAX + 1), bytes(BLOCK_BYTES_MAX + 1)),
    "a stored block past the bound": STREAM + block(1, bytes(BLOCK_BYTES_MAX + 1)),
    "more than allowed": STREAM + block(1, bytes(600)) + block(1, bytes(401)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_streams_are_refused(name: str) -> None:
    with pytest.raises(SnappyError):
        list(decompress(BROKEN[name], bytes_max=1000 if name == "more than allowed" else 1 << 20))
