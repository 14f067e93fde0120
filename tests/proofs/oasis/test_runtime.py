"""What a node tells about rounds: headers hash as the reference hashes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proofs.errors import MalformedProofError
from proofs.oasis.messages import EMPTY_HASH, IO, STATE, OasisRoot
from proofs.oasis.runtime import AnnotatedBlock, Block, GetBlockRequest, Header
from tests.oasis_cases import NAMESPACE, vectors

ZERO = Header(0, bytes(32), 0, 0, 0, bytes(32), bytes(32), bytes(32), bytes(32), bytes(32))


def test_header_hashes_are_those_of_the_reference(data: Path) -> None:
    found = vectors(data)
    assert ZERO.encoded_hash.hex() == found["block-header-empty"]["expected"]["hash"]
    fields = {
        name: value if isinstance(value, int) else bytes.fromhex(value)
        for name, value in found["block-header-populated"]["inputs"]["header"].items()
    }
    assert Header(**fields).encoded_hash.hex() == found["block-header-populated"]["expected"]["hash"]


def test_roots_of_a_round() -> None:
    header = replace(ZERO, namespace=NAMESPACE, round=7, state_root=b"s" * 32, io_root=EMPTY_HASH)
    assert header.root(STATE) == OasisRoot(NAMESPACE, 7, STATE, b"s" * 32)
    assert header.root(IO) == OasisRoot(NAMESPACE, 7, IO, EMPTY_HASH)


def test_blocks_come_back() -> None:
    block = AnnotatedBlock(Block(ZERO), 12)
    assert AnnotatedBlock.decode(block.encode()) == block
    assert GetBlockRequest.decode(GetBlockRequest(NAMESPACE, 3).encode()) == GetBlockRequest(NAMESPACE, 3)
    with pytest.raises(MalformedProofError):
        Block.decode(ZERO.encode())
