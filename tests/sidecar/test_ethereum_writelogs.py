"""Recorded state changes as write logs; the shared development chain folds to every root on the way."""

import gzip
import json
from pathlib import Path

import pytest

from proofs import get_scheme, leaf_items, state_root
from sidecar.errors import InvalidImportError
from sidecar.importers.ethereum_writelogs import convert_writelogs

OWNER, SLOT, HASH = "aa" * 32, "bb" * 32, "cc" * 32


def convert(*blocks: object) -> list[object]:
    return list(convert_writelogs(json.dumps(blocks).encode()))


def test_fields() -> None:
    block = {
        "n": "7",
        "hash": HASH,
        "parentRoot": HASH,
        "root": "0x" + HASH,
        "accounts": {OWNER: "c0", "00" * 32: None},
        "slots": {OWNER: {SLOT: "01", "00" * 32: None}},
        "codes": {HASH: "6001"},
    }
    (write_log,) = convert_writelogs(json.dumps([block]).encode())
    owner, slot = bytes.fromhex(OWNER), bytes.fromhex(SLOT)
    assert write_log.height == 7
    assert write_log.root == write_log.parent_root == bytes.fromhex(HASH)
    assert write_log.writes == ((bytes(32), None), (owner, b"\xc0"), (owner + bytes(32), None), (owner + slot, b"\x01"))
    assert write_log.code == ((bytes.fromhex(HASH), b"\x60\x01"),)


def test_missing_maps_are_empty() -> None:
    (write_log,) = convert_writelogs(json.dumps([{"n": 1, "root": HASH}]).encode())
    assert (write_log.writes, write_log.code, write_log.parent_root) == ((), (), None)


@pytest.mark.parametrize(
    ("block", "where"),
    [
        ({"root": HASH}, "[0]"),
        ({"n": 1}, "[0]"),
        ({"n": 1, "root": HASH, "more": 1}, "[0]"),
        ({"n": "x", "root": HASH}, "[0].n"),
        ({"n": 2**63, "root": HASH}, "[0].n"),
        ({"n": 1, "root": "00"}, "[0].root"),
        ({"n": 1, "root": HASH, "accounts": {"00": None}}, "[0].accounts.00"),
        ({"n": 1, "root": HASH, "accounts": {OWNER: 5}}, f"[0].accounts.{OWNER}"),
        ({"n": 1, "root": HASH, "slots": {OWNER: {"00": "01"}}}, f"[0].slots.{OWNER}"),
        ({"n": 1, "root": HASH, "slots": {OWNER: []}}, f"[0].slots.{OWNER}"),
        ({"n": 1, "root": HASH, "codes": {HASH: "6"}}, f"[0].codes.{HASH}"),
        (5, "[0]"),
    ],
)
def test_refusals_name_the_place(block: object, where: str) -> None:
    with pytest.raises(InvalidImportError) as caught:
        convert(block)
    assert caught.value.where == where


def test_a_document_is_a_list() -> None:
    with pytest.raises(InvalidImportError):
        list(convert_writelogs(b"{}"))


def test_development_chain(data: Path) -> None:
    """301 heights of a canonical implementation, no account or slot ever deleted: a dict is the whole model."""
    document = gzip.decompress((data / "ethereum/devchain-writelogs-0-300.json.gz").read_bytes())
    scheme, leaves, heights = get_scheme("ethereum"), dict[bytes, bytes](), []
    for write_log in convert_writelogs(document):
        leaves.update((key, value) for key, value in write_log.writes if value is not None)
        heights.append(write_log.height)
        if write_log.height % 20 == 0:
            assert state_root(scheme, leaf_items(sorted(leaves.items()))) == write_log.root
    assert heights == list(range(301))
