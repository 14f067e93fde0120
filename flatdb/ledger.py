"""How identity, lifetime state and height records are written into a Store, and read back strictly.

Decides the bytes of the `default` and `heights` families. Meta values are text so that a person with a RocksDB tool can
read them; a height is its key as 8 bytes big-endian, so that key order is height order.
"""

from __future__ import annotations

import json
import struct
from enum import StrEnum
from typing import Final

from flatdb.errors import DatabaseCorruptError, DatabaseNotFoundError, UnsupportedFormatError
from flatdb.store import HEIGHTS, META, Batch, Store
from flatdb.types import ROOT_BYTES, HeightRecord, Identity

__all__ = [
    "State",
    "decode_record",
    "height_key",
    "put_meta",
    "put_record",
    "read_identity",
    "read_restore_key",
    "read_state",
]

FORMAT: Final = "leafmirror-flatdb-1"
FORMAT_KEY: Final = b"format"
IDENTITY_KEY: Final = b"identity"
STATE_KEY: Final = b"state"
RESTORE_KEY: Final = b"restore_key"

HAS_ROOT: Final = 1
VERIFIED: Final = 2


class State(StrEnum):
    """A database's lifetime: STAGING -> MIRROR, once, by `seal`."""

    STAGING = "staging"
    MIRROR = "mirror"


def height_key(height: int) -> bytes:
    return struct.pack(">Q", height)


def put_meta(batch: Batch, identity: Identity, state: State, restore_key: bytes | None = None) -> None:
    fields = {"scheme": identity.scheme, "kind": identity.kind, "namespace": identity.namespace.hex()}
    batch.put(META, FORMAT_KEY, FORMAT.encode())
    batch.put(META, IDENTITY_KEY, json.dumps(fields, sort_keys=True).encode())
    batch.put(META, STATE_KEY, state.encode())
    if restore_key is not None:
        batch.put(META, RESTORE_KEY, restore_key)


def put_record(batch: Batch, record: HeightRecord) -> None:
    flags = HAS_ROOT * (record.root is not None) | VERIFIED * record.verified
    batch.put(HEIGHTS, height_key(record.height), bytes([flags]) + (record.root or b""))


def decode_record(key: bytes, value: bytes) -> HeightRecord:
    """Raises ValueError if these are not the bytes of one record."""
    if len(key) != 8:
        raise ValueError(f"a height key of {len(key)} bytes")
    flags, root = value[:1], value[1:]
    if flags == b"\0" and not root:
        return HeightRecord(int.from_bytes(key, "big"), None, verified=False)
    if flags in (b"\1", b"\3") and len(root) == ROOT_BYTES:
        return HeightRecord(int.from_bytes(key, "big"), root, verified=flags == b"\3")
    raise ValueError(f"a malformed height record: {value.hex()}")


def read_records(store: Store) -> list[HeightRecord]:
    """All kept records, ascending. Raises DatabaseCorruptError."""
    try:
        return [decode_record(key, value) for key, value in store.items(HEIGHTS)]
    except ValueError as error:
        raise DatabaseCorruptError(store.path, str(error)) from error


def read_state(store: Store) -> State:
    """Raises DatabaseNotFoundError if creation was never finished, UnsupportedFormatError, DatabaseCorruptError."""
    found = store.get(META, FORMAT_KEY)
    if found is None:
        raise DatabaseNotFoundError(store.path)
    if found != FORMAT.encode():
        raise UnsupportedFormatError(store.path, found.decode(errors="replace"), (FORMAT,))
    try:
        return State((store.get(META, STATE_KEY) or b"").decode())
    except ValueError as error:
        raise DatabaseCorruptError(store.path, f"unknown lifetime state: {error}") from error


def read_identity(store: Store) -> Identity:
    """Raises DatabaseCorruptError."""
    try:
        fields = json.loads(store.get(META, IDENTITY_KEY) or b"")
        return Identity(fields["scheme"], fields["kind"], bytes.fromhex(fields["namespace"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DatabaseCorruptError(store.path, f"unreadable identity: {error!r}") from error


def read_restore_key(store: Store) -> bytes:
    return store.get(META, RESTORE_KEY) or b""
