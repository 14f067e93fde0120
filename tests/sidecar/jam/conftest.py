"""Published JAM steps, read once a test."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sidecar.jam.trace import Step, parse_step


@pytest.fixture
def step(data: Path) -> Step:
    """One published block with its states, 0.7.2, 92 leaves."""
    return parse_step("step", gzip.decompress((data / "jam" / "raw_preimages_00000050.bin.gz").read_bytes()))
