"""The demo's generated chains: every chapter leads from root to root, with what its caption promises."""

from __future__ import annotations

from itertools import islice

import pytest

from proofs import get_scheme, leaf_items, state_root
from sidecar.demo.chains import CHAINS, chain_chapters


@pytest.mark.parametrize("name", CHAINS)
def test_chapters_follow_each_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.demo.chains.LEAVES", 300)
    scheme = get_scheme(name)
    leaves: dict[bytes, bytes] = {}
    root = scheme.empty_root
    for chapter in islice(chain_chapters(name), 4):
        write_log = chapter.write_log
        assert write_log.parent_root == root
        for key, value in write_log.writes:
            if value is None:
                del leaves[key]
            else:
                scheme.check_leaf(key, value)
                leaves[key] = value
        root = state_root(scheme, leaf_items(sorted(leaves.items())))
        assert write_log.root == root
    assert len(leaves) == 300
