"""The hashes that chunks name: subtrees left and right of every cut.

One read of the leaves folds the whole state, run by run; no run crosses a cut. A subtree that a chunk names lies
wholly outside the chunk and next to it, so it is either closed inside one run, and then in that run's frontier, or
closed by the fold that joins the frontiers. Both are remembered by position; nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

from proofs import Kernel, LeafRun, fold, get_kernel
from proofs.errors import LeafOrderError, MalformedProofError
from proofs.fold import NODE, Item, frontier_root
from proofs.schemes.mkvs import MKVS
from sync.oasis.cuts import Cut
from sync.oasis.shape import Pair, Shape

Siblings = dict[tuple[bytes, int], bytes]
"""(first bits of the key, zero-padded; how many bits) -> hash of the subtree there. No entry: no subtree."""

RUN_LEAVES_MAX = 1 << 14
RUN_BYTES_MAX = 16 << 20
"""A run is folded at once, so it is bounded: memory is that of two runs, whatever the chunk size."""


class _Remembering(MKVS):
    """The scheme, keeping the hash of every branch that a fold closes with it."""

    def __init__(self) -> None:
        self.found: Siblings = {}

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        ref = super().branch(slots, value, key, start, depth)
        self.found[self.path.bound(key, start), start] = ref
        return ref


def find_siblings(
    leaves: Iterable[Pair], shape: Shape, cuts: list[Cut], *, kernel: Kernel | None = None
) -> tuple[bytes, Siblings]:
    """Root hash of the leaves, and what the chunks need of it.

    Raises:
        MalformedProofError: other leaves than those that were measured.
    """
    scheme = _Remembering()
    frontier = fold(scheme, _frontiers(leaves, shape, cuts, kernel or get_kernel(), scheme.found))
    return frontier_root(scheme, frontier), scheme.found


def _frontiers(
    leaves: Iterable[Pair], shape: Shape, cuts: list[Cut], kernel: Kernel, found: Siblings
) -> Iterator[Item]:
    """Frontier items of all runs, in key order."""
    plain = MKVS()
    before: bytes | None = None
    for run, following in pairwise(chain(_runs(leaves, shape, cuts), [None])):
        assert run is not None
        after = following.keys[0] if following is not None else None
        try:
            frontier = kernel.frontier(plain, run, before, after)
        except LeafOrderError as error:
            raise MalformedProofError(f"leaves that are not those that were measured: {error}") from error
        for item in frontier:
            if item[2] == NODE:
                found[plain.path.bound(item[0], item[3]), item[3]] = item[1]
            yield item
        before = run.keys[-1]


def _runs(leaves: Iterable[Pair], shape: Shape, cuts: list[Cut]) -> Iterator[LeafRun]:
    """The leaves in runs, each ended by a cut or by a bound, each with the sizes that were measured."""
    ends = iter(sorted({bound for cut in cuts for bound in cut} - {0}))
    end = next(ends, 0)
    keys: list[bytes] = []
    values: list[bytes] = []
    at = size = 0
    for key, value in leaves:
        keys.append(key)
        values.append(value)
        at += 1
        size += len(value)
        if at == end or len(keys) == RUN_LEAVES_MAX or size > RUN_BYTES_MAX:
            yield _checked(keys, values, shape, at)
            keys, values, size = [], [], 0
            if at == end:
                end = next(ends, 0)
    if keys:
        yield _checked(keys, values, shape, at)
    if at != shape.count:
        raise MalformedProofError(f"{at} leaves, {shape.count} were measured")


def _checked(keys: list[bytes], values: list[bytes], shape: Shape, end: int) -> LeafRun:
    part = slice(end - len(keys), end)
    for sizes, column in ((shape.key_sizes, keys), (shape.value_sizes, values)):
        if sizes[part].tolist() != list(map(len, column)):
            raise MalformedProofError(f"leaves {part.start} to {end} are not those that were measured")
    return LeafRun(keys, values)
