"""The 16-ary accounts hash: published roots and account hashes, and the tree by definition."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import base58
from hypothesis import given
from hypothesis import strategies as st

from proofs.schemes.solana import AccountLeaf
from sidecar.importers.solana.accounts_hash import AccountsTree, account_hash


def root_of(leaves: list[bytes], fanout: int) -> bytes:
    tree = AccountsTree(fanout)
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def test_published_roots_and_account_hashes(data: Path) -> None:
    vectors = json.loads((data / "solana" / "vectors.json").read_text())
    for case in vectors["merkle"]:
        leaves = [bytes((case["pass"] * 10 + case["count"] + i + 1,)) * 32 for i in range(case["count"])]
        assert base58.b58encode(root_of(leaves, case["fanout"])).decode() == case["root_b58"]
    for case in vectors["accounts"]:
        owner, body = bytes.fromhex(case["owner"]), bytes.fromhex(case["data"])
        leaf = AccountLeaf(case["lamports"], owner, bool(case["executable"]), body).encode()
        computed = account_hash(bytes.fromhex(case["pubkey"]), case["rent_epoch"], leaf)
        assert base58.b58encode(computed).decode() == case["hash_b58"]


@given(st.integers(0, 300), st.sampled_from((2, 3, 16)))
def test_the_tree_is_its_definition(count: int, fanout: int) -> None:
    level = leaves = [index.to_bytes(32) for index in range(count)]
    while True:
        groups = [level[at : at + fanout] for at in range(0, len(level), fanout)] or [[]]
        level = [hashlib.sha256(b"".join(group)).digest() for group in groups]
        if len(level) == 1:
            break
    assert root_of(leaves, fanout) == level[0]
