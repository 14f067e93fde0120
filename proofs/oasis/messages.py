"""The messages of Oasis storage: roots, checkpoints, proofs, reads and diffs.

Decides names, kinds and order of fields, nothing else; each class is what it is on the wire, with Python
names. `encode` gives canonical bytes, `decode` takes one message and refuses everything that is not
exactly one. Source: oasis-core `go/storage/mkvs/{node,syncer,checkpoint,writelog}` and `go/storage/api`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from proofs import cbor
from proofs.errors import MalformedProofError
from proofs.hashing import sha512_256
from proofs.oasis.fields import Field, Kind, array, boolean, decode_fields, encode_fields, nullable, octets, uint

STATE, IO = 1, 2
"""Root types: the state of a runtime or of the consensus layer; the inputs and outputs of one round."""
ROOT_TYPES = {"state": STATE, "io": IO}
CHECKPOINT_VERSION = 1
"""The only checkpoint version there is."""
MESSAGE_BYTES_MAX = 104_857_600
"""Bytes of one message; the reference's own bound for its services."""
EMPTY_HASH = sha512_256(b"")
_FLAGS_ALLOWED = 0b11 << 62  # test and key manager; a namespace with any other flag is refused


class Message:
    """A map with a table of fields."""

    FIELDS: ClassVar[tuple[Field, ...]]

    def encode(self) -> bytes:
        """Canonical CBOR."""
        return cbor.encode(encode_fields(self.FIELDS, self))

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True, size_max: int = MESSAGE_BYTES_MAX) -> Self:
        """One message. A call (`strict=False`) may carry fields that we do not know, as the reference allows.

        Raises:
            MalformedProofError: anything but exactly one such message, in canonical form.
        """
        message = cls.from_plain(cbor.decode(data, size_max=size_max))
        if strict and message.encode() != data:
            raise MalformedProofError("fields that the message does not have")
        return message

    @classmethod
    def from_plain(cls, value: Any) -> Self:
        """The message in an already decoded map; fields that it does not have are ignored.

        Raises:
            MalformedProofError: not a map, or a field missing or of the wrong kind.
        """
        return cls(**decode_fields(cls.FIELDS, value))


def nested(message: type[Message]) -> Kind:
    return Kind(lambda value: encode_fields(message.FIELDS, value), message.from_plain)


def namespace_kind() -> Kind:
    inner = octets(32)

    def decode(value: Any) -> bytes:
        namespace: bytes = inner.decode(value)
        if int.from_bytes(namespace[:8]) & ~_FLAGS_ALLOWED:
            raise MalformedProofError("namespace with reserved flags")
        return namespace

    return Kind(inner.encode, decode)


@dataclass(frozen=True, slots=True)
class OasisRoot(Message):
    """Where a state is committed to. `version` is the runtime round or the consensus height."""

    namespace: bytes
    version: int
    root_type: int
    hash: bytes

    FIELDS = (
        Field("ns", "namespace", namespace_kind()),
        Field("hash", "hash", octets(32)),
        Field("version", "version", uint(64)),
        Field("root_type", "root_type", uint(8)),
    )

    @property
    def encoded_hash(self) -> bytes:
        return sha512_256(self.encode())

    def follows(self, old: OasisRoot) -> bool:
        """Whether a diff from `old` to this root can exist."""
        same = (self.namespace, self.root_type) == (old.namespace, old.root_type)
        return same and self.version - old.version in (0, 1)


_ROOT = nested(OasisRoot)


@dataclass(frozen=True, slots=True)
class Metadata(Message):
    """A checkpoint: its root and the digests (SHA-512/256 of the file) of its chunks in index order."""

    root: OasisRoot
    chunks: tuple[bytes, ...]
    version: int = CHECKPOINT_VERSION

    FIELDS = (
        Field("root", "root", _ROOT),
        Field("chunks", "chunks", array(octets(32))),
        Field("version", "version", uint(16)),
    )

    @property
    def encoded_hash(self) -> bytes:
        """The identity of the checkpoint: equal on every node that made the same one."""
        return sha512_256(self.encode())

    def check(self) -> None:
        """What a receiver requires.

        Raises:
            MalformedProofError: another version, a root type that does not exist, no chunks.
        """
        if self.version != CHECKPOINT_VERSION:
            raise MalformedProofError(f"checkpoint version {self.version}, known: {CHECKPOINT_VERSION}")
        if self.root.root_type not in (STATE, IO):
            raise MalformedProofError(f"root type {self.root.root_type} does not exist")
        if not self.chunks:
            raise MalformedProofError("a checkpoint has at least one chunk")

    def chunk(self, index: int) -> ChunkMetadata:
        return ChunkMetadata(self.root, index, self.chunks[index], self.version)


