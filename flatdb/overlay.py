"""The leaves as they would be after a write log, without writing it: a database merged with a pending log.

Pure iteration: one pass over both in key order, no leaf is kept. Whether the log may be applied is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator

from flatdb.leaves import LeafCursor, StandIn
from flatdb.types import WriteLog, prefix_end

__all__ = ["overlay"]


def overlay(
    leaves: LeafCursor, write_log: WriteLog, *, stand_in: StandIn | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) in key order after `write_log`, which is valid: sorted and unique, clears before writes.

    `stand_in`: as in `LeafCursor.items`; what the write log brings is yielded itself.
    """
    writes = iter(write_log.writes)
    pending = next(writes, None)
    for key, value in _survivors(leaves, write_log.clear, stand_in):
        while pending is not None and pending[0] < key:
            if pending[1] is not None:
                yield pending[0], pending[1]
            pending = next(writes, None)
        if pending is not None and pending[0] == key:
            continue  # replaced or deleted: the write is yielded, or dropped, when the scan has passed it
        yield key, value
    while pending is not None:
        if pending[1] is not None:
            yield pending[0], pending[1]
        pending = next(writes, None)


def _survivors(leaves: LeafCursor, clear: tuple[bytes, ...], stand_in: StandIn | None) -> Iterator[tuple[bytes, bytes]]:
    """Leaves under no cleared prefix. The cursor jumps over each prefix: what is cleared is never read."""
    start = b""
    for prefix in clear:
        if prefix < start:
            continue  # lies under a shorter prefix that has been passed
        yield from leaves.items(start, prefix, stand_in=stand_in)
        behind = prefix_end(prefix)
        if behind is None:
            return
        start = behind
    yield from leaves.items(start, stand_in=stand_in)
