"""A real testnet manifest of 93,638 account files, to the last byte, and its damaged twins."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sidecar.errors import InvalidImportError
from sidecar.importers.solana.manifest import parse_manifest


def test_a_real_testnet_manifest(data: Path) -> None:
    packed = (data / "solana" / "testnet_manifest_417955321.bin.gz").read_bytes()
    manifest = parse_manifest("manifest", gzip.decompress(packed))
    assert (manifest.slot, len(manifest.files)) == (417955321, 93_638)
    assert manifest.bank_hash() == manifest.hash


def test_a_manifest_that_is_cut_off_or_goes_on(data: Path) -> None:
    whole = gzip.decompress((data / "solana" / "testnet_manifest_417955321.bin.gz").read_bytes())
    for damaged in (b"", whole[:7], whole[: len(whole) // 3], whole[:-1], whole + b"\0"):
        with pytest.raises(InvalidImportError):
            parse_manifest("manifest", damaged)


def test_a_count_that_announces_more_than_there_is() -> None:
    """Refused before anything loops or allocates."""
    with pytest.raises(InvalidImportError):
        parse_manifest("manifest", bytes(9) + (2**63).to_bytes(8, "little") + bytes(1000))
