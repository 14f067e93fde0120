"""Leaves in runs that no cut crosses, each with the sizes that were measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from proofs import LeafRun, MalformedProofError
from sync.oasis.cuts import Cut
from sync.oasis.shape import Pair, Shape

RUN_LEAVES_MAX = 1 << 14
RUN_BYTES_MAX = 16 << 20
"""A run is worked at once, so it is bounded: memory is that of a few runs, whatever the chunk size."""


def runs(leaves: Iterable[Pair], shape: Shape, cuts: list[Cut]) -> Iterator[tuple[int, int, LeafRun]]:
    """(start, end, leaves [start, end)), in key order.

    Raises:
        MalformedProofError: other leaves than those that were measured.
    """
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
            yield at - len(keys), at, _checked(keys, values, shape, at)
            keys, values, size = [], [], 0
            if at == end:
                end = next(ends, 0)
    if keys:
        yield at - len(keys), at, _checked(keys, values, shape, at)
    if at != shape.count:
        raise MalformedProofError(f"{at} leaves, {shape.count} were measured")


def _checked(keys: list[bytes], values: list[bytes], shape: Shape, end: int) -> LeafRun:
    part = slice(end - len(keys), end)
    for sizes, column in ((shape.key_sizes, keys), (shape.value_sizes, values)):
        if sizes[part].tolist() != list(map(len, column)):
            raise MalformedProofError(f"leaves {part.start} to {end} are not those that were measured")
    return LeafRun(keys, values)
