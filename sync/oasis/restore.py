"""Checkpoints taken apart: every chunk judged against a trusted root, and the whole proven complete.

The reference counts a chunk as restored once its proof verifies, and nothing checks that the chunks together
show every leaf: one that holds only the root hash passes. Here each chunk must show something new, and a
restore is complete only when the intervals that its chunks show in full cover the key space.

Whose fault a bad chunk is depends on where it fails (section 15 of the reference's behaviour): a wrong digest
is the fault of whoever sent the bytes, fetch them elsewhere; anything wrong behind the right digest is the fault of
the checkpoint itself, and everybody who offered it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proofs import Kernel, LeafRun, get_kernel
from proofs.errors import ProofError, RootMismatchError
from proofs.hashing import sha512_256
from proofs.oasis.chunk import OpenedChunk
from proofs.oasis.messages import EMPTY_HASH, ChunkMetadata, Metadata, OasisRoot
from proofs.oasis.proof import DEPTH_MAX, interval
from sync.coverage import Coverage, KeyRange
from sync.errors import DigestMismatchError, FormatError, OversizeError
from sync.oasis.snappy import SnappyError, decompress
from sync.oasis.store import OasisStore

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class OasisLimits:
    """Upper bounds on what a checkpoint may ask of us. `*_bytes_max` in bytes, the rest are counts."""

    chunk_file_bytes_max: int = 64 * _MIB
    """One chunk file; a node cannot send a larger one."""
    chunk_bytes_max: int = 256 * _MIB
    """One chunk, decompressed."""
    chunks_max: int = 1 << 20
    """Chunks of one checkpoint."""
    entries_max: int = 10_000_000
    """Proof entries in one chunk."""
    depth_max: int = DEPTH_MAX
    """Edges between the root and the deepest entry."""


class BadCheckpointError(FormatError):
    """A checkpoint that is wrong in itself: no other peer has a better chunk of it."""

    def __init__(self, index: int, reason: str) -> None:
        self.index = index
        super().__init__(f"chunk {index}", reason)


class IncompleteCheckpointError(FormatError):
    """All chunks verify, and leave keys open. `gap` is the first interval that no chunk shows."""

    def __init__(self, gap: KeyRange) -> None:
        self.gap = gap
        end = "the end" if gap[1] is None else f"0x{gap[1].hex()}"
        super().__init__("checkpoint", f"no chunk shows the keys from 0x{gap[0].hex()} to {end}")


@dataclass(frozen=True, slots=True)
class VerifiedChunk:
    """What one chunk proves. Only `OasisRestore.accept` makes these."""

    index: int
    leaves: LeafRun
    """Chunks repeat the embedded leaves of branches that they share."""


class OasisRestore:
    """One checkpoint being restored: chunks in any order, each judged once. Does no I/O; not thread-safe."""

    def __init__(
        self,
        root: OasisRoot,
        untrusted_metadata: Metadata,
        limits: OasisLimits | None = None,
        *,
        kernel: Kernel | None = None,
    ) -> None:
        """`root` is the caller's own.

        Raises:
            RootMismatchError: a checkpoint of another root.
            MalformedProofError, OversizeError: metadata that no node accepts, or past the limits.
        """
        self.limits = limits or OasisLimits()
        self._kernel = kernel or get_kernel()
        untrusted_metadata.check()
        if untrusted_metadata.root != root:
            raise RootMismatchError(root.encoded_hash, untrusted_metadata.root.encoded_hash)
        count = len(untrusted_metadata.chunks)
        if count > self.limits.chunks_max:
            raise OversizeError("metadata", limit="chunks_max", allowed=self.limits.chunks_max, seen=count)
        self.root = root
        self.metadata = untrusted_metadata
        self.missing = set(range(count))
        self.coverage = Coverage()

    def wanted(self) -> Iterator[ChunkMetadata]:
        """Chunks still to come, lowest index first."""
        return (self.metadata.chunk(index) for index in sorted(self.missing))

    def accept(self, index: int, untrusted: bytes) -> VerifiedChunk:
        """Judge the file of a chunk.

        Raises:
            DigestMismatchError, OversizeError: not the announced bytes; ask another peer.
            BadCheckpointError: the announced bytes, and they prove nothing: give up this checkpoint.
        """
        limits = self.limits
        if len(untrusted) > limits.chunk_file_bytes_max:
            allowed = limits.chunk_file_bytes_max
            raise OversizeError(f"chunk {index}", limit="chunk_file_bytes_max", allowed=allowed, seen=len(untrusted))
        expected, computed = self.metadata.chunks[index], sha512_256(untrusted)
        if expected != computed:
            raise DigestMismatchError(f"chunk {index}", expected=expected, computed=computed)
        try:
            plain = b"".join(decompress(untrusted, bytes_max=limits.chunk_bytes_max))
            opened = self._kernel.open_oasis_chunk(plain, entries_max=limits.entries_max, depth_max=limits.depth_max)
            if opened.root != self.root.hash:
                raise RootMismatchError(self.root.hash, opened.root)
        except (SnappyError, ProofError) as error:
            raise BadCheckpointError(index, str(error)) from error
        if self.root.hash != EMPTY_HASH and not len(opened.leaves):
            raise BadCheckpointError(index, "it shows no leaf")
        for start, end in _shown(opened):
            self.coverage.add(start, end)
        self.missing.discard(index)
        return VerifiedChunk(index, opened.leaves)

    def finish(self) -> None:
        """All chunks were accepted: check that they show the whole state.

        Raises:
            IncompleteCheckpointError
        """
        assert not self.missing
        if not self.coverage.whole:
            raise IncompleteCheckpointError(_first_gap(self.coverage))


def read_checkpoint(store: OasisStore, root: OasisRoot, limits: OasisLimits | None = None) -> Iterator[VerifiedChunk]:
    """Judge a checkpoint that lies in a directory, chunk by chunk; ends only if it is complete.

    Raises:
        CheckpointNotFoundError, CheckpointCorruptError: from the store.
        FormatError, ProofError: as `OasisRestore`.
    """
    restore = OasisRestore(root, store.metadata(root), limits)
    for chunk in restore.wanted():
        yield restore.accept(chunk.index, store.chunk(chunk))
    restore.finish()


def _shown(opened: OpenedChunk) -> list[KeyRange]:
    """Intervals between the subtrees only named: every leaf there is shown, and there are no others."""
    shown: list[KeyRange] = []
    start: bytes | None = b""
    for low, high in map(interval, opened.named):
        if start is not None and start < low:
            shown.append((start, low))
        start = high
    if start is not None:
        shown.append((start, None))
    return shown


def _first_gap(coverage: Coverage) -> KeyRange:
    """Keys before the first branch's own path are shown by every chunk, so the first range begins at the start."""
    (start, end), *later = coverage.ranges()
    assert start == b""
    assert end is not None
    return end, later[0][0] if later else None
