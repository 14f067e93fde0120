"""Chunk contents, written from one read of the leaves.

A chunk is the version 0 proof of its leaves, entry by entry. With the shape and the sibling hashes known,
entries come out in order as the leaves go by; nothing is hashed but the finished file. One chunk is in
memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from proofs.errors import MalformedProofError
from proofs.hashing import sha512_256
from proofs.oasis.node import NO_LEAF, encode_branch, encode_leaf, label
from proofs.schemes.mkvs import MKVS
from sync.oasis.cuts import Cut
from sync.oasis.shape import Pair, Shape
from sync.oasis.siblings import Siblings
from sync.oasis.snappy import SnappyWriter

Sink = Callable[[int, bytes], object]
"""(chunk index, file bytes)."""
_NULL = b"\xf6"
_LEFT, _RIGHT, _EMBEDDED = 0, 1, -1
_child = MKVS().path.child


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


class _Branch:
    """A branch on the current path, with its own entry ready."""

    __slots__ = ("end", "entry", "key", "side")

    def __init__(self, end: int, key: bytes, encoded: bytes, embedded: bool) -> None:
        self.end, self.key = end, key
        self.entry = entry(b"\1" + encoded)
        self.side = _EMBEDDED if embedded else _LEFT


class _Chunk:
    """The file of one chunk as it grows."""

    def __init__(self, siblings: Siblings) -> None:
        self._siblings = siblings
        self._parts: list[bytes] = []
        snappy = SnappyWriter(self._parts.append)
        self.write, self._flush = snappy.write, snappy.flush

    def open(self, path: list[_Branch]) -> None:
        """Entries of the branches above the first leaf, each with what is left of it."""
        for branch in path:
            self.write(branch.entry)
            if branch.side == _RIGHT:
                self.name(branch, _LEFT)

    def name(self, branch: _Branch, side: int) -> None:
        """A child that the chunk does not show: its hash, or null where there is none."""
        digest = self._siblings.get((_child(branch.key, branch.end, side), branch.end + 1))
        self.write(_NULL if digest is None else b"\x58\x21\x02" + digest)

    def close(self, path: list[_Branch]) -> bytes:
        """What is right of the last leaf, innermost first; the file."""
        for branch in reversed(path):
            if branch.side == _EMBEDDED:
                self.name(branch, _LEFT)
            if branch.side != _RIGHT:
                self.name(branch, _RIGHT)
        self._flush()
        return b"".join(self._parts)


def emit(leaves: Iterable[Pair], shape: Shape, cuts: list[Cut], siblings: Siblings, sink: Sink) -> list[bytes]:
    """Write every chunk's file to `sink`, in key order; give back the digests in index order.

    Raises:
        MalformedProofError: other leaves than those that were measured.
    """
    digests = [b""] * len(cuts)

    def finish(index: int, data: bytes) -> None:
        digests[index] = sha512_256(data)
        sink(index, data)

    if not shape.count:
        chunk = _Chunk(siblings)
        chunk.write(_NULL)
        finish(0, chunk.close([]))
        return digests
    _emit(leaves, shape, sorted(range(len(cuts)), key=cuts.__getitem__), cuts, siblings, finish)
    return digests


def _emit(
    leaves: Iterable[Pair], shape: Shape, order: list[int], cuts: list[Cut], siblings: Siblings, sink: Sink
) -> None:
    shared, keys, values, opened, ends = shape.shared, shape.key_sizes, shape.value_sizes, shape.opened, shape.ends
    path: list[_Branch] = []
    chunk: _Chunk | None = None
    at = leaf = 0
    pending = iter(order)
    index = next(pending)
    start, end = cuts[index]
    for leaf, (key, value) in enumerate(leaves):
        if leaf >= shape.count or len(key) != keys[leaf] or len(value) != values[leaf]:
            raise MalformedProofError(f"leaf {leaf} is not the one that was measured")
        encoded = encode_leaf(key, value)
        if leaf:
            _move(path, shared[leaf], key, chunk)
        parent = path[-1].end if path else 0
        embedded = False
        for ends_at in ends[at : at + opened[leaf]]:
            embedded = len(key) << 3 == ends_at
            run = label(key, parent, ends_at)
            branch = encode_branch(ends_at - parent, run, encoded if embedded else NO_LEAF)
            path.append(_Branch(ends_at, key, branch, embedded))
            if chunk is not None:
                chunk.write(path[-1].entry)
            parent = ends_at
        at += opened[leaf]
        if leaf == start:
            chunk = _Chunk(siblings)
            chunk.open(path)
        if chunk is None:
            continue
        if not embedded:
            chunk.write(entry(b"\1" + encoded))
        if leaf == end - 1:
            sink(index, chunk.close(path))
            chunk = None
            index = next(pending, -1)
            start, end = cuts[index] if index >= 0 else (-1, -1)
    if leaf != shape.count - 1:
        raise MalformedProofError(f"{leaf + 1} leaves, {shape.count} were measured")


def _move(path: list[_Branch], common: int, key: bytes, chunk: _Chunk | None) -> None:
    """Leave the branches that end behind `common`, and change sides in the one that ends there."""
    while path[-1].end > common:
        done = path.pop()
        if chunk is not None and done.side != _RIGHT:
            chunk.write(_NULL)  # it had no right child
    top = path[-1]
    if top.side == _LEFT:
        top.side = _RIGHT
        return
    top.side = key[top.end >> 3] >> (7 - (top.end & 7)) & 1
    if chunk is not None and top.side == _RIGHT:
        chunk.write(_NULL)
