"""The snappy framing of Oasis chunks: written as golang/snappy writes it, read within bounds.

A chunk's digest covers its compressed bytes, so where a block is cut, and when it is stored instead of
compressed, is part of the format. The raw block encoding comes from cramjam (Rust `snap`), which gives the
bytes of the Go encoder; tests pin that. The only file that imports cramjam and google_crc32c.

    stream  ff 06 00 00 "sNaPpY", once, before the first block; nothing at all if nothing was written
    block   type | u24le size of the rest | u32le masked CRC-32C of the plain bytes | body
            type 00: body = raw snappy; 01: body = the plain bytes (stored)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import cramjam
import google_crc32c

BLOCK_BYTES_MAX = 65536
_STREAM = b"\xff\x06\x00\x00sNaPpY"
_COMPRESSED, _STORED, _STREAM_TYPE = 0x00, 0x01, 0xFF
_SKIPPABLE = range(0x80, 0xFF)
_BODY_BYTES_MAX = 76490  # the longest that raw snappy makes of a full block


class SnappyError(ValueError):
    """Bytes that are not a snappy stream, or one that is larger than allowed."""

    def __init__(self, reason: str, offset: int) -> None:
        self.reason = reason
        self.offset = offset
        super().__init__(f"snappy stream: {reason} (at byte {offset})")


class SnappyWriter:
    """Plain bytes in, framed bytes out, cut as Go's buffered writer cuts them.

    INVARIANT: an item that does not fit into the free buffer tops it up; one that meets an empty buffer is
    framed whole, its last block short. So what is passed to one `write` call matters.
    """

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._started = False

    def write(self, data: bytes) -> None:
        """One item. Items of the format are written one by one."""
        buffer = self._buffer
        while len(data) > BLOCK_BYTES_MAX - len(buffer):
            if not buffer:
                self._frame(data)
                return
            free = BLOCK_BYTES_MAX - len(buffer)
            buffer += data[:free]
            data = data[free:]
            self.flush()
        buffer += data

    def write_small(self, items: bytes) -> None:
        """Items joined, none of them larger than a block: these are framed alike wherever they meet."""
        self._buffer += items
        whole = (len(self._buffer) - 1) // BLOCK_BYTES_MAX * BLOCK_BYTES_MAX
        if whole > 0:  # a block that is exactly full waits, as in `write`
            self._frame(bytes(self._buffer[:whole]))
            del self._buffer[:whole]

    def flush(self) -> None:
        """Frame what is buffered. Call once, at the end."""
        if self._buffer:
            self._frame(bytes(self._buffer))
            self._buffer.clear()

    def _frame(self, data: bytes) -> None:
        if not self._started:
            self._started = True
            self._sink(_STREAM)
        for start in range(0, len(data), BLOCK_BYTES_MAX):
            self._sink(_block(data[start : start + BLOCK_BYTES_MAX]))


def _block(plain: bytes) -> bytes:
    body = bytes(cramjam.snappy.compress_raw(plain))
    kind = _COMPRESSED
    if len(body) >= len(plain) - len(plain) // 8:
        body, kind = plain, _STORED
    return b"%c%b%b%b" % (kind, (len(body) + 4).to_bytes(3, "little"), _checksum(plain), body)


def _checksum(plain: bytes) -> bytes:
    crc = cast(int, google_crc32c.value(plain))
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def decompress(data: bytes, *, bytes_max: int) -> Iterator[bytes]:
    """Plain blocks of a framed stream, each at most 65,536 bytes, together at most `bytes_max`.

    Any valid framing is read: repeated stream identifiers, padding and skippable blocks included. Sizes are
    checked before a block is decompressed.

    Raises:
        SnappyError
    """
    offset = total = 0
    while offset < len(data):
        kind = data[offset]
        body_at = offset + 4
        end = body_at + int.from_bytes(data[offset + 1 : body_at], "little")
        if len(data) < body_at or len(data) < end:
            raise SnappyError("truncated", offset)
        if offset == 0 and data[: len(_STREAM)] != _STREAM:
            raise SnappyError("no stream identifier", offset)
        if kind in (_COMPRESSED, _STORED):
            plain = _plain(kind, data[body_at:end], offset)
            total += len(plain)
            if total > bytes_max:
                raise SnappyError(f"more than {bytes_max} bytes", offset)
            yield plain
        elif kind == _STREAM_TYPE:
            if data[offset:end] != _STREAM:
                raise SnappyError("a broken stream identifier", offset)
        elif kind not in _SKIPPABLE:
            raise SnappyError(f"block of unknown type {kind:#04x}", offset)
        offset = end


def _plain(kind: int, block: bytes, offset: int) -> bytes:
    """The plain bytes of one block: checksum, then body."""
    if len(block) < 4:
        raise SnappyError("a block without checksum", offset)
    body = block[4:]
    if kind == _COMPRESSED:
        if _claimed_size(body, offset) > BLOCK_BYTES_MAX or len(body) > _BODY_BYTES_MAX:
            raise SnappyError("a block that is too large", offset)
        try:
            body = bytes(cramjam.snappy.decompress_raw(body))
        except cramjam.DecompressionError as error:
            raise SnappyError(f"a damaged block: {error}", offset) from error
    elif len(body) > BLOCK_BYTES_MAX:
        raise SnappyError("a block that is too large", offset)
    if _checksum(body) != block[:4]:
        raise SnappyError("a block with a wrong checksum", offset)
    return body


def _claimed_size(body: bytes, offset: int) -> int:
    """The plain size at the head of a raw block: a varint of at most 5 bytes."""
    size = 0
    for index, byte in enumerate(body[:5]):
        size |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return size
    raise SnappyError("a damaged block", offset)
