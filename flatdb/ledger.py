"""How identity, lifetime state, height records and applied write logs lie in a Store, and are read back strictly.

Decides the bytes of the `default`, `heights` and `write_logs` families. Meta values are text so that a person with a
RocksDB tool can read them; a height is its key as 8 bytes big-endian, so that key order is height order.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from flatdb.errors import (
    DatabaseCorruptError,
    DatabaseNotFoundError,
    InvalidWriteLogError,
    UnsupportedFormatError,
)
from flatdb.store import HEIGHTS, LOGS, META, Batch, Store
from flatdb.types import ROOT_BYTES, HeightRecord, Identity, StoreLimits, WriteLog
from flatdb.writelog import decode_cbor, encode_cbor

__all__ = [
    "State",
    "decode_record",
    "decode_write_log",
    "forget",
    "height_key",
    "put_meta",
    "put_record",
    "put_write_log",
    "read_identity",
    "read_records",
    "read_restore_key",
    "read_state",
    "read_write_logs",
]

FORMAT: Final = "leafmirror-flatdb-1"
FORMAT_KEY: Final = b"format"
IDENTITY_KEY: Final = b"identity"
STATE_KEY: Final = b"state"
RESTORE_KEY: Final = b"restore_key"

KEPT_LIMITS: Final = StoreLimits(value_bytes_max=2**31 - 1, entry_count_max=2**31, log_bytes_max=2**31 - 1)
"""What any writer may have applied, whatever its own limits were."""

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


def put_write_log(batch: Batch, write_log: WriteLog) -> None:
    batch.put(LOGS, height_key(write_log.height), encode_cbor(write_log))


def forget(batch: Batch, height: int) -> None:
    """Drop the record and the write log of a height."""
    batch.delete(HEIGHTS, height_key(height))
    batch.delete(LOGS, height_key(height))


def decode_write_log(key: bytes, encoded: bytes) -> WriteLog:
    """Raises InvalidWriteLogError if these are not the bytes of one kept write log."""
    write_log = decode_cbor(encoded, KEPT_LIMITS)
    if height_key(write_log.height) != key:
        raise InvalidWriteLogError("height", f"{write_log.height} is kept under the key {key.hex()}")
    return write_log


def read_write_logs(store: Store, from_height: int, end_height: int | None = None) -> Iterator[WriteLog]:
    """Kept write logs with from_height <= height < end_height, ascending, as of this call.

    Raises DatabaseCorruptError.
    """
    end = None if end_height is None else height_key(end_height)
    return _decoded(store, store.items(LOGS, height_key(from_height), end))


def _decoded(store: Store, items: Iterator[tuple[bytes, bytes]]) -> Iterator[WriteLog]:
    for key, encoded in items:
        try:
            yield decode_write_log(key, encoded)
        except InvalidWriteLogError as error:
            raise DatabaseCorruptError(store.path, f"kept write log {key.hex()}: {error}") from error


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
