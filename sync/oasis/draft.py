"""Chunks in draft: everything but the hashes of what they do not show, which the end of the read decides.

One read of the leaves. The entries of each chunk's own leaves go to a spool file; what stands in front of and behind
them is kept as parts, a position where a hash belongs. The same runs are folded at the same time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO

from proofs import Frontier, Kernel, LeafOrderError, LeafRun, MalformedProofError
from proofs.oasis.entries import EMBEDDED, LEFT, RIGHT, Open, entry
from proofs.oasis.node import NO_LEAF, encode_branch, encode_leaf, label
from proofs.schemes.mkvs import MKVS
from sync.monitor import MONITOR_NONE, Monitor
from sync.oasis.cuts import Cut
from sync.oasis.runs import runs
from sync.oasis.shape import Pair, Shape
from sync.oasis.siblings import Position

_FOLDS_MAX = 4
"""Runs that wait to be folded: memory is bounded by them."""
_SCHEME = MKVS()


@dataclass(slots=True)
class Draft:
    """One chunk. `own`: (offset, size) in the spool of its leaves' entries, with (offset, size) of the large ones."""

    index: int
    front: list[bytes | Position] = field(default_factory=list)
    own: list[tuple[int, int, list[tuple[int, int]]]] = field(default_factory=list)
    back: list[Position] = field(default_factory=list)


class _Branch:
    """A branch on the current path: end of its label, a key below it, its own entry, where the last leaf is."""

    __slots__ = ("end", "entry", "key", "side")

    def __init__(self, end: int, side: int, key: bytes, encoded: bytes) -> None:
        self.end, self.side, self.key, self.entry = end, side, key, encoded

    def child(self, side: int) -> Position:
        return _SCHEME.path.child(self.key, self.end, side), self.end + 1


class Drafter:
    """One read of the leaves. `frontiers` and `drafts` are whole when `read` has returned."""

    def __init__(self, shape: Shape, cuts: list[Cut], spool: IO[bytes], kernel: Kernel) -> None:
        self.drafts: list[Draft] = [Draft(index) for index in range(len(cuts))]
        self.frontiers: list[Frontier] = []
        self._shape = shape
        self._cuts = cuts
        self._spool = spool
        self._kernel = kernel
        self._path: list[_Branch] = []
        self._begins = {start: index for index, (start, _) in enumerate(cuts)}
        self._current: Draft | None = None

    def read(self, leaves: Iterable[Pair], monitor: Monitor = MONITOR_NONE) -> None:
        """Raises:
        MalformedProofError: other leaves than those that were measured.
        """
        folds: deque[Future[Frontier]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="fold") as pool:
            for before, (start, end, run), after in _neighbours(runs(leaves, self._shape, self._cuts)):
                folds.append(pool.submit(self._kernel.frontier, _SCHEME, run, before, after))
                self._draft(start, end, run)
                if len(folds) > _FOLDS_MAX:
                    self.frontiers.append(_result(folds.popleft()))
                monitor.advanced("fold", len(run))
            self.frontiers.extend(map(_result, folds))

    def _draft(self, start: int, end: int, run: LeafRun) -> None:
        inside = self._current is not None
        if not inside:
            if start:
                self._leave(self._shape.shared[start], run.keys[0])
            if start in self._begins:
                self._current = self.drafts[self._begins[start]]
                self._current.front = _front(self._path)
        part = slice(start, end)
        opened = self._shape.opened[part]
        ends = self._shape.ends[self._shape.ends_from(start) : self._shape.ends_from(end)]
        above = [(branch.end, branch.side) for branch in self._path]
        plain, large, path = self._kernel.oasis_entries(
            run, self._shape.shared[part], opened, ends, above, inside=inside
        )
        self._path = _resumed(self._path, path, run)
        if self._current is None:
            return
        self._current.own.append((self._spool.tell(), len(plain), large))
        self._spool.write(plain)
        if end == self._cuts[self._current.index][1]:
            self._current.back = _back(self._path)
            self._current = None

    def _leave(self, common: int, key: bytes) -> None:
        """Go on to `key` without writing."""
        while self._path[-1].end > common:
            self._path.pop()
        top = self._path[-1]
        top.side = RIGHT if top.side == LEFT else _SCHEME.path.digit(key, common)


def _neighbours(
    stream: Iterator[tuple[int, int, LeafRun]],
) -> Iterator[tuple[bytes | None, tuple[int, int, LeafRun], bytes | None]]:
    """Each run between the last key before it and the first key behind it."""
    before: bytes | None = None
    current = next(stream, None)
    while current is not None:
        following = next(stream, None)
        yield before, current, following[2].keys[0] if following else None
        before, current = current[2].keys[-1], following


def _result(future: Future[Frontier]) -> Frontier:
    try:
        return future.result()
    except LeafOrderError as error:
        raise MalformedProofError(f"leaves that are not those that were measured: {error}") from error


def _front(path: list[_Branch]) -> list[bytes | Position]:
    """The branches above a chunk's first leaf, each with what is left of it."""
    parts: list[bytes | Position] = []
    for branch in path:
        parts.append(branch.entry)
        if branch.side == RIGHT:
            parts.append(branch.child(LEFT))
    return parts


def _back(path: list[_Branch]) -> list[Position]:
    """What is right of a chunk's last leaf, innermost first."""
    parts: list[Position] = []
    for branch in reversed(path):
        if branch.side == EMBEDDED:
            parts.append(branch.child(LEFT))
        if branch.side != RIGHT:
            parts.append(branch.child(RIGHT))
    return parts


def _resumed(before: list[_Branch], path: list[Open], run: LeafRun) -> list[_Branch]:
    """The path behind a run: branches from before it, and those that began in it."""
    found: list[_Branch] = []
    for place, (end, side, leaf) in enumerate(path):
        if leaf < 0:
            branch = before[place]
            branch.side = side
        else:
            key = run.keys[leaf]
            parent = found[-1].end if found else 0
            embedded = encode_leaf(key, run.values[leaf]) if len(key) << 3 == end else NO_LEAF
            encoded = entry(b"\1" + encode_branch(end - parent, label(key, parent, end), embedded))
            branch = _Branch(end, side, key, encoded)
        found.append(branch)
    return found
