"""What endpoint and client say to each other: paths, headers, statuses, conditions and byte ranges.

Both ends import this file, so that they cannot disagree. It decides names and meanings, does no I/O, and knows no
HTTP library: headers come in as plain mappings and go out as plain dicts.

The codec of stored bytes travels in a header of our own and never in Content-Encoding: an HTTP client would undo
the latter unasked, without any of our limits, and bytes would no longer be what the ETag names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flatdb.nesting import nests_at_most
from proofs import LeafRun, RangeProof, cbor
from sync.checkpoint_store import CheckpointInfo, parse_digest
from sync.chunk_name import CHUNK_FORMAT
from sync.errors import FormatError, PeerError, PeerRefusedError, PeerUnavailableError
from sync.limits import Limits
from sync.manifest import MANIFEST_FORMAT
from sync.root import Root

CHECKPOINTS: Final = "/v1/checkpoints"
MANIFEST: Final = "/v1/checkpoints/{digest}"
CHUNK: Final = "/v1/chunks/{digest}"
PROOF: Final = "/v1/checkpoints/{digest}/proof"
WRITE_LOGS: Final = "/v1/write-logs"
HEALTH: Final = "/v1/health"
READY: Final = "/v1/ready"
METRICS: Final = "/v1/metrics"
OPENAPI: Final = "/v1/openapi.json"

CODEC_HEADER: Final = "Leafmirror-Codec"

BYTES: Final = "application/octet-stream"
CBOR: Final = "application/cbor"
CBOR_SEQUENCE: Final = "application/cbor-seq"
NDJSON: Final = "application/x-ndjson"
JSON: Final = "application/json"

FOREVER: Final = "public, max-age=31536000, immutable"
"""Cache-Control of everything that is named by its digest."""
MOMENT: Final = "no-cache"
"""Cache-Control of everything that may change: kept, but asked about each time."""

TOO_MANY_REQUESTS: Final = 429
PROOF_ANSWER_FORMAT: Final = 1

MANIFEST_CODEC: Final = f"manifest-{MANIFEST_FORMAT}"
CHUNK_CODEC: Final = f"chunk-{CHUNK_FORMAT}"
"""Values of CODEC_HEADER: in which form bytes travel. The codec of each part of a chunk is inside its stored bytes."""

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_NUMBER = re.compile(r"[0-9]{1,19}")
_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
_LISTING_LEVELS: Final = 8
"""An object with a list of objects of objects, and room for what later releases add."""
_RETRY_AFTER_MAX_S: Final = 3600.0


class InvalidQueryError(ValueError):
    """A parameter of a request that is not what it should be; the text says which and what."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How to answer a request for stored bytes: `status`, and the part [start, start + count) to send."""

    status: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class ListedCheckpoint:
    """A line of a listing, as far as a client reads it: a peer's claim to have a checkpoint of `root`."""

    digest: bytes
    root: Root
    manifest_format: int


def encode_listing(infos: Iterable[CheckpointInfo]) -> bytes:
    """A listing as JSON. Only digest, root and manifest_format are read by a restore; the rest is for people."""
    lines = [
        {
            "digest": info.digest.hex(),
            "root": info.root.to_json(),
            "manifest_format": MANIFEST_FORMAT,
            "cut": info.cut.kind,
            "leaf_count": info.leaf_count,
            "code_count": info.code_count,
            "chunk_count": info.chunk_count,
            "chunk_bytes": info.chunk_bytes,
        }
        for info in infos
    ]
    return json.dumps({"checkpoints": lines}).encode()


def decode_listing(untrusted: bytes, *, count_max: int) -> tuple[ListedCheckpoint, ...]:
    """The first `count_max` lines of a listing. Lines and fields that this release does not know are passed over.

    Raises:
        FormatError: not a listing.
    """
    if not nests_at_most(untrusted, _LISTING_LEVELS):
        raise FormatError("listing", "nested deeper than any listing")
    try:
        match json.loads(untrusted):
            case {"checkpoints": list(lines)}:
                return tuple(filter(None, map(_listed, lines[:count_max])))
    except ValueError as error:
        raise FormatError("listing", "not JSON") from error
    raise FormatError("listing", "it has no list of checkpoints")


def _listed(untrusted: Any) -> ListedCheckpoint | None:
    """A line, or None for one that speaks of something this release cannot name (a newer format or scheme)."""
    match untrusted:
        case {"digest": str(digest), "root": dict(root), "manifest_format": int(version)}:
            try:
                return ListedCheckpoint(parse_digest(digest), Root.from_json(root), version)
            except ValueError:
                return None
    return None


def encode_proof(proof: RangeProof, run: LeafRun) -> bytes:
    """An answer to a proof request: canonical CBOR [1, proof, leaf run], each part in its own canonical bytes."""
    return cbor.encode([PROOF_ANSWER_FORMAT, proof.encode(), run.encode()])


