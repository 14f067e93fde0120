"""Manifest: a checkpoint's table of contents, the one object that names all the others.

It holds the Root, how the leaves were cut, and for each chunk where it begins, how much it holds and what its bytes
hash to. Canonical CBOR behind one format version; its digest, SHA-256 of these bytes, is the checkpoint's name.
Everything in a decoded manifest is still a claim: `decode` guarantees only that it is well formed, tiles the key space
and stays within Limits. Whether its leaves are those of its root, the chunks' proofs say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

from proofs import cbor
from proofs.errors import MalformedProofError
from sync.chunk_name import CODE_CHUNK, LEAF_CHUNK, chunk_digest
from sync.errors import FormatError, OversizeError, UnsupportedFormatError
from sync.limits import Limits
from sync.root import Root

__all__ = ["CUTS", "MANIFEST_FORMAT", "RANGE", "SUBTREE", "CodeEntry", "Cut", "LeafEntry", "Manifest"]

MANIFEST_FORMAT: Final = 1
DIGEST_BYTES: Final = 32

RANGE: Final = "range"
SUBTREE: Final = "subtree"
CUTS: Final = (RANGE, SUBTREE)

_WHAT: Final = "manifest"
_INTEGER_MAX: Final = 2**63 - 1
_RUN_OVERHEAD: Final = 4
_LEAF_OVERHEAD: Final = 8
"""Bytes of a leaf run beside keys and values: its count, and two sizes a leaf."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How a state is cut. The same state under the same Cut gives the same chunks, on every machine.

    `kind` is `range` or `subtree`; a piece aims at `chunk_leaves` leaves, and one whose leaf run has more than
    `chunk_bytes_max` bytes is split again in key order (a single larger leaf is a chunk by itself).

    Raises:
        ValueError: an unknown kind, or a number that is not positive.
    """

    kind: str = RANGE
    chunk_leaves: int = 16384
    chunk_bytes_max: int = 4 * 2**20

    def __post_init__(self) -> None:
        if self.kind not in CUTS:
            raise ValueError(f"a cut is {' or '.join(CUTS)}, not {self.kind!r}")
        if self.chunk_leaves < 1 or self.chunk_bytes_max < 1:
            raise ValueError("a chunk holds at least one leaf and one byte")

    @property
    def leaves_max(self) -> int:
        """The most leaves that an honest chunk holds: the subtree cut lets crumbs join a full neighbour."""
        return self.chunk_leaves if self.kind == RANGE else self.chunk_leaves + self.chunk_leaves // 32


@dataclass(frozen=True, slots=True)
class LeafEntry:
    """One leaf chunk: all leaves from `start` to the next entry's start. Sizes are canonical bytes."""

    start: bytes
    leaf_count: int
    run_size: int
    run_digest: bytes
    proof_size: int
    proof_digest: bytes

    @property
    def digest(self) -> bytes:
        """The chunk's digest: its name in a store and on the wire."""
        return chunk_digest(LEAF_CHUNK, self.run_digest, self.proof_digest)


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """One code chunk: `blob_count` blobs in code-hash order, the first with the hash `start`."""

    start: bytes
    blob_count: int
    run_size: int
    run_digest: bytes

    @property
    def digest(self) -> bytes:
        return chunk_digest(CODE_CHUNK, self.run_digest, None)


