"""prove: the smallest provable range that covers a request, out of a published checkpoint.

A range can begin and end only where the trie branches, between two neighbouring leaves. So a key is proven present or
absent by the one leaf whose range holds it, and any [start, end) is answered with the ranges of all leaves that it
touches; the proof says how far it reaches. What lies beside the range is known already: the chunk's own proof nodes
beyond the chunk, the spine's subtrees within it, and leaves to hash only in the two subtrees that the range cuts.

Every proof is verified before it is handed out. A spine that is missing or wrong costs time, never truth.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, chain

from proofs import (
    Item,
    LeafRun,
    ProofError,
    RangeProof,
    Scheme,
    bound_between,
    fold,
    get_scheme,
    leaf_items,
    prove_range,
    verify_range,
)
from proofs.range_proof import expand_left, expand_right
from sync.checkpoint_store import CheckpointStore
from sync.chunk import LeafChunk, decode_leaf_chunk
from sync.cut import run_size
from sync.errors import CheckpointCorruptError, CheckpointNotFoundError, FormatError, UnprovableError
from sync.manifest import Manifest
from sync.monitor import MONITOR_NONE, Monitor
from sync.spine import SpinePiece, SpineReader

__all__ = ["prove", "prove_key"]


def prove_key(
    store: CheckpointStore, digest: bytes, key: bytes, *, monitor: Monitor = MONITOR_NONE
) -> tuple[RangeProof, LeafRun]:
    """The proof that `key` has the value it has in this checkpoint, or that it is absent: one leaf's range.

    Raises:
        As `prove`.
    """
    return prove(store, digest, key, key + b"\0", monitor=monitor)


def prove(
    store: CheckpointStore, digest: bytes, start: bytes, end: bytes | None, *, monitor: Monitor = MONITOR_NONE
) -> tuple[RangeProof, LeafRun]:
    """The smallest provable range with proof.start <= `start` and proof.end >= `end` (None: no end), and its leaves.

    `digest` is the manifest's. Reads the chunks that the range touches; reports `spine_unusable` as an event.

    Raises:
        CheckpointNotFoundError: no such checkpoint.
        CheckpointCorruptError: a chunk is damaged.
        UnprovableError: an empty range, a root that is a sum, or an answer larger than the store's Limits allow.
    """
    if end is not None and start >= end:
        raise UnprovableError(start, end, "the range is empty")
    request = _Request(store, digest, start, end)
    try:
        return request.answer(with_spine=True)
    except (CheckpointNotFoundError, FormatError, ProofError) as error:
        monitor.event("spine_unusable", digest=digest.hex(), reason=str(error))
    try:
        return request.answer(with_spine=False)
    except ProofError as error:
        raise CheckpointCorruptError(f"checkpoint {digest.hex()}", str(error)) from error


@dataclass(frozen=True, slots=True)
class _Edge:
    """The chunk that one end of the range lies in, and the leaf there."""

    index: int
    chunk: LeafChunk
    leaf: int


class _Request:
    """One range asked of one checkpoint; the chunks at its edges are read once."""

    def __init__(self, store: CheckpointStore, digest: bytes, start: bytes, end: bytes | None) -> None:
        self._store = store
        self._digest = digest
        self._start = start
        self._end = end
        self._manifest: Manifest = store.manifest(digest)
        self._scheme: Scheme = get_scheme(self._manifest.root.scheme)
        if not self._scheme.capabilities.chunk_proofs:
            raise UnprovableError(start, end, "no part of a sum can be proven, only the whole state")
        starts = [entry.start for entry in self._manifest.leaf_chunks]
        first = bisect_right(starts, start) - 1
        last = len(starts) - 1 if end is None else bisect_left(starts, end) - 1
        inside = self._manifest.leaf_chunks[first + 1 : last]
        self._check_size(sum(entry.leaf_count for entry in inside), sum(entry.run_size for entry in inside))
        low = self._read(first)
        high = low if first == last else self._read(last)
        self._low = _Edge(first, low, self._first_leaf(low))
        self._high = _Edge(last, high, self._last_leaf(high))

    def answer(self, *, with_spine: bool) -> tuple[RangeProof, LeafRun]:
        """Raises ProofError, FormatError or CheckpointNotFoundError if the spine (or the chunk) is no good."""
        scheme, low, high = self._scheme, self._low, self._high
        run = self._run()
        first, last = (run.keys[0], run.keys[-1]) if run else (None, None)
        left = fold(scheme, chain(expand_left(scheme, low.chunk.proof), self._before(with_spine)), None, first)
        right = fold(scheme, chain(self._after(with_spine), expand_right(scheme, high.chunk.proof)), last, None)
        proof = prove_range(scheme, left, first, last, right)
        verify_range(scheme, self._manifest.root.hash, proof, run)
        return proof, run

    def _before(self, with_spine: bool) -> Iterator[Item]:
        """What lies before the first leaf in its chunk."""
        run, end = self._low.chunk.run, self._low.leaf
        whole = 0
        for piece, start in self._pieces(self._low, with_spine):
            if start + piece.leaf_count > end:
                break
            yield piece.item(run.keys[start])
            whole = start + piece.leaf_count
        yield from leaf_items(run[whole:end])

    def _after(self, with_spine: bool) -> Iterator[Item]:
        """What lies behind the last leaf in its chunk."""
        run, begin = self._high.chunk.run, self._high.leaf + 1
        pieces = [(piece, start) for piece, start in self._pieces(self._high, with_spine) if start >= begin]
        yield from leaf_items(run[begin : pieces[0][1] if pieces else len(run)])
        for piece, start in pieces:
            yield piece.item(run.keys[start])

    def _pieces(self, edge: _Edge, with_spine: bool) -> Sequence[tuple[SpinePiece, int]]:
        """Pieces of the edge's chunk with the index of their first leaf; none without a spine."""
        if not with_spine:
            return ()
        source = partial(self._store.spine, self._digest)
        spine = SpineReader(source, len(self._manifest.leaf_chunks), limits=self._store.limits)
        section = spine.section(edge.index, len(edge.chunk.run))
        starts = accumulate((piece.leaf_count for piece in section), initial=0)
        return tuple(zip(section, starts, strict=False))

    def _run(self) -> LeafRun:
        """All leaves of the answer."""
        low, high = self._low, self._high
        if low.index == high.index:
            parts = [low.chunk.run[low.leaf : high.leaf + 1]]
        else:
            inside = (self._read(index).run for index in range(low.index + 1, high.index))
            parts = [low.chunk.run[low.leaf :], *inside, high.chunk.run[: high.leaf + 1]]
        self._check_size(sum(map(len, parts)), sum(map(run_size, parts)))
        return LeafRun([key for part in parts for key in part.keys], [value for part in parts for value in part.values])

    def _first_leaf(self, chunk: LeafChunk) -> int:
        """The leaf whose range holds `start`: the last one whose range begins at or before it."""
        keys = chunk.run.keys
        at = max(bisect_right(keys, self._start) - 1, 0)
        following = at + 1
        if following < len(keys) and bound_between(self._scheme, keys[at], keys[following]) <= self._start:
            return following
        return at

    def _last_leaf(self, chunk: LeafChunk) -> int:
        """The first leaf whose range reaches `end`."""
        keys, end = chunk.run.keys, self._end
        inside = len(keys) if end is None else bisect_left(keys, end)
        at = max(inside - 1, 0)
        following = at + 1
        if end is None or following >= len(keys) or inside == 0:
            return at
        return at if bound_between(self._scheme, keys[at], keys[following]) >= end else following

    def _read(self, index: int) -> LeafChunk:
        entry = self._manifest.leaf_chunks[index]
        name = f"chunk {entry.digest.hex()}"
        try:
            return decode_leaf_chunk(self._store.chunk(entry.digest), entry, limits=self._store.limits)
        except (FormatError, ProofError, CheckpointNotFoundError) as error:
            raise CheckpointCorruptError(name, str(error)) from error

    def _check_size(self, leaf_count: int, run_bytes: int) -> None:
        limits = self._store.limits
        if leaf_count > limits.proof_leaves_max or run_bytes > limits.chunk_bytes_max:
            reason = f"{leaf_count} leaves, {run_bytes} bytes; at most {limits.proof_leaves_max} leaves"
            raise UnprovableError(self._start, self._end, f"{reason} and {limits.chunk_bytes_max} bytes")
