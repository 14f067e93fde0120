"""The lattice hash: published vectors, and lane arithmetic against a list of integers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import lattice

Sums = st.binary(min_size=1, max_size=24).map(lambda seed: (seed * lattice.ELEMENT_BYTES)[: lattice.ELEMENT_BYTES])


def lanes(data: bytes) -> tuple[int, ...]:
    return struct.unpack("<1024H", data)


def from_lanes(values: list[int]) -> bytes:
    return struct.pack("<1024H", *(value % 65536 for value in values))


@pytest.fixture
def vectors(data: Path) -> Any:
    return json.loads((data / "solana" / "vectors.json").read_text())


def test_published_elements_and_their_checksums(vectors: Any) -> None:
    for case in vectors["lthash"]:
        computed = lattice.element(case["input"].encode())
        assert computed.hex() == case["lthash_le_hex"]
        assert lattice.checksum(computed).hex() == case["checksum"]
    assert base58.b58encode(lattice.checksum(lattice.IDENTITY)).decode() == vectors["identity_checksum_b58"]


@given(st.lists(Sums, max_size=6))
def test_a_total_is_the_sum_of_lanes(parts: list[bytes]) -> None:
    expected = [sum(column) for column in zip(*map(lanes, parts), strict=True)] or [0] * 1024
    assert lattice.total(parts) == from_lanes(expected)


@given(Sums, Sums)
def test_subtract_undoes_add(left: bytes, right: bytes) -> None:
    assert lattice.subtract(lattice.add(left, right), right) == left
    expected = [a - b for a, b in zip(lanes(left), lanes(right), strict=True)]
    assert lattice.subtract(left, right) == from_lanes(expected)


def test_cells_survive_more_additions_than_a_lane_has_values() -> None:
    full = b"\xff" * lattice.ELEMENT_BYTES
    assert lattice.total([full] * 65_537) == from_lanes([65_537 * 65_535] * 1024)


@pytest.mark.parametrize("size", [0, 2047, 2049])
def test_an_element_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError):
        lattice.total([bytes(size)])
    with pytest.raises(ValueError):
        lattice.subtract(lattice.IDENTITY, bytes(size))