@dataclass(frozen=True)
class Manifest:
    """A root, a cut, the leaf chunks in key order (at least one) and the code chunks in hash order."""

    root: Root
    cut: Cut
    leaf_chunks: tuple[LeafEntry, ...]
    code_chunks: tuple[CodeEntry, ...] = ()

    @cached_property
    def leaf_count(self) -> int:
        return sum(entry.leaf_count for entry in self.leaf_chunks)

    @cached_property
    def code_count(self) -> int:
        return sum(entry.blob_count for entry in self.code_chunks)

    @cached_property
    def chunk_bytes(self) -> int:
        """Canonical bytes of all runs and proofs."""
        return sum(entry.run_size + entry.proof_size for entry in self.leaf_chunks) + sum(
            entry.run_size for entry in self.code_chunks
        )

    @cached_property
    def encoded(self) -> bytes:
        """Canonical bytes."""
        root, cut = self.root, self.cut
        return cbor.encode(
            [
                MANIFEST_FORMAT,
                [root.scheme, root.kind, root.namespace, root.height, root.hash],
                [cut.kind, cut.chunk_leaves, cut.chunk_bytes_max],
                [self.leaf_count, self.code_count, self.chunk_bytes],
                [
                    [e.start, e.leaf_count, e.run_size, e.run_digest, e.proof_size, e.proof_digest]
                    for e in self.leaf_chunks
                ],
                [[e.start, e.blob_count, e.run_size, e.run_digest] for e in self.code_chunks],
            ]
        )

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes: the checkpoint's name."""
        return sha256(self.encoded).digest()

    def end(self, index: int) -> bytes | None:
        """Where leaf chunk `index` ends: the next one's start, or None behind the last."""
        return self.leaf_chunks[index + 1].start if index + 1 < len(self.leaf_chunks) else None

    def validate(self, limits: Limits) -> None:
        """Judge the claims against each other and against Limits. Call it before any chunk is asked for.

        Raises:
            OversizeError: more than a limit allows.
            FormatError: bounds that do not tile the key space, or numbers that cannot be true together.
        """
        chunks = len(self.leaf_chunks) + len(self.code_chunks)
        _within("chunks_max", limits.chunks_max, chunks)
        _within("leaves_max", limits.leaves_max, self.leaf_count)
        _within("checkpoint_bytes_max", limits.checkpoint_bytes_max, self.chunk_bytes)
        if not self.leaf_chunks or self.leaf_chunks[0].start:
            raise FormatError(_WHAT, "its chunks do not begin at the first key")
        if any(before.start >= after.start for before, after in pairwise(self.leaf_chunks)):
            raise FormatError(_WHAT, "the bounds of its chunks do not ascend")
        if any(before.start >= after.start for before, after in pairwise(self.code_chunks)):
            raise FormatError(_WHAT, "its code chunks are not in hash order")
        for entry in self.leaf_chunks:
            self._validate_leaves(entry, limits)
        for code in self.code_chunks:
            self._validate_code(code, limits)

    def _validate_leaves(self, entry: LeafEntry, limits: Limits) -> None:
        _within("chunk_leaves_max", limits.chunk_leaves_max, entry.leaf_count)
        _within("chunk_bytes_max", limits.chunk_bytes_max, entry.run_size)
        _within("proof_bytes_max", limits.proof_bytes_max, entry.proof_size)
        _check_digest(entry.run_digest)
        _check_digest(entry.proof_digest)
        if entry.leaf_count < 1 and len(self.leaf_chunks) > 1:
            raise FormatError(_WHAT, "a chunk without leaves in a state that has some")
        if entry.leaf_count > self.cut.leaves_max:
            raise FormatError(_WHAT, "a chunk with more leaves than its cut allows")
        if entry.leaf_count > 1 and entry.run_size > self.cut.chunk_bytes_max:
            raise FormatError(_WHAT, "a chunk with more bytes than its cut allows")
        _check_run_size(entry.leaf_count, entry.run_size)
        if entry.proof_size < 1:
            raise FormatError(_WHAT, "a chunk without proof")

    def _validate_code(self, entry: CodeEntry, limits: Limits) -> None:
        _within("chunk_leaves_max", limits.chunk_leaves_max, entry.blob_count)
        _within("chunk_bytes_max", limits.chunk_bytes_max, entry.run_size)
        _check_digest(entry.run_digest)
        if entry.blob_count < 1:
            raise FormatError(_WHAT, "a code chunk without code")
        if len(entry.start) != DIGEST_BYTES:
            raise FormatError(_WHAT, f"a code hash has {DIGEST_BYTES} bytes")
        if entry.blob_count > 1 and entry.run_size > self.cut.chunk_bytes_max:
            raise FormatError(_WHAT, "a code chunk with more bytes than its cut allows")
        _check_run_size(entry.blob_count, entry.run_size)

    @classmethod
    def decode(cls, untrusted: bytes, *, limits: Limits) -> Manifest:
        """The manifest in these bytes, canonical and validated.

        Raises:
            UnsupportedFormatError: another format version.
            OversizeError, FormatError: as `validate`, or bytes that are no canonical manifest.
        """
        _within("manifest_bytes_max", limits.manifest_bytes_max, len(untrusted))
        try:
            fields = cbor.decode(untrusted, size_max=limits.manifest_bytes_max)
        except MalformedProofError as error:
            raise FormatError(_WHAT, error.reason) from error
        if not isinstance(fields, list) or not _are(fields[:1], int):
            raise FormatError(_WHAT, "it does not begin with a format version")
        if fields[0] != MANIFEST_FORMAT:
            raise UnsupportedFormatError(_WHAT, fields[0], (MANIFEST_FORMAT,))
        if not _are(fields[1:], list, list, list, list, list):
            raise FormatError(_WHAT, "it has a root, a cut, totals, leaf chunks and code chunks")
        _, root, cut, totals, leaf_chunks, code_chunks = fields
        _within("chunks_max", limits.chunks_max, len(leaf_chunks) + len(code_chunks))
        manifest = cls(_root(root), _cut(cut), _leaf_entries(leaf_chunks), _code_entries(code_chunks))
        if not _are(totals, int, int, int) or totals != [
            manifest.leaf_count,
            manifest.code_count,
            manifest.chunk_bytes,
        ]:
            raise FormatError(_WHAT, "its totals are not the sums of its chunks")
        manifest.validate(limits)
        return manifest


