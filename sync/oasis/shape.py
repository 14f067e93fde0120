"""The shape of an Oasis trie, from keys and value sizes alone.

Where neighbouring keys part fixes every node, and with the sizes of the leaves every size that the chunkers
go by. `measure` reads the leaves once and keeps 12 bytes of each:

    shared       u16   bits that the key shares with the one before it
    key_sizes    u16
    value_sizes  u32
    opened       u16   how many branches have this leaf as their first
    ends         u16   where these branches end, outermost first (there are fewer branches than leaves)

Past a budget the columns live in an unlinked temporary file instead of memory.
"""

from __future__ import annotations

import mmap
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Literal

from proofs.errors import LeafOrderError
from proofs.schemes.mkvs import MKVS

Pair = tuple[bytes, bytes]

BYTES_PER_LEAF = 12
SPILL_BYTES = 256 << 20
"""Default budget of the columns in memory: about 20 million leaves."""
_STRIDE = 1024  # leaves between two remembered positions, and in one block minimum

_SCHEME = MKVS()


class Column:
    """Numbers appended in turn; the start of the column goes to a file once it outgrows its budget."""

    def __init__(self, typecode: Literal["H", "I"], budget_bytes: int, directory: Path | None) -> None:
        self.typecode = typecode
        self.tail = array(typecode)
        self._budget = budget_bytes
        self._directory = directory
        self._file: IO[bytes] | None = None

    def spill(self) -> None:
        """Move what is in memory to the file, if it is over the budget."""
        if self._file is None:
            if len(self.tail) * self.tail.itemsize <= self._budget:
                return
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - until it is mapped
        self.tail.tofile(self._file)
        del self.tail[:]

    def freeze(self) -> memoryview:
        """The whole column, read-only."""
        if self._file is None:
            return memoryview(self.tail).toreadonly()
        with self._file as file:
            self.tail.tofile(file)
            file.flush()
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return memoryview(mapped).cast(self.typecode)


class Shape:
    """Columns of a measured state. Leaves are named by their index in key order."""

    def __init__(
        self, columns: tuple[memoryview, memoryview, memoryview], opened: memoryview, ends: memoryview
    ) -> None:
        self.shared, self.key_sizes, self.value_sizes = columns
        self.opened, self.ends = opened, ends
        self.count = len(self.key_sizes)
        self._positions = self._sample()
        self._minima: array[int] | None = None

    def _sample(self) -> array[int]:
        positions, total = array("Q"), 0
        for start in range(0, self.count, _STRIDE):
            positions.append(total)
            total += sum(self.opened[start : start + _STRIDE])
        return positions

    def ends_from(self, leaf: int) -> int:
        """Where in `ends` the branches opened at `leaf` begin."""
        if leaf >= self.count:
            return len(self.ends)
        block = leaf // _STRIDE
        return self._positions[block] + sum(self.opened[block * _STRIDE : leaf])

    def leaf_bytes(self, leaf: int) -> int:
        """Size of the leaf's own proof entry."""
        return 8 + self.key_sizes[leaf] + self.value_sizes[leaf]

    def branch(self, first: int, end: int) -> tuple[int, bool, int | None]:
        """The branch over leaves [first, end), at least two: where its label ends, whether its first leaf is
        embedded, and the first leaf of its right child if it has two."""
        depth = self._least(first + 1, end)
        embedded = self.key_sizes[first] * 8 == depth
        parts = self._find(depth, first + 1 + embedded, end)
        return depth, embedded, parts

    def _least(self, start: int, end: int) -> int:
        """min(shared[start:end]), by block minima."""
        if self._minima is None:
            self._minima = array("H", (min(self.shared[at : at + _STRIDE]) for at in range(0, self.count, _STRIDE)))
        low, high = -(-start // _STRIDE), end // _STRIDE
        if low >= high:
            return min(self.shared[start:end])
        edges = *self.shared[start : low * _STRIDE], *self.shared[high * _STRIDE : end]
        return min(*edges, min(self._minima[low:high])) if edges else min(self._minima[low:high])

    def _find(self, depth: int, start: int, end: int) -> int | None:
        """First leaf in [start, end) that shares exactly `depth`, the least in the range."""
        assert self._minima is not None
        while start < end:
            stop = min(end, (start // _STRIDE + 1) * _STRIDE)
            if self._minima[start // _STRIDE] <= depth:
                block = self.shared[start:stop].tolist()
                if depth in block:
                    return start + block.index(depth)
            start = stop
        return None


def measure(leaves: Iterable[Pair], *, spill_bytes: int = SPILL_BYTES, directory: Path | None = None) -> Shape:
    """Read the leaves (key order) once.

    Raises:
        LeafOrderError: keys not strictly ascending.
        InvalidLeafError: a key or value that the trie cannot hold.
    """
    budget = spill_bytes // 4
    shared, keys = Column("H", budget, directory), Column("H", budget, directory)
    values = Column("I", budget, directory)
    for _ in _scan(leaves, shared.tail, keys.tail, values.tail):
        for column in (shared, keys, values):
            column.spill()
    columns = shared.freeze(), keys.freeze(), values.freeze()
    opened, ends = (_numbers(len(columns[0]), budget, directory) for _ in range(2))
    begin = _find_branches(columns[0], opened, ends)
    return Shape(columns, opened.toreadonly(), ends[begin:].toreadonly())


def _scan(leaves: Iterable[Pair], shared: array[int], keys: array[int], values: array[int]) -> Iterator[None]:
    """Append every leaf's numbers; pause now and then."""
    from_bytes = int.from_bytes
    previous: bytes | None = None
    size = 0
    for index, (key, value) in enumerate(leaves):
        now = len(key)
        if now > 8191 or len(value) > 0xFFFFFFFF:
            _SCHEME.check_leaf(key, value)
        if previous is None:
            common = 0
        elif key <= previous:
            raise LeafOrderError(key, previous)
        elif now == size:
            common = (size << 3) - (from_bytes(previous) ^ from_bytes(key)).bit_length()
        else:
            common = _SCHEME.path.parting(previous, key)
        shared.append(common)
        keys.append(now)
        values.append(len(value))
        previous, size = key, now
        if not index & 0xFFFF:
            yield


def _numbers(count: int, budget_bytes: int, directory: Path | None) -> memoryview:
    """`count` writable u16 zeros, in memory or in a file."""
    if not count or count * 2 <= budget_bytes:
        return memoryview(array("H", bytes(count * 2)))
    with tempfile.TemporaryFile(dir=directory) as file:
        file.truncate(count * 2)
        return memoryview(mmap.mmap(file.fileno(), count * 2)).cast("H")


def _find_branches(shared: memoryview, opened: memoryview, ends: memoryview) -> int:
    """Fill `opened`, and `ends` from its end; return where `ends` begins.

    Backwards: `stack` has the ends of the branches that hold the current leaf and one after it, outermost
    first. Those that end behind what the leaf shares with its predecessor begin at this leaf.
    """
    at = len(ends)
    stack: list[int] = []
    for leaf in range(len(shared) - 1, 0, -1):
        common = shared[leaf]
        count = 0
        while stack and stack[-1] > common:
            at -= 1
            ends[at] = stack.pop()
            count += 1
        opened[leaf] = count
        if not stack or stack[-1] < common:
            stack.append(common)
    if stack:
        opened[0] = len(stack)
        ends[at - len(stack) : at] = array("H", stack)
        at -= len(stack)
    return at
