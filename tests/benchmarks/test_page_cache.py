"""Whether files that were dropped are read from the disk again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.page_cache import bytes_read, drop


def in_memory(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            return os.preadv(file.fileno(), [bytearray(4096)], 0, os.RWF_NOWAIT) > 0
        except BlockingIOError:
            return False


def test_dropped_pages_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    path.write_bytes(os.urandom(1 << 20))
    try:
        assert in_memory(path)
    except OSError as error:
        pytest.skip(f"this file system does not tell: {error}")
    drop(tmp_path)
    if in_memory(path):
        pytest.skip("this file system keeps its files in memory")
    assert len(path.read_bytes()) == 1 << 20
    assert in_memory(path)
    assert bytes_read(os.getpid()) > 0
