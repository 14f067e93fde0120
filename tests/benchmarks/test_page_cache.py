"""Whether files that were dropped are read from the disk again."""

from __future__ import annotations

import os
import subprocess
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
    kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True).stdout
    if kind.strip() == "tmpfs":
        pytest.skip("a file system in memory drops nothing")
    assert in_memory(path)
    drop(tmp_path)
    assert not in_memory(path)
    assert len(path.read_bytes()) == 1 << 20
    assert in_memory(path)
    assert bytes_read(os.getpid()) > 0
