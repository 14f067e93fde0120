"""Leaves: in which families a leaf lies, and how both are read as one.

A leaf lies in `leaves`, or, where its value is large and its hash is what counts (`ValuesApart`), in two others: the
hash in `value_hashes`, the value in `values`. Whoever only folds leaves then reads a small hash instead of a large
value. INVARIANT: a key is in `leaves` or in both others, never in all three.

The families say for themselves where a leaf is, so `bytes_min` may change from one opening to the next. Mirrors that
keep no values apart pay nothing for this: one family, one cursor, no lock.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Final

from flatdb.cursor import Cursor
from flatdb.store import LEAVES, VALUE_HASHES, VALUES, Batch, Store, check_ascending
from flatdb.types import ValuesApart

__all__ = ["LeafCursor", "Leaves", "StandIn"]

StandIn = Callable[[bytes], bytes]
"""Makes what a pass yields in place of a value that is kept apart, from its hash."""

_APART: Final = (VALUE_HASHES, VALUES)

Leaf = tuple[bytes, bytes]


class LeafCursor:
    """The leaves as they were when it was opened. One pass at a time; belongs to one thread at a time."""

    def __init__(self, near: Cursor, hashes: Cursor | None = None, values: Cursor | None = None) -> None:
        self._near = near
        self._hashes = hashes
        self._values = values

    def items(self, start: bytes = b"", end: bytes | None = None, *, stand_in: StandIn | None = None) -> Iterator[Leaf]:
        """(key, value) with start <= key < end, in key order. With `stand_in`, no value that is apart is read."""
        near = self._near.items(start, end)
        if self._hashes is None or self._values is None:
            return near
        if stand_in is None:
            return _merged(near, self._values.items(start, end))
        return _merged(near, ((key, stand_in(digest)) for key, digest in self._hashes.items(start, end)))

    def keys(self, start: bytes = b"", end: bytes | None = None) -> Iterator[bytes]:
        """As `items`, without the values."""
        near = self._near.keys(start, end)
        return near if self._hashes is None else heapq.merge(near, self._hashes.keys(start, end))

    def get(self, key: bytes) -> bytes | None:
        """The value of exactly this key."""
        value = self._near.get(key)
        return self._values.get(key) if value is None and self._values is not None else value

    def close(self) -> None:
        """End the pass that is under way. Idempotent."""
        for cursor in (self._near, self._hashes, self._values):
            if cursor is not None:
                cursor.close()


class Leaves:
    """The leaves of one Store. Reads from any thread; what goes into a batch, from the writer's."""

    def __init__(self, store: Store, apart: ValuesApart | None = None) -> None:
        self._store = store
        self._apart = apart
        self._spread = apart is not None or next(store.items(VALUES), None) is not None

    @property
    def families(self) -> tuple[str, ...]:
        """Every family that a leaf of this mirror may lie in."""
        return (LEAVES, *_APART) if self._spread else (LEAVES,)

    def cursor(self) -> LeafCursor:
        """A cursor fixed at this moment."""
        return LeafCursor(*self._store.cursors(*self.families))

    def get(self, key: bytes) -> bytes | None:
        """One leaf's value."""
        value = self._store.get(LEAVES, key)
        if value is not None or not self._spread:
            return value
        return self._store.get_first((VALUES, LEAVES), key)

    def put(self, batch: Batch, key: bytes, value: bytes) -> None:
        """Set a leaf. Reads where it lies now, and only in a mirror that keeps values apart."""
        apart = self._apart
        if apart is not None and len(value) >= apart.bytes_min:
            batch.put(VALUE_HASHES, key, apart.hash(value))
            batch.put(VALUES, key, value)
            if self._store.get(LEAVES, key) is not None:
                batch.delete(LEAVES, key)
        else:
            batch.put(LEAVES, key, value)
            self._delete_apart(batch, key)

    def delete(self, batch: Batch, key: bytes) -> None:
        """Delete a leaf, wherever it lies."""
        batch.delete(LEAVES, key)
        self._delete_apart(batch, key)

    def clear(self, batch: Batch, start: bytes, end: bytes | None) -> None:
        """Delete every leaf with start <= key < end; families with nothing there are left alone."""
        for family in self.families:
            if next(self._store.items(family, start, end), None) is not None:
                batch.delete_range(family, start, end)

    def ingest(self, keys: Sequence[bytes], values: Sequence[bytes], scratch: Path) -> None:
        """Bulk-load strictly ascending leaves whose keys lie in no family, or there with these very values.

        `scratch`: where table files are made. Raises as `Store.ingest`.
        """
        if self._apart is None:
            self._store.ingest(LEAVES, keys, values, scratch)
            return
        check_ascending(keys)
        is_far = [len(value) >= self._apart.bytes_min for value in values]
        far_keys, far = list(compress(keys, is_far)), list(compress(values, is_far))
        self._store.ingest(VALUE_HASHES, far_keys, list(map(self._apart.hash, far)), scratch)
        self._store.ingest(VALUES, far_keys, far, scratch)
        is_near = list(map(not_, is_far))
        self._store.ingest(LEAVES, list(compress(keys, is_near)), list(compress(values, is_near)), scratch)

    def _delete_apart(self, batch: Batch, key: bytes) -> None:
        """A mark of deletion only where there is something to delete: scans have to step over each of them."""
        if self._spread and self._store.get(VALUE_HASHES, key) is not None:
            for family in _APART:
                batch.delete(family, key)


def _merged(near: Iterator[Leaf], far: Iterator[Leaf]) -> Iterator[Leaf]:
    """Two streams in key order that share no key, as one."""
    pending = next(far, None)
    for leaf in near:
        while pending is not None and pending[0] < leaf[0]:
            yield pending
            pending = next(far, None)
        yield leaf
    if pending is not None:
        yield pending
        yield from far
