"""The entries of a version 0 proof that shows a run of leaves: the hot loop of Oasis checkpoints.

Written in order as the leaves go by: what neighbours share says which branches are left and which change sides, the
shape says which branches begin at each leaf. The definition; the native kernel has its twin (`proofs.kernel`).
"""

from __future__ import annotations

from collections.abc import Sequence

from proofs.leafrun import LeafRun
from proofs.oasis.node import NO_LEAF, encode_branch, encode_leaf, label

LEFT, RIGHT, EMBEDDED = 0, 1, -1
ITEM_BYTES_SMALL = 65536
"""Items up to this size may be joined: how they are framed does not depend on where they meet."""
NULL = b"\xf6"

Open = tuple[int, int, int]
"""A branch still open: end of its label, side of the last leaf, its first leaf (index in the run; -1: before it)."""
Entries = tuple[bytes, list[tuple[int, int]], list[Open]]
"""CBOR items joined; (offset, size) of every item larger than ITEM_BYTES_SMALL; the path after the last leaf."""


def write_entries(
    run: LeafRun,
    shared: Sequence[int],
    opened: Sequence[int],
    ends: Sequence[int],
    path: Sequence[tuple[int, int]],
    *,
    inside: bool,
) -> Entries:
    """Entries of the run's leaves and of every branch that begins among them.

    `shared`, `opened`: a number for each leaf; `ends`: as many as `opened` add up to. `path`: branches open above the
    first leaf, outermost first, as (end, side). `inside`: the leaf before the run is shown too, so leaving it is
    written as well; else `path` is that of the first leaf already.
    """
    parts: list[bytes] = []
    stack = [[end, side, -1] for end, side in path]
    at = 0
    for leaf, (key, value) in enumerate(run):
        if leaf or inside:
            _move(stack, shared[leaf], key, parts)
        encoded = encode_leaf(key, value)
        parent = stack[-1][0] if stack else 0
        embedded = False
        for end in ends[at : at + opened[leaf]]:
            embedded = len(key) << 3 == end
            branch = encode_branch(end - parent, label(key, parent, end), encoded if embedded else NO_LEAF)
            parts.append(entry(b"\1" + branch))
            stack.append([end, EMBEDDED if embedded else LEFT, leaf])
            parent = end
        at += opened[leaf]
        if not embedded:
            parts.append(entry(b"\1" + encoded))
    return b"".join(parts), _large(parts), [(end, side, leaf) for end, side, leaf in stack]


def _move(stack: list[list[int]], common: int, key: bytes, parts: list[bytes]) -> None:
    """Leave the branches that end behind `common`, and change sides in the one that ends there."""
    while stack[-1][0] > common:
        if stack.pop()[1] != RIGHT:
            parts.append(NULL)  # it had no right child
    top = stack[-1]
    if top[1] == LEFT:
        top[1] = RIGHT
        return
    top[1] = key[common >> 3] >> (7 - (common & 7)) & 1
    if top[1] == RIGHT:
        parts.append(NULL)  # it had no left child


def _large(parts: list[bytes]) -> list[tuple[int, int]]:
    found, offset = [], 0
    for part in parts:
        if len(part) > ITEM_BYTES_SMALL:
            found.append((offset, len(part)))
        offset += len(part)
    return found


def entry(data: bytes) -> bytes:
    """A proof entry as one canonical CBOR byte string."""
    size = len(data)
    if size < 24:
        return b"%c%b" % (0x40 + size, data)
    if size < 1 << 8:
        return b"\x58%c%b" % (size, data)
    if size < 1 << 16:
        return b"\x59%b%b" % (size.to_bytes(2), data)
    return b"\x5a%b%b" % (size.to_bytes(4), data)
