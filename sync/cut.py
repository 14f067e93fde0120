"""Cut: which leaves go into which chunk, as one ordered pass over a frozen view.

Both cuts first fall into pieces (every N leaves; or runs of sibling subtrees, found from keys alone), then a piece
whose leaf run would exceed the byte cap is split again, in key order and by itself: the pieces after it stay put.
Reads each value once and holds one chunk at a time. Ordering rule: key order, nothing left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise, repeat
from typing import NamedTuple, Protocol

from flatdb import HeightRecord
from proofs import LeafRun, Scheme
from proofs.cut import pieces, subtree_cut
from sync.manifest import RANGE, Cut

__all__ = ["CutRun", "LeafView", "code_runs", "cut_runs"]

RUN_BYTES = 4
LEAF_BYTES = 8
"""Bytes of a leaf run beside keys and values: for the run, and for each leaf."""


class LeafView(Protocol):
    """What a checkpoint needs of `flatdb.FrozenView`: the leaves of one height, immovable while read."""

    @property
    def head(self) -> HeightRecord | None: ...

    def items(self) -> Iterator[tuple[bytes, bytes]]: ...

    def keys(self) -> Iterator[bytes]: ...

    def blob(self, digest: bytes) -> bytes | None: ...


class CutRun(NamedTuple):
    """The leaves of one chunk and the keys just outside it (None at the ends of the state)."""

    before: bytes | None
    run: LeafRun
    after: bytes | None


def cut_runs(view: LeafView, scheme: Scheme, cut: Cut) -> Iterator[CutRun]:
    """All leaves, chunk by chunk. A state without leaves is one empty run."""
    return split(view.items(), piece_sizes(view.keys(), scheme, cut), cut.chunk_bytes_max)


def piece_sizes(keys: Iterable[bytes], scheme: Scheme, cut: Cut) -> Iterator[int]:
    """Leaves in each piece, in key order; they cover all keys. Only the subtree cut reads `keys`."""
    if cut.kind == RANGE:
        return repeat(cut.chunk_leaves)
    parts = pieces(scheme.path, keys, cut.chunk_leaves)
    total = parts[-1].start + parts[-1].size if parts else 0
    return (end - start for start, end in pairwise(chain(subtree_cut(parts, cut.chunk_leaves), (total,))))


def split(leaves: Iterable[tuple[bytes, bytes]], sizes: Iterator[int], bytes_max: int) -> Iterator[CutRun]:
    """Cut `leaves` into pieces of `sizes` leaves, and each piece where it would exceed `bytes_max`.

    A single leaf may exceed it. Looks one leaf ahead, so that every run knows its neighbours.
    """
    before: bytes | None = None
    keys: list[bytes] = []
    values: list[bytes] = []
    room = 0
    size = RUN_BYTES
    for key, value in leaves:
        leaf_size = LEAF_BYTES + len(key) + len(value)
        if keys and (not room or size + leaf_size > bytes_max):
            yield CutRun(before, LeafRun(keys, values), key)
            before, keys, values, size = keys[-1], [], [], RUN_BYTES
        if not room:
            room = next(sizes)
        keys.append(key)
        values.append(value)
        size += leaf_size
        room -= 1
    yield CutRun(before, LeafRun(keys, values), None)


def code_runs(code: Iterable[tuple[bytes, bytes]], bytes_max: int) -> Iterator[LeafRun]:
    """(hash, blob) pairs in hash order as runs of at most `bytes_max` bytes, or of one blob."""
    return (run for _, run, _ in split(code, repeat(_ENDLESS), bytes_max) if run)


_ENDLESS = 2**63


def run_size(run: LeafRun) -> int:
    """Size of `run.encode()` in bytes."""
    return RUN_BYTES + LEAF_BYTES * len(run) + _total(run.keys) + _total(run.values)


def _total(column: Sequence[bytes]) -> int:
    return sum(map(len, column))
