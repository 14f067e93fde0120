"""Parts to stored bytes and back; frames that lie about their size are refused before they are expanded."""

from __future__ import annotations

import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sync.compression import LEVEL_MAX, RAW, ZSTD, compress, decompress
from sync.errors import FormatError


@given(st.binary(max_size=300), st.integers(0, 2), st.sampled_from([0, 1, 3, LEVEL_MAX]))
def test_a_part_comes_back(data: bytes, repeats: int, level: int) -> None:
    data *= 1 + repeats * 20
    codec, stored = compress(data, level=level)
    assert len(stored) <= len(data)
    assert decompress(codec, stored, size=len(data)) == data


def test_what_does_not_shrink_is_kept_as_it_is() -> None:
    noise = random.Random(1).randbytes(1000)
    assert compress(noise) == (RAW, noise)
    assert compress(bytes(1000), level=0) == (RAW, bytes(1000))
    assert compress(bytes(1000))[0] == ZSTD


@pytest.mark.parametrize("level", [-1, LEVEL_MAX + 1])
def test_an_unknown_level_is_refused(level: int) -> None:
    with pytest.raises(ValueError):
        compress(b"", level=level)


def test_bombs_and_damage_are_refused() -> None:
    """Fails when `decompress` trusts a frame's own size, allows bytes behind it, or lets a foreign exception out."""
    honest = zstandard.ZstdCompressor().compress(bytes(1000))
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000))
    bomb = zstandard.ZstdCompressor().compress(bytes(2**26))
    for codec, stored in [
        (ZSTD, bomb),
        (ZSTD, unsized),
        (ZSTD, honest + b"\0"),
        (ZSTD, honest + honest),
        (ZSTD, honest[:-1]),
        (ZSTD, honest[:5]),
        (ZSTD, b""),
        (ZSTD, bytes(1000)),
        (RAW, bytes(999)),
        (RAW, bytes(1001)),
        (2, bytes(1000)),
    ]:
        with pytest.raises(FormatError):
            decompress(codec, stored, size=1000)