def _root(fields: list[Any]) -> Root:
    if not _are(fields, str, str, bytes, int, bytes):
        raise FormatError(_WHAT, "a root has a scheme, a kind, a namespace, a height and a hash")
    try:
        return Root(*fields)
    except ValueError as error:
        raise FormatError(_WHAT, str(error)) from error


def _cut(fields: list[Any]) -> Cut:
    if not _are(fields, str, int, int):
        raise FormatError(_WHAT, "a cut has a kind, a number of leaves and a number of bytes")
    try:
        return Cut(*fields)
    except ValueError as error:
        raise FormatError(_WHAT, str(error)) from error


def _leaf_entries(untrusted: list[Any]) -> tuple[LeafEntry, ...]:
    for fields in untrusted:
        if type(fields) is not list or not _are(fields, bytes, int, int, bytes, int, bytes):
            raise FormatError(_WHAT, "a leaf chunk has a start, a count, and size and digest of run and proof")
    return tuple(LeafEntry(*fields) for fields in untrusted)


def _code_entries(untrusted: list[Any]) -> tuple[CodeEntry, ...]:
    for fields in untrusted:
        if type(fields) is not list or not _are(fields, bytes, int, int, bytes):
            raise FormatError(_WHAT, "a code chunk has a start, a count, and size and digest of its run")
    return tuple(CodeEntry(*fields) for fields in untrusted)


def _are(fields: list[Any], *types: type) -> bool:
    """Whether `fields` is a list of exactly these types (a bool is no int) and its integers are sane.

    Bounding them here keeps everything behind free of integers of any size: sums, comparisons and messages.
    """
    return [type(field) for field in fields] == list(types) and all(
        0 <= field <= _INTEGER_MAX for field in fields if type(field) is int
    )


def _within(limit: str, allowed: int, seen: int) -> None:
    if seen > allowed:
        raise OversizeError(_WHAT, limit=limit, allowed=allowed, seen=seen)


def _check_digest(digest: bytes) -> None:
    if len(digest) != DIGEST_BYTES:
        raise FormatError(_WHAT, f"a digest has {DIGEST_BYTES} bytes")


def _check_run_size(count: int, size: int) -> None:
    if size < _RUN_OVERHEAD + _LEAF_OVERHEAD * count or (not count and size != _RUN_OVERHEAD):
        raise FormatError(_WHAT, "a run that is too small for its leaves")


def chunk_entries(manifest: Manifest) -> Sequence[LeafEntry | CodeEntry]:
    """All entries, leaf chunks first: the order in which chunks are numbered."""
    return (*manifest.leaf_chunks, *manifest.code_chunks)
