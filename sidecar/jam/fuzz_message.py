"""Messages of JAM's fuzz protocol, version 1: how a conformance fuzzer and a target speak.

Each message is a 32-bit length, a variant byte and its content. Blocks and headers pass through as bytes; only their
ends and hashes are known here. Source: davxy/jam-conformance `fuzz-proto`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proofs import MalformedProofError
from proofs.ce129 import encode_pairs, take_state
from proofs.natural import decode_natural, encode_natural
from sidecar.jam.header import TINY, ChainSpec, Header, decode_header

__all__ = [
    "Failure",
    "GetState",
    "ImportBlock",
    "Initialize",
    "Message",
    "PeerInfo",
    "StateMessage",
    "StateRoot",
    "decode_message",
    "encode_message",
]

FUZZ_VERSION = 1
MESSAGE_BYTES_MAX = 256 * 2**20
_HASH = 32
_ANCESTOR_BYTES = 4 + _HASH
_INFO_BYTES = 1 + 4 + 3 + 3

Leaves = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """Who speaks. `features`: bit 0 ancestry, bit 1 simple forks."""

    name: str
    jam_version: tuple[int, int, int]
    app_version: tuple[int, int, int]
    features: int = 0
    fuzz_version: int = FUZZ_VERSION


@dataclass(frozen=True, slots=True)
class Initialize:
    """Start from this state, which belongs to `header`; answered by its root. Ancestors are (slot, header hash)."""

    header: bytes
    leaves: Leaves
    ancestors: Sequence[tuple[int, bytes]] = ()


@dataclass(frozen=True, slots=True)
class StateRoot:
    """The root of the state just reached."""

    root: bytes


@dataclass(frozen=True, slots=True)
class ImportBlock:
    """Import this block; answered by the root of its posterior state, or a failure."""

    block: bytes


@dataclass(frozen=True, slots=True)
class GetState:
    """Send all leaves of the posterior state of this block."""

    header_hash: bytes


@dataclass(frozen=True, slots=True)
class StateMessage:
    """All leaves of a state."""

    leaves: Leaves


@dataclass(frozen=True, slots=True)
class Failure:
    """The block was not accepted; `reason` is for people."""

    reason: bytes = b""


Message = PeerInfo | Initialize | StateRoot | ImportBlock | GetState | StateMessage | Failure


def encode_message(message: Message) -> bytes:
    """Variant and content, without the length."""
    match message:
        case PeerInfo():
            name = message.name.encode()
            versions = bytes((*message.jam_version, *message.app_version))
            head = bytes((0, message.fuzz_version)) + message.features.to_bytes(4, "little")
            return head + versions + encode_natural(len(name)) + name
        case Initialize():
            ancestors = b"".join(slot.to_bytes(4, "little") + digest for slot, digest in message.ancestors)
            return b"\1" + message.header + _state(message.leaves) + encode_natural(len(message.ancestors)) + ancestors
        case StateRoot():
            return b"\2" + message.root
        case ImportBlock():
            return b"\3" + message.block
        case GetState():
            return b"\4" + message.header_hash
        case StateMessage():
            return b"\5" + _state(message.leaves)
        case Failure():
            return b"\xff" + message.reason


def decode_message(data: bytes, *, spec: ChainSpec = TINY) -> Message:
    """Read variant and content.

    Raises:
        MalformedProofError
    """
    body = data[1:]
    match data[:1]:
        case b"\0":
            return _decode_info(body)
        case b"\1":
            return _decode_initialize(body, spec)
        case b"\2" if len(body) == _HASH:
            return StateRoot(body)
        case b"\3":
            return ImportBlock(body)
        case b"\4" if len(body) == _HASH:
            return GetState(body)
        case b"\5":
            leaves, at = take_state(body, 0)
            if at != len(body):
                raise MalformedProofError("bytes follow a state", at)
            return StateMessage(sorted(leaves.items()))
        case b"\xff":
            return Failure(body)
        case variant:
            raise MalformedProofError(f"no fuzz message has variant {variant.hex() or 'none'} and {len(body)} bytes", 0)


def header_of(message: Initialize | ImportBlock, *, spec: ChainSpec = TINY) -> Header:
    """The header that the message brings.

    Raises:
        MalformedProofError
    """
    header, _ = decode_header(message.header if isinstance(message, Initialize) else message.block, spec=spec)
    return header


def _state(leaves: Leaves) -> bytes:
    return encode_natural(len(leaves)) + encode_pairs(leaves)


def _decode_info(body: bytes) -> PeerInfo:
    size, at = decode_natural(body, _INFO_BYTES)
    if at + size != len(body):
        raise MalformedProofError("a name and its message do not end together", at)
    try:
        name = body[at:].decode()
    except UnicodeDecodeError as error:
        raise MalformedProofError("a name is not UTF-8", at) from error
    jam, app = tuple(body[5:8]), tuple(body[8:11])
    features = int.from_bytes(body[1:5], "little")
    return PeerInfo(name, (jam[0], jam[1], jam[2]), (app[0], app[1], app[2]), features, body[0])


def _decode_initialize(body: bytes, spec: ChainSpec) -> Initialize:
    _, behind = decode_header(body, spec=spec)
    leaves, at = take_state(body, behind)
    ancestor_count, at = decode_natural(body, at)
    if len(body) - at != ancestor_count * _ANCESTOR_BYTES:
        raise MalformedProofError("the ancestors do not fill the message", at)
    ancestors = [
        (int.from_bytes(body[i : i + 4], "little"), body[i + 4 : i + _ANCESTOR_BYTES])
        for i in range(at, len(body), _ANCESTOR_BYTES)
    ]
    return Initialize(body[:behind], sorted(leaves.items()), ancestors)
