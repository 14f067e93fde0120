"""`solana-lattice`: published account elements, leaves that no bank holds, and what a sum does not prove."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import InvalidLeafError, MalformedProofError, RangeProof, get_scheme, lattice, leaf_items, verify_range
from proofs.leafrun import leaf_run
from proofs.schemes.solana import AccountLeaf

SCHEME = get_scheme("solana-lattice")
KEY = b"\7" * 32


def account(*, lamports: int = 1, owner: bytes = bytes(32), executable: bool = False, data: bytes = b"") -> bytes:
    return AccountLeaf(lamports, owner, executable, data).encode()


def test_published_account_elements(data: Path) -> None:
    for case in json.loads((data / "solana/vectors.json").read_text())["accounts"]:
        value = account(
            lamports=case["lamports"],
            owner=bytes.fromhex(case["owner"]),
            executable=bool(case["executable"]),
            data=bytes.fromhex(case["data"]),
        )
        element = SCHEME.leaf(bytes.fromhex(case["pubkey"]), value, 0)
        if "lt" in case:
            assert list(struct.unpack("<1024H", element)) == case["lt"]
        if "lt_checksum" in case:
            assert lattice.checksum(element).hex() == case["lt_checksum"]


@given(
    st.builds(
        AccountLeaf,
        lamports=st.integers(1, 2**64 - 1),
        owner=st.binary(min_size=32, max_size=32),
        executable=st.booleans(),
        data=st.binary(max_size=40),
    )
)
def test_an_account_survives_its_encoding(leaf: AccountLeaf) -> None:
    SCHEME.check_leaf(KEY, leaf.encode())
    assert AccountLeaf.decode(leaf.encode()) == leaf


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(KEY, account(lamports=0), id="no-lamports"),
        pytest.param(KEY, account()[:8] + b"\2" + bytes(32), id="executable-2"),
        pytest.param(KEY, account()[:-1], id="too-short"),
        pytest.param(KEY, account(data=bytes(10 * 2**20 + 1)), id="too-much-data"),
        pytest.param(KEY[:-1], account(), id="key-31"),
        pytest.param(KEY + b"\0", account(), id="key-33"),
    ],
)
def test_a_leaf_that_no_bank_holds_is_refused(key: bytes, value: bytes) -> None:
    with pytest.raises(InvalidLeafError):
        SCHEME.check_leaf(key, value)


def test_a_completed_sum_proves_nothing() -> None:
    """The forgery that an opaque part would allow: any leaf, and the rest as whatever is missing to the total."""
    honest = [(bytes((first,)) * 32, account(lamports=first)) for first in (0x10, 0x20)]
    whole = lattice.total(SCHEME.leaf(key, value, 0) for key, value in honest)
    lie = (honest[0][0], account(lamports=10**9))
    rest = lattice.subtract(whole, SCHEME.leaf(*lie, 0))
    forged = RangeProof(b"", b"\x20", (), ((0, 2, rest),))  # type: ignore[arg-type]
    with pytest.raises(MalformedProofError):
        verify_range(SCHEME, lattice.checksum(whole), forged, leaf_run([lie]))
    assert SCHEME.root(whole) == lattice.checksum(lattice.total(SCHEME.leaf(*leaf, 0) for leaf in honest))
    assert list(leaf_items(honest))
