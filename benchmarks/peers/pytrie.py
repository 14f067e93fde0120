"""The PyPI package `trie` (py-trie): inserts into a dict of nodes, pruning what is replaced."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any


def fold(leaves: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Insert the leaves one by one; it has no other way."""
    try:
        from trie.hexary import HexaryTrie
    except ImportError as error:
        return {"who": "py-trie", "error": str(error)}
    began = time.process_time()
    trie = HexaryTrie({}, prune=True)
    for key, value in leaves:
        trie[key] = value
    seconds = time.process_time() - began
    count = len(leaves)
    return {
        "who": "py-trie",
        "scheme": "mpt",
        "leaves": count,
        "cpu_seconds": seconds,
        "leaves_per_second": count / seconds,
    }
