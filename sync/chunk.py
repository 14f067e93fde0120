"""Chunk: all leaves of one key range and why nothing else is in it; or code blobs, which prove themselves.

Canonical parts are the leaf run and the range proof. A chunk is named by SHA-256 over its kind and the digests of its
parts, so the run can be hashed and compressed while it is at hand and the proof added once the whole state is folded,
and a run that did not change keeps its own digest. Stored bytes put a small header in front and compress each part by
itself; they are not canonical and nothing is named by them. Knows no files and no peers.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from proofs import Kernel, LeafRun, RangeProof, Scheme, VerifiedRange, get_kernel, verify_range
from proofs.errors import IncompleteRangeError, InvalidLeafError, MalformedProofError
from sync.chunk_name import CHUNK_FORMAT, CODE_CHUNK, LEAF_CHUNK
from sync.compression import LEVEL_DEFAULT, compress, decompress
from sync.errors import DigestMismatchError, FormatError, OversizeError, UnsupportedFormatError
from sync.limits import Limits
from sync.manifest import CodeEntry, LeafEntry

__all__ = [
    "LeafChunk",
    "accept_leaf_chunk",
    "decode_code_chunk",
    "decode_leaf_chunk",
    "encode_proof_part",
    "encode_run_part",
    "verify_code",
    "verify_leaf_chunk",
]

HEADER_BYTES: Final = 8
"""Format, kind, codec of the run, zero, stored size of the run as u32 little-endian."""

_WHAT: Final = "chunk"


@dataclass(frozen=True, slots=True)
class LeafChunk:
    """The decoded parts of a leaf chunk. Its digests are right; what it claims is for `verify_leaf_chunk`."""

    run: LeafRun
    proof: RangeProof


def encode_run_part(kind: int, run: bytes, *, level: int = LEVEL_DEFAULT) -> bytes:
    """Stored bytes up to the end of the run; all of a code chunk. `run`: its canonical bytes, below 4 GiB."""
    codec, stored = compress(run, level=level)
    return bytes((CHUNK_FORMAT, kind, codec, 0)) + len(stored).to_bytes(4, "little") + stored


def encode_proof_part(proof: bytes, *, level: int = LEVEL_DEFAULT) -> bytes:
    """What follows the run part of a leaf chunk. `proof`: its canonical bytes."""
    codec, stored = compress(proof, level=level)
    return bytes((codec,)) + stored


def decode_leaf_chunk(untrusted: bytes, entry: LeafEntry, *, limits: Limits) -> LeafChunk:
    """The parts of the chunk that `entry` announces. Precondition: `entry` is of a validated manifest.

    Raises:
        UnsupportedFormatError, OversizeError, FormatError: not stored bytes of a leaf chunk of these sizes.
        DigestMismatchError: another run or proof than announced.
        MalformedProofError, LeafOrderError: the run or the proof is not canonical.
    """
    run_stored, run_codec, rest = _split(untrusted, LEAF_CHUNK, limits)
    if not rest:
        raise FormatError(_WHAT, "a leaf chunk without proof")
    run = decompress(run_codec, run_stored, size=entry.run_size)
    _check_digest("run", entry.run_digest, run)
    proof = decompress(rest[0], rest[1:], size=entry.proof_size)
    _check_digest("proof", entry.proof_digest, proof)
    leaves = get_kernel().decode(run, leaves_max=entry.leaf_count)
    if len(leaves) != entry.leaf_count:
        raise MalformedProofError(f"a run of {len(leaves)} leaves, announced are {entry.leaf_count}")
    return LeafChunk(leaves, RangeProof.decode(proof, size_max=limits.proof_bytes_max))


def decode_code_chunk(untrusted: bytes, entry: CodeEntry, *, limits: Limits) -> LeafRun:
    """The blobs of the code chunk that `entry` announces, as a run of (hash, blob).

    Raises:
        As `decode_leaf_chunk`.
    """
    run_stored, run_codec, rest = _split(untrusted, CODE_CHUNK, limits)
    if rest:
        raise FormatError(_WHAT, "bytes behind a code chunk")
    run = decompress(run_codec, run_stored, size=entry.run_size)
    _check_digest("run", entry.run_digest, run)
    blobs = LeafRun.decode(run, leaves_max=entry.blob_count)
    if len(blobs) != entry.blob_count:
        raise MalformedProofError(f"a run of {len(blobs)} blobs, announced are {entry.blob_count}")
    largest = max(map(len, blobs.values))
    if largest > limits.code_bytes_max:
        raise OversizeError(_WHAT, limit="code_bytes_max", allowed=limits.code_bytes_max, seen=largest)
    return blobs


def verify_leaf_chunk(
    scheme: Scheme,
    root_hash: bytes,
    chunk: LeafChunk,
    entry: LeafEntry,
    end: bytes | None,
    *,
    kernel: Kernel | None = None,
) -> VerifiedRange:
    """Judge a chunk against the trusted root: its leaves are all that the state holds in [entry.start, end).

    Raises:
        ProofError: any of `verify_range`, or IncompleteRangeError for a proof of another range than announced.
    """
    if chunk.proof.start != entry.start or chunk.proof.end != end:
        raise IncompleteRangeError(entry.start, "the proof is of another range than the manifest announces")
    return verify_range(scheme, root_hash, chunk.proof, chunk.run, kernel=kernel)


def accept_leaf_chunk(
    scheme: Scheme,
    root_hash: bytes,
    chunk: LeafChunk,
    entry: LeafEntry,
    end: bytes | None,
    *,
    kernel: Kernel | None = None,
) -> LeafRun:
    """The leaves that may be made durable: proven, or of an additive scheme, whose chunks prove nothing alone.

    Of these it is known that they are legal, in order and inside their range. That they are the state's own only the
    total of all chunks can tell.

    Raises:
        ProofError: as `verify_leaf_chunk`, or a leaf outside the range, or proof nodes where none can prove anything.
    """
    if scheme.capabilities.chunk_proofs:
        return verify_leaf_chunk(scheme, root_hash, chunk, entry, end, kernel=kernel).run
    if chunk.proof != RangeProof(entry.start, end, (), ()):
        raise IncompleteRangeError(entry.start, "a chunk of a sum has bounds and no proof nodes")
    for key, value in chunk.run:
        scheme.check_leaf(key, value)
    if chunk.run and not (entry.start <= chunk.run.keys[0] and (end is None or chunk.run.keys[-1] < end)):
        raise IncompleteRangeError(entry.start, "leaves outside the range that the manifest announces")
    return chunk.run


def verify_code(scheme: Scheme, blobs: LeafRun, entry: CodeEntry) -> None:
    """Judge code blobs: each has the hash that it is listed under, and the first is the one announced.

    Raises:
        InvalidLeafError: a blob with another hash.
        IncompleteRangeError: a run that begins elsewhere, or code where the scheme has none.
    """
    digest = scheme.capabilities.code_digest
    if digest is None:
        raise IncompleteRangeError(entry.start, f"leaves of {scheme.name} name no code")
    if blobs.keys[0] != entry.start:
        raise IncompleteRangeError(entry.start, "the code begins elsewhere than the manifest announces")
    for code_hash, blob in blobs:
        if digest(blob) != code_hash:
            raise InvalidLeafError(code_hash, "the code has another hash")


def _split(untrusted: bytes, kind: int, limits: Limits) -> tuple[bytes, int, bytes]:
    """Stored run, its codec, and what follows it."""
    if len(untrusted) > limits.stored_chunk_bytes_max:
        allowed = limits.stored_chunk_bytes_max
        raise OversizeError(_WHAT, limit="stored_chunk_bytes_max", allowed=allowed, seen=len(untrusted))
    if len(untrusted) < HEADER_BYTES:
        raise FormatError(_WHAT, "it ends inside its header")
    version, found, codec, zero = untrusted[:4]
    if version != CHUNK_FORMAT:
        raise UnsupportedFormatError(_WHAT, version, (CHUNK_FORMAT,))
    if found != kind or zero:
        raise FormatError(_WHAT, "its header is that of another kind of chunk")
    end = HEADER_BYTES + int.from_bytes(untrusted[4:HEADER_BYTES], "little")
    if end > len(untrusted):
        raise FormatError(_WHAT, "it ends inside its run")
    return untrusted[HEADER_BYTES:end], codec, untrusted[end:]


def _check_digest(part: str, expected: bytes, canonical: bytes) -> None:
    computed = sha256(canonical).digest()
    if computed != expected:
        raise DigestMismatchError(f"{_WHAT} {part}", expected=expected, computed=computed)
