"""verify_checkpoint: everything that is wrong with a published checkpoint, without touching it.

Judges what a store holds as a restore would: every chunk by its digests and its proof against the manifest's root,
the code by its hashes and by what the leaves name, and the spine against the leaves. Whether the root is the right one
is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from flatdb import Violation
from proofs import Kernel, ProofError, Scheme, get_kernel, get_scheme
from proofs.range_proof import expand_left, expand_right
from sync.checkpoint_store import CheckpointStore
from sync.chunk import LeafChunk, accept_leaf_chunk, decode_code_chunk, decode_leaf_chunk, verify_code
from sync.errors import CheckpointError, CheckpointNotFoundError, FormatError
from sync.manifest import CodeEntry, LeafEntry, Manifest
from sync.monitor import MONITOR_NONE, Monitor
from sync.spine import SpineReader, split_run
from sync.state_fold import fold_leaves

__all__ = ["verify_checkpoint"]


def verify_checkpoint(
    store: CheckpointStore, digest: bytes, *, kernel: Kernel | None = None, monitor: Monitor = MONITOR_NONE
) -> Iterator[Violation]:
    """Yield every violation in the checkpoint of this manifest digest; nothing if a restore from it succeeds.

    Reads all of it, one chunk at a time; memory beside that: the code hashes.

    Raises:
        CheckpointNotFoundError: no such checkpoint.
        CheckpointCorruptError: its manifest cannot be read, so that nothing is known of the rest.
        UnknownSchemeError: its root's scheme is none of this release.
    """
    manifest = store.manifest(digest)
    check = _Check(store, manifest, get_scheme(manifest.root.scheme), kernel or get_kernel())
    monitor.phase_started("verify", total=len(manifest.leaf_chunks) + len(manifest.code_chunks), unit="chunks")
    for index, entry in enumerate(manifest.leaf_chunks):
        yield from check.leaf_chunk(index, entry)
        monitor.advanced("verify", 1)
    for code_entry in manifest.code_chunks:
        yield from check.code_chunk(code_entry)
        monitor.advanced("verify", 1)
    yield from check.code()
    yield from check.total()
    monitor.phase_finished("verify")


class _Check:
    """What has been seen so far; chunks are offered in order."""

    def __init__(self, store: CheckpointStore, manifest: Manifest, scheme: Scheme, kernel: Kernel) -> None:
        self._store = store
        self._manifest = manifest
        self._scheme = scheme
        self._kernel = kernel
        self._named: set[bytes] = set()
        self._held: set[bytes] = set()
        self._code_end: bytes | None = None
        self._complete = True
        source = partial(store.spine, manifest.digest)
        self._spine = SpineReader(source, len(manifest.leaf_chunks), limits=store.limits)

    def leaf_chunk(self, index: int, entry: LeafEntry) -> Iterator[Violation]:
        where = f"chunk {entry.digest.hex()}"
        end = self._manifest.end(index)
        try:
            chunk = decode_leaf_chunk(self._store.chunk(entry.digest), entry, limits=self._store.limits)
            accept_leaf_chunk(self._scheme, self._manifest.root.hash, chunk, entry, end, kernel=self._kernel)
        except (ProofError, FormatError, CheckpointError) as error:
            self._complete = False
            yield Violation(where, str(error))
            return
        if self._scheme.capabilities.has_code:
            hashes = (self._scheme.code_hash(key, value) for key, value in chunk.run)
            self._named.update(code_hash for code_hash in hashes if code_hash is not None)
        if self._scheme.capabilities.chunk_proofs:
            yield from self._section(index, chunk)

    def code_chunk(self, entry: CodeEntry) -> Iterator[Violation]:
        where = f"chunk {entry.digest.hex()}"
        try:
            blobs = decode_code_chunk(self._store.chunk(entry.digest), entry, limits=self._store.limits)
            verify_code(self._scheme, blobs, entry)
        except (ProofError, FormatError, CheckpointError) as error:
            self._complete = False
            yield Violation(where, str(error))
            return
        if self._code_end is not None and blobs.keys[0] <= self._code_end:
            yield Violation(where, "its code does not come after that of the chunk before")
        self._code_end = blobs.keys[-1]
        self._held.update(blobs.keys)

    def total(self) -> Iterator[Violation]:
        """Where the root is a sum, the chunks prove nothing until all of them add up to it; read them once more."""
        if self._scheme.capabilities.chunk_proofs or not self._complete:
            return
        computed = fold_leaves(self._scheme, self._leaves(), kernel=self._kernel)
        if computed != self._manifest.root.hash:
            yield Violation("chunks", f"add up to {computed.hex()}, the root is {self._manifest.root.hash.hex()}")

    def _leaves(self) -> Iterator[tuple[bytes, bytes]]:
        for entry in self._manifest.leaf_chunks:
            yield from decode_leaf_chunk(self._store.chunk(entry.digest), entry, limits=self._store.limits).run

    def code(self) -> Iterator[Violation]:
        """Exactly the code of live accounts; to be said only if every chunk could be read."""
        if not self._complete:
            return
        for code_hash in sorted(self._named - self._held):
            yield Violation("code", f"{code_hash.hex()} is missing")
        for code_hash in sorted(self._held - self._named):
            yield Violation("code", f"{code_hash.hex()} is named by no leaf")

    def _section(self, index: int, chunk: LeafChunk) -> Iterator[Violation]:
        """The spine's pieces of one chunk. A checkpoint without spine is whole."""
        left = list(expand_left(self._scheme, chunk.proof))
        right = next(expand_right(self._scheme, chunk.proof), None)
        before, after = left[-1][0] if left else None, right[0] if right else None
        try:
            section = self._spine.section(index, len(chunk.run))
        except CheckpointNotFoundError:
            return
        except (FormatError, CheckpointError) as error:
            yield Violation("spine", f"leaf chunk {index}: {error}")
            return
        if section != tuple(split_run(self._scheme, chunk.run, before, after, kernel=self._kernel)):
            yield Violation("spine", f"leaf chunk {index}: other pieces than its leaves have")
