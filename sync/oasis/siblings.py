"""The hashes that chunks name: subtrees left and right of every cut.

No run crosses a cut. A subtree that a chunk names lies wholly outside the chunk and next to it, so it is either
closed inside one run, and then in that run's frontier, or closed by the fold that joins the frontiers. Both are
remembered by position; nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from proofs import NODE, Frontier, Item, fold, frontier_root
from proofs.schemes.mkvs import MKVS

Position = tuple[bytes, int]
"""First bits of the keys below, zero-padded to bytes; how many bits."""
Siblings = dict[Position, bytes]
"""Position -> hash of the subtree there. No entry: no subtree."""


class _Remembering(MKVS):
    """The scheme, keeping the hash of every branch that a fold closes with it."""

    def __init__(self) -> None:
        self.found: Siblings = {}

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        ref = super().branch(slots, value, key, start, depth)
        self.found[self.path.bound(key, start), start] = ref
        return ref


def find_siblings(frontiers: Iterable[Frontier]) -> tuple[bytes, Siblings]:
    """Root hash of the state that the frontiers of all runs make up, and what the chunks need of it."""
    scheme = _Remembering()

    def items() -> Iterator[Item]:
        for frontier in frontiers:
            for item in frontier:
                if item[2] == NODE:
                    scheme.found[scheme.path.bound(item[0], item[3]), item[3]] = item[1]
                yield item

    return frontier_root(scheme, fold(scheme, items())), scheme.found
