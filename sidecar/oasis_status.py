"""How an Oasis node says what went wrong: a gRPC status whose only detail is a module and a code in CBOR.

    google.rpc.Status   1: code (varint) · 2: message · 3: google.protobuf.Any
    Any                 2: value = CBOR {"code", "module"}; the type URL is left empty

Source: oasis-core `go/common/grpc/errors`.
"""

from __future__ import annotations

from proofs import cbor
from proofs.errors import MalformedProofError
from sidecar.errors import SourceError

DETAILS_KEY = "grpc-status-details-bin"
UNKNOWN = 2
"""The gRPC status that a node gives all of its own errors."""

CHECKPOINT, STORAGE, NODE_DB = "storage/mkvs/checkpoint", "storage", "storage/mkvs/db"
CHECKPOINT_NOT_FOUND, CHUNK_NOT_FOUND = (CHECKPOINT, 1), (CHECKPOINT, 2)
UNSUPPORTED, LIMIT_REACHED = (STORAGE, 4), (STORAGE, 5)
WRITE_LOG_NOT_FOUND, ROOT_NOT_FOUND, MUST_FOLLOW = (NODE_DB, 2), (NODE_DB, 8), (NODE_DB, 9)


class OasisCallError(SourceError):
    """A call that was answered with an error. `module` and `code` are the node's, ("", 0) where it gave none."""

    def __init__(self, source: str, kind: tuple[str, int], reason: str) -> None:
        self.module, self.code = self.kind = kind
        self.reason = reason
        super().__init__(source, reason)


def encode_status(kind: tuple[str, int], message: str) -> bytes:
    """The details of an error, as they stand in the trailing metadata."""
    module, code = kind
    value = cbor.encode({"code": code, "module": module})
    return b"\x08%c" % UNKNOWN + _field(2, message.encode()) + _field(3, _field(2, value))


def decode_status(untrusted: bytes) -> tuple[str, int]:
    """(module, code) in the details of an error; ("", 0) if there are none to be read."""
    try:
        details = [value for number, value in _fields(untrusted) if number == 3]
        (value,) = [value for number, value in _fields(details[0]) if number == 2]
        found = cbor.decode(value, size_max=1024)
        return str(found["module"]), int(found["code"])
    except (IndexError, KeyError, TypeError, ValueError, MalformedProofError):
        return "", 0


def _field(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    """Length-delimited fields of a message, by number; varints are skipped.

    Raises:
        IndexError, ValueError: not such a message.
    """
    found, offset = [], 0
    while offset < len(data):
        number, wire = data[offset] >> 3, data[offset] & 7
        size, offset = _read_varint(data, offset + 1)
        if wire == 2:
            found.append((number, data[offset : offset + size]))
            offset += size
        elif wire != 0:
            raise ValueError(f"wire type {wire}")
    return found


def _read_varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while data[offset] > 0x7F:
        value |= (data[offset] & 0x7F) << shift
        shift += 7
        offset += 1
    return value | data[offset] << shift, offset + 1