def decode_proof(untrusted: bytes, *, limits: Limits) -> tuple[RangeProof, LeafRun]:
    """The parts of such an answer, for `proofs.verify_range` to judge.

    Raises:
        FormatError, ProofError
    """
    match cbor.decode(untrusted, size_max=limits.proof_bytes_max + limits.chunk_bytes_max + 32):
        case [int(version), bytes(proof), bytes(run)] if version == PROOF_ANSWER_FORMAT:
            decoded = RangeProof.decode(proof, size_max=limits.proof_bytes_max)
            return decoded, LeafRun.decode(run, leaves_max=limits.proof_leaves_max)
    raise FormatError("proof answer", "it has a format, a range proof and a leaf run")


def manifest_path(digest: bytes) -> str:
    """Path of the manifest with this digest (32 bytes)."""
    return MANIFEST.format(digest=digest.hex())


def chunk_path(digest: bytes) -> str:
    """Path of the chunk with this digest (32 bytes)."""
    return CHUNK.format(digest=digest.hex())


def proof_path(manifest: bytes) -> str:
    """Path of proofs at the height of a checkpoint."""
    return PROOF.format(digest=manifest.hex())


def query_key(query: Mapping[str, str], name: str, *, key_bytes_max: int) -> bytes | None:
    """The leaf key in a query, in hex with or without 0x; None where it is left out.

    Raises:
        InvalidQueryError: not hex, or longer than `key_bytes_max`.
    """
    text = query.get(name)
    if text is None:
        return None
    digits = text.removeprefix("0x")
    if len(digits) > 2 * key_bytes_max or not _HEX.fullmatch(digits):
        raise InvalidQueryError(f"{name}: a key is at most {key_bytes_max} bytes in hex, two digits a byte")
    return bytes.fromhex(digits)


def query_number(query: Mapping[str, str], name: str, *, largest: int) -> int | None:
    """The decimal number in a query, 0 to `largest`; None where it is left out.

    Raises:
        InvalidQueryError
    """
    text = query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or int(text) > largest:
        raise InvalidQueryError(f"{name}: a number from 0 to {largest}")
    return int(text)


def etag(digest: bytes, codec: str, stored_digest: bytes) -> str:
    """Entity tag of stored bytes: what they are (digest), in which form (codec), and exactly which bytes.

    Two peers may store one chunk in different bytes, so only a tag that names them makes parts safe to join.
    """
    return f'"{digest.hex()}.{codec}.{stored_digest[:16].hex()}"'


def answer(method: str, headers: Mapping[str, str], *, tag: str, size: int) -> Answer:
    """Judge the conditions and the byte range of a request for `size` bytes with entity tag `tag`.

    RFC 9110, 13.2.2: If-Match, then If-None-Match, then If-Range and Range. A range that is malformed, or more than
    one of them, is ignored as the standard allows; one that begins behind the end is 416.
    """
    if "If-Match" in headers and not _matches(headers["If-Match"], tag, weak=False):
        return Answer(412, 0, 0)
    if "If-None-Match" in headers and _matches(headers["If-None-Match"], tag, weak=True):
        return Answer(304, 0, 0)
    whole = Answer(200, 0, size)
    if method != "GET" or "Range" not in headers or headers.get("If-Range", tag) != tag:
        return whole
    return _range(headers["Range"], size) or whole


def content_range(part: Answer, size: int) -> str:
    """Content-Range of a 206 or 416 answer."""
    return f"bytes */{size}" if part.status == 416 else f"bytes {part.start}-{part.start + part.count - 1}/{size}"


def parse_content_range(text: str) -> tuple[int, int, int]:
    """(start, count, whole size) of a 206 answer.

    Raises:
        ValueError: another form, or numbers that contradict each other.
    """
    match = _CONTENT_RANGE.fullmatch(text)
    if not match:
        raise ValueError("not a byte range")
    first, last, size = map(int, match.groups())
    if not first <= last < size:
        raise ValueError("a byte range that is none")
    return first, last + 1 - first, size


def refusal(peer: str, status: int, *, retry_after: str | None = None) -> PeerError:
    """The error that a status means to a client: the request was not answered with what it asked for."""
    if status == 408 or status >= 500:
        return PeerUnavailableError(peer, f"status {status}")
    return PeerRefusedError(peer, status, retry_after_s=parse_retry_after(retry_after))


def parse_retry_after(text: str | None) -> float | None:
    """Seconds to wait, never more than an hour; None where the peer gave no number of seconds."""
    if text is None or not _NUMBER.fullmatch(text):
        return None
    return min(float(text), _RETRY_AFTER_MAX_S)


def _matches(header: str, tag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    return any(f'"{value}"' == tag for is_weak, value in _TAG.findall(header) if weak or not is_weak)


def _range(header: str, size: int) -> Answer | None:
    match = _RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        count = min(int(last), size)
        return Answer(206, size - count, count) if count else Answer(416, 0, 0)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        return Answer(416, 0, 0)
    return Answer(206, start, (min(int(last) + 1, size) if last else size) - start)