@dataclass(frozen=True, slots=True)
class ChunkMetadata(Message):
    """One chunk of a checkpoint, as it is asked for."""

    root: OasisRoot
    index: int
    digest: bytes
    version: int = CHECKPOINT_VERSION

    FIELDS = (
        Field("root", "root", _ROOT),
        Field("index", "index", uint(64)),
        Field("digest", "digest", octets(32)),
        Field("version", "version", uint(16)),
    )


@dataclass(frozen=True, slots=True)
class GetCheckpointsRequest(Message):
    namespace: bytes
    root_version: int | None = None
    version: int = CHECKPOINT_VERSION

    FIELDS = (
        Field("version", "version", uint(16)),
        Field("namespace", "namespace", namespace_kind()),
        Field("root_version", "root_version", nullable(uint(64)), omit=None),
    )


@dataclass(frozen=True, slots=True)
class TreeID(Message):
    """A root, and the subtree that the caller already stands at."""

    root: OasisRoot
    position: bytes

    FIELDS = (Field("root", "root", _ROOT), Field("position", "position", octets(32)))


_TREE = Field("tree", "tree", nested(TreeID))
_PROOF_VERSION = Field("proof_version", "proof_version", uint(16), omit=0)


@dataclass(frozen=True, slots=True)
class GetRequest(Message):
    tree: TreeID
    key: bytes
    proof_version: int = 0
    include_siblings: bool = False

    FIELDS = (
        _TREE,
        Field("key", "key", octets()),
        _PROOF_VERSION,
        Field("include_siblings", "include_siblings", boolean(), omit=False),
    )


@dataclass(frozen=True, slots=True)
class GetPrefixesRequest(Message):
    tree: TreeID
    prefixes: tuple[bytes, ...]
    limit: int
    proof_version: int = 0

    FIELDS = (
        _TREE,
        Field("prefixes", "prefixes", array(octets(), null_is_empty=True)),
        Field("limit", "limit", uint(16)),
        _PROOF_VERSION,
    )


@dataclass(frozen=True, slots=True)
class IterateRequest(Message):
    tree: TreeID
    key: bytes
    prefetch: int
    proof_version: int = 0

    FIELDS = (_TREE, Field("key", "key", octets()), Field("prefetch", "prefetch", uint(16)), _PROOF_VERSION)


@dataclass(frozen=True, slots=True)
class Proof(Message):
    """A pre-order walk of the included nodes. Nothing in it is believed before it is verified."""

    version: int
    entries: tuple[bytes | None, ...]
    untrusted_root: bytes

    FIELDS = (
        Field("v", "version", uint(16), omit=0),
        Field("entries", "entries", array(nullable(octets()))),
        Field("untrusted_root", "untrusted_root", octets(32)),
    )


@dataclass(frozen=True, slots=True)
class ProofResponse(Message):
    proof: Proof

    FIELDS = (Field("proof", "proof", nested(Proof)),)


LogEntry = tuple[bytes, bytes | None]
WriteLog = tuple[LogEntry, ...]


def _log_entry() -> Kind:
    key, value = octets(), nullable(octets())

    def decode(entry: Any) -> LogEntry:
        if not isinstance(entry, list) or len(entry) != 2:
            raise MalformedProofError("a log entry is [key, value or null]")
        return key.decode(entry[0]), value.decode(entry[1])

    return Kind(list, decode)


WRITE_LOG = nullable(array(_log_entry()))


def encode_write_log(log: WriteLog | None) -> bytes:
    """[[key, value or null (delete)]*]; None (Go: nil) is null."""
    return cbor.encode(WRITE_LOG.encode(log))


def decode_write_log(data: bytes) -> WriteLog | None:
    """The inverse.

    Raises:
        MalformedProofError
    """
    log: WriteLog | None = WRITE_LOG.decode(cbor.decode(data, size_max=MESSAGE_BYTES_MAX))
    return log


@dataclass(frozen=True, slots=True)
class SyncOptions(Message):
    limit: int = 0
    offset_key: bytes | None = None

    FIELDS = (Field("limit", "limit", uint(64)), Field("offset_key", "offset_key", nullable(octets())))


@dataclass(frozen=True, slots=True)
class GetDiffRequest(Message):
    start_root: OasisRoot
    end_root: OasisRoot
    options: SyncOptions = SyncOptions()

    FIELDS = (
        Field("start_root", "start_root", _ROOT),
        Field("end_root", "end_root", _ROOT),
        Field("options", "options", nested(SyncOptions)),
    )


@dataclass(frozen=True, slots=True)
class SyncChunk(Message):
    """A piece of a diff; the one with `final` ends it."""

    final: bool
    write_log: WriteLog | None

    FIELDS = (Field("final", "final", boolean()), Field("writelog", "write_log", WRITE_LOG))
