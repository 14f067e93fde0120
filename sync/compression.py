"""Compression: one part of a chunk to stored bytes and back. All of zstandard is here.

A part that does not shrink is stored as it is, so stored bytes are never more than canonical ones. Reading back is
bounded by the size that the caller already knows and has judged: a frame that announces any other size is refused
before a byte of it is expanded. Stored bytes are not canonical: another level or another zstd gives others.
"""

from __future__ import annotations

import threading
from typing import Final

import zstandard

from sync.errors import FormatError

__all__ = ["LEVEL_DEFAULT", "LEVEL_MAX", "RAW", "ZSTD", "compress", "decompress"]

RAW: Final = 0
ZSTD: Final = 1

LEVEL_DEFAULT: Final = 3
LEVEL_MAX: Final = 19
"""0 stores every part as it is."""

_local = threading.local()


def compress(data: bytes, *, level: int = LEVEL_DEFAULT) -> tuple[int, bytes]:
    """(codec, stored bytes) of one part. Thread-safe.

    Raises:
        ValueError: a level that is not in 0..LEVEL_MAX.
    """
    if not 0 <= level <= LEVEL_MAX:
        raise ValueError(f"the compression level is 0 to {LEVEL_MAX}, not {level}")
    if not level:
        return RAW, data
    frame = _compressor(level).compress(data)
    return (ZSTD, frame) if len(frame) < len(data) else (RAW, data)


def decompress(codec: int, stored: bytes, *, size: int) -> bytes:
    """The part of exactly `size` canonical bytes that is stored as `stored`. Thread-safe.

    Raises:
        FormatError: an unknown codec, another size, a damaged frame, or bytes behind it.
    """
    if codec == RAW:
        data = stored
    elif codec == ZSTD:
        data = _expand(stored, size)
    else:
        raise FormatError("stored part", f"unknown codec {codec}")
    if len(data) != size:
        raise FormatError("stored part", f"has {len(data)} canonical bytes, announced are {size}")
    return data


def _expand(frame: bytes, size: int) -> bytes:
    # zstandard allocates what the frame's header announces, whatever the caller asked for: judge the header first.
    try:
        announced = zstandard.get_frame_parameters(frame).content_size
        if announced != size:
            raise FormatError("stored part", f"its frame announces another size than {size} bytes")
        return _decompressor().decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError("stored part", f"not a zstd frame: {error}") from error


def _compressor(level: int) -> zstandard.ZstdCompressor:
    """One a thread and level: building one costs more than compressing a small proof."""
    made: dict[int, zstandard.ZstdCompressor] = _local.__dict__.setdefault("compressors", {})
    if level not in made:
        made[level] = zstandard.ZstdCompressor(level=level, write_checksum=False, write_content_size=True)
    return made[level]


def _decompressor() -> zstandard.ZstdDecompressor:
    made: zstandard.ZstdDecompressor | None = _local.__dict__.get("decompressor")
    if made is None:
        made = _local.decompressor = zstandard.ZstdDecompressor()
    return made
