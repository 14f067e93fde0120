"""Where a run of keys falls apart into subtrees: cuts made from keys alone, without hashing.

`pieces` names the maximal closed subtrees of at most so many leaves, in key order; folding them one by one and
then together hashes nothing twice. It serves the spine (proof reads fold one small piece) and, joined by
`subtree_cut`, the cut of a checkpoint that stays put when leaves elsewhere change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from proofs.path import Path

_OUTSIDE = -1


class Piece(NamedTuple):
    """Leaves [start, start + size) of the run: one closed subtree, or the value of a branch.

    `parent` is a number of the branch that it hangs under, the same for siblings of one run only.
    """

    start: int
    size: int
    parent: int


class _Open:
    """A branch whose last leaf is not yet known; `position` is where its pieces begin in the answer."""

    __slots__ = ("depth", "first", "number", "position")

    def __init__(self, depth: int, first: int, position: int, number: int) -> None:
        self.depth = depth
        self.first = first
        self.position = position
        self.number = number


def pieces(
    path: Path, keys: Iterable[bytes], leaves_max: int, before: bytes | None = None, after: bytes | None = None
) -> list[Piece]:
    """The fewest closed subtrees of at most `leaves_max` leaves that cover `keys` (strictly ascending).

    A subtree is closed when neither `before` nor `after`, the neighbours outside, lies in it. The walk is that of
    `fold`, with counts in place of hashes: when a branch completes and is small, it replaces its children.
    """
    parting = path.parting
    out: list[Piece] = []
    stack: list[_Open] = []
    numbers = iter(range(2**63))
    stream = iter(keys)
    key = next(stream, None)
    if key is None:
        return out
    above = left = _OUTSIDE if before is None else parting(before, key)
    index = 0
    while key is not None:
        following = next(stream, None)
        neighbour = after if following is None else following
        below = _OUTSIDE if neighbour is None else parting(key, neighbour)
        parent = max(above, below)
        if parent > _OUTSIDE and (not stack or stack[-1].depth < parent):
            stack.append(_Open(parent, index, len(out), next(numbers)))
        out.append(Piece(index, 1, stack[-1].number if stack else _OUTSIDE))
        while stack and stack[-1].depth > below:
            branch = stack.pop()
            if branch.depth <= left:
                continue
            parent = max(stack[-1].depth if stack else _OUTSIDE, below, left)
            if parent > _OUTSIDE and (not stack or stack[-1].depth < parent):
                stack.append(_Open(parent, branch.first, branch.position, next(numbers)))
            size = index + 1 - branch.first
            if size <= leaves_max:
                number = stack[-1].number if stack else _OUTSIDE
                out[branch.position :] = [Piece(branch.first, size, number)]
        left = min(left, below)
        above = below
        key = following
        index += 1
    return out


def subtree_cut(parts: Sequence[Piece], leaves_max: int) -> list[int]:
    """First leaf of each chunk: adjacent siblings joined while they hold at most `leaves_max` leaves together.

    A run below `leaves_max / 64` leaves is joined with the run before it if both fit, else with the one after, so
    that uneven states do not fall into crumbs; only then can a chunk exceed `leaves_max`, by less than 1/64.
    """
    runs: list[list[int]] = []
    parent = None
    for piece in parts:
        if piece.parent == parent and runs[-1][1] + piece.size <= leaves_max:
            runs[-1][1] += piece.size
        else:
            runs.append([piece.start, piece.size])
        parent = piece.parent
    joined: list[list[int]] = []
    crumb: list[int] | None = None
    for start, size in runs:
        if crumb is not None:
            start, size = crumb[0], crumb[1] + size
            crumb = None
        if size * 64 >= leaves_max:
            joined.append([start, size])
        elif joined and joined[-1][1] + size <= leaves_max:
            joined[-1][1] += size
        else:
            crumb = [start, size]
    if crumb is not None:
        if joined:
            joined[-1][1] += crumb[1]
        else:
            joined.append(crumb)
    return [start for start, _ in joined]
