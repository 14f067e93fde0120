"""The hashes that chunks name: subtrees left and right of every cut.

One read of the leaves folds the whole state. Of all hashes on the way only the root and those next to a
chunk's boundary paths are kept: about two for each level of the trie and chunk. A branch is named by its
first leaf and the end of its label, which no other branch shares.
"""

from __future__ import annotations

from collections.abc import Iterable

from proofs.errors import MalformedProofError
from proofs.oasis.messages import EMPTY_HASH
from proofs.oasis.node import branch_hash, label, leaf_hash
from sync.oasis.cuts import Cut
from sync.oasis.shape import Pair, Shape

LEFT, RIGHT, EMBEDDED = 0, 1, -1
Siblings = dict[tuple[int, int, int], bytes]
"""(first leaf of the branch, end of its label, side) -> hash of that child. No entry: no child."""


class _Branch:
    """A branch on the current path. `side` is where the current leaf is; `wanted` the sides to remember."""

    __slots__ = ("children", "end", "first", "key", "side", "wanted")

    def __init__(self, end: int, first: int, key: bytes) -> None:
        self.end, self.first, self.key = end, first, key
        self.side = LEFT
        self.wanted = 0
        self.children = [EMPTY_HASH, EMPTY_HASH, EMPTY_HASH]  # left, right, embedded (index -1)


def find_siblings(leaves: Iterable[Pair], shape: Shape, cuts: list[Cut]) -> tuple[bytes, Siblings]:
    """Root hash of the leaves, and what the chunks need of it.

    Raises:
        MalformedProofError: other leaves than those that were measured.
    """
    starts, lasts = {start for start, _ in cuts}, {end - 1 for _, end in cuts}
    siblings: Siblings = {}
    path: list[_Branch] = []
    root = EMPTY_HASH
    shared, keys, values, opened, ends = (
        shape.shared,
        shape.key_sizes,
        shape.value_sizes,
        shape.opened,
        shape.ends,
    )
    at = index = 0
    for index, (key, value) in enumerate(leaves, 1):
        leaf = index - 1
        if index > shape.count or len(key) != keys[leaf] or len(value) != values[leaf]:
            raise MalformedProofError(f"leaf {leaf} is not the one that was measured")
        if leaf:
            _close(path, shared[leaf], siblings)
            top = path[-1]
            top.side = RIGHT if top.side == LEFT else key[top.end >> 3] >> (7 - (top.end & 7)) & 1
        for _ in range(opened[leaf]):
            path.append(_Branch(ends[at], leaf, key))
            at += 1
        if not path:
            root = leaf_hash(key, value)
            continue
        if len(key) << 3 == path[-1].end:
            path[-1].side = EMBEDDED
        path[-1].children[path[-1].side] = leaf_hash(key, value)
        if leaf in starts:
            for branch in path:
                if branch.side == RIGHT and branch.children[LEFT] is not EMPTY_HASH:
                    siblings[branch.first, branch.end, LEFT] = branch.children[LEFT]
        if leaf in lasts:
            for branch in path:
                branch.wanted |= (2, 0, 3)[branch.side]  # by side: left, right, embedded
    if index != shape.count:
        raise MalformedProofError(f"{index} leaves, {shape.count} were measured")
    return _close(path, -1, siblings) or root, siblings


def _close(path: list[_Branch], common: int, siblings: Siblings) -> bytes | None:
    """Hash the branches that end behind `common`; give back the root hash when none is left."""
    while path and path[-1].end > common:
        branch = path.pop()
        start = path[-1].end if path else 0
        left, right, embedded = branch.children
        digest = branch_hash(branch.end - start, label(branch.key, start, branch.end), embedded, left, right)
        if branch.wanted:
            for side in (LEFT, RIGHT):
                if branch.wanted >> side & 1 and branch.children[side] is not EMPTY_HASH:
                    siblings[branch.first, branch.end, side] = branch.children[side]
        if not path:
            return digest
        path[-1].children[path[-1].side] = digest
    return None
