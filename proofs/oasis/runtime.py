"""What a node tells about the rounds of a runtime: block headers and the calls that give them.

Source: oasis-core `go/roothash/api/block`, `go/runtime/client/api`, `go/worker/storage/api`.
"""

from __future__ import annotations

from dataclasses import dataclass

from proofs.hashing import sha512_256
from proofs.oasis.fields import Field, octets, uint
from proofs.oasis.messages import IO, STATE, Message, OasisRoot, namespace_kind, nested


@dataclass(frozen=True, slots=True)
class Header(Message):
    """A round's header. Types: 1 normal, 2 failed, 3 epoch transition, 4 suspended; 2 to 4 keep the state root."""

    version: int
    namespace: bytes
    round: int
    timestamp: int
    header_type: int
    previous_hash: bytes
    io_root: bytes
    state_root: bytes
    messages_hash: bytes
    in_msgs_hash: bytes

    FIELDS = (
        Field("version", "version", uint(16)),
        Field("namespace", "namespace", namespace_kind()),
        Field("round", "round", uint(64)),
        Field("timestamp", "timestamp", uint(64)),
        Field("header_type", "header_type", uint(8)),
        Field("previous_hash", "previous_hash", octets(32)),
        Field("io_root", "io_root", octets(32)),
        Field("state_root", "state_root", octets(32)),
        Field("messages_hash", "messages_hash", octets(32)),
        Field("in_msgs_hash", "in_msgs_hash", octets(32)),
    )

    @property
    def encoded_hash(self) -> bytes:
        return sha512_256(self.encode())

    def root(self, root_type: int) -> OasisRoot:
        """The round's state or I/O root."""
        return OasisRoot(self.namespace, self.round, root_type, {STATE: self.state_root, IO: self.io_root}[root_type])


@dataclass(frozen=True, slots=True)
class Block(Message):
    header: Header

    FIELDS = (Field("header", "header", nested(Header)),)


@dataclass(frozen=True, slots=True)
class AnnotatedBlock(Message):
    """A block and the consensus height that finalised it."""

    block: Block
    consensus_height: int

    FIELDS = (Field("block", "block", nested(Block)), Field("consensus_height", "consensus_height", uint(63)))


@dataclass(frozen=True, slots=True)
class GetBlockRequest(Message):
    runtime_id: bytes
    round: int

    FIELDS = (Field("runtime_id", "runtime_id", namespace_kind()), Field("round", "round", uint(64)))
