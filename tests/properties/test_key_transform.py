"""A trie whose order is not byte order, brought to byte order by a transform of its keys.

JAM before Gray Paper 0.4 read the least significant bit of each byte first. Stored under keys with the bits of each
byte reversed, its trie is a radix tree in flat order, and a scheme over the stored keys gives every published root.
Under plain keys it is not: `jam` gives other roots.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs import leaf_items, state_root
from proofs.schemes.jam import EMPTY, JAM, blake2b_256
from tests.properties.conformance import ALL_CHECKS, Check
from tests.properties.scheme_states import keys_of

REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def stored_key(key: bytes) -> bytes:
    """The key under which a leaf is kept; its own inverse."""
    return key.translate(REVERSED)


class OldJAM(JAM):
    """The trie of Gray Paper 0.2, over stored keys of 32 bytes: the same shape, other bits in the nodes."""

    name = "jam-gp0.2"
    capabilities = type(JAM.capabilities)(key_sizes=(32, 32), value_bytes_max=2**32 - 1)

    def check_leaf(self, key: bytes, value: bytes) -> None:
        super().check_leaf(key[:31] if len(key) == 32 else b"", value)

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        original = stored_key(key)[:31]
        if len(value) <= 32:
            node = bytes((0x01 | len(value) << 2,)) + original + value.ljust(32, b"\0")
        else:
            node = b"\x03" + original + blake2b_256(value)
        return blake2b_256(node)

    def branch(self, slots: Any, value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        left, right = (slot or EMPTY for slot in slots)
        return self.lift(blake2b_256(_branch(left, right)), key, start, depth)

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        for at in range(depth - 1, start - 1, -1):
            ref = blake2b_256(_branch(EMPTY, ref) if self.path.digit(key, at) else _branch(ref, EMPTY))
        return ref


def _branch(left: bytes, right: bytes) -> bytes:
    return bytes((left[0] & 0xFE,)) + left[1:] + right


@pytest.fixture
def vectors(data: Path) -> list[tuple[dict[bytes, bytes], bytes]]:
    cases = json.loads((data / "jam" / "trie_lsb_gp0.2.json").read_text())
    return [
        (
            {bytes.fromhex(key): bytes.fromhex(value) for key, value in case["input"].items()},
            bytes.fromhex(case["output"]),
        )
        for case in cases
    ]


def test_published_roots_under_stored_keys(vectors: list[tuple[dict[bytes, bytes], bytes]]) -> None:
    for leaves, root in vectors:
        stored = sorted((stored_key(key), value) for key, value in leaves.items())
        assert state_root(OldJAM(), leaf_items(stored)) == root
    assert len(vectors) == 11


def test_plain_keys_give_another_root(vectors: list[tuple[dict[bytes, bytes], bytes]]) -> None:
    same = [
        state_root(JAM(), leaf_items(sorted((key[:31], value) for key, value in leaves.items()))) == root
        for leaves, root in vectors
    ]
    assert same.count(True) == 1, "only the empty state has the same root in both"


def check_names() -> list[Check]:
    """A left reference has a free bit here too, which this test scheme does not guard: no tampering checks."""
    return [check for check in ALL_CHECKS if "changed_proof" not in check.__name__]


@pytest.mark.parametrize("check", check_names(), ids=lambda check: check.__name__.removeprefix("check_"))
def test_the_transformed_scheme_conforms(check: Check) -> None:
    @settings(max_examples=30)
    @given(state=st.dictionaries(keys_of(32), st.binary(max_size=40), max_size=8), seed=st.integers(0, 2**32))
    def run(state: dict[bytes, bytes], seed: int) -> None:
        check(OldJAM(), sorted(state.items()), random.Random(seed))

    run()
