"""The write log: what makes one well formed, and its two encodings (a JSON line, a CBOR map).

Decides which write logs exist at all. Knows no files (`writelog_file`) and no database. cbor2 is imported here only.
Limits are judged before the work that they bound: sizes before decoding, counts before building tuples.
"""

from __future__ import annotations

from collections.abc import Iterable

import cbor2

from flatdb.errors import InvalidWriteLogError
from flatdb.types import HEIGHT_MAX, ROOT_BYTES, StoreLimits, WriteLog

__all__ = ["decode_cbor", "encode_cbor", "validate"]

FIELDS = ("height", "parent_root", "root", "clear", "writes", "code")


def validate(write_log: WriteLog, limits: StoreLimits) -> None:
    """Raise InvalidWriteLogError unless every rule and every limit holds. Costs one pass, no copies."""
    if not 0 <= write_log.height <= HEIGHT_MAX:
        raise InvalidWriteLogError("height", f"{write_log.height} is not within 0 and {HEIGHT_MAX}")
    for name, root in (("parent_root", write_log.parent_root), ("root", write_log.root)):
        if root is not None and len(root) != ROOT_BYTES:
            raise InvalidWriteLogError(name, f"{len(root)} bytes, not {ROOT_BYTES}")
    count = len(write_log.clear) + len(write_log.writes) + len(write_log.code)
    if count > limits.entry_count_max:
        raise InvalidWriteLogError("writes", f"{count} entries, at most {limits.entry_count_max} are allowed")
    size = _check_keys("clear", write_log.clear, limits.key_bytes_max)
    size += _check_keys("writes", (key for key, _ in write_log.writes), limits.key_bytes_max)
    size += _check_keys("code", (digest for digest, _ in write_log.code), limits.hash_bytes_max)
    size += _check_values("writes", (value for _, value in write_log.writes if value is not None), limits)
    size += _check_values("code", (blob for _, blob in write_log.code), limits)
    if size > limits.log_bytes_max:
        raise InvalidWriteLogError("writes", f"{size} bytes in all, at most {limits.log_bytes_max} are allowed")


def encode_cbor(write_log: WriteLog) -> bytes:
    """The binary form: one canonical CBOR map with every field present."""
    fields = {
        "height": write_log.height,
        "parent_root": write_log.parent_root,
        "root": write_log.root,
        "clear": write_log.clear,
        "writes": write_log.writes,
        "code": dict(write_log.code),
    }
    return cbor2.dumps(fields, canonical=True)


def _check_keys(name: str, keys: Iterable[bytes], bytes_max: int) -> int:
    previous: bytes | None = None
    size = 0
    for index, key in enumerate(keys):
        if previous is not None and key <= previous:
            reason = "is there twice" if key == previous else f"does not come after {previous.hex()}"
            raise InvalidWriteLogError(f"{name}[{index}]", f"{key.hex()} {reason}")
        if len(key) > bytes_max:
            raise InvalidWriteLogError(f"{name}[{index}]", f"{len(key)} bytes, at most {bytes_max} are allowed")
        size += len(key)
        previous = key
    return size


def _check_values(name: str, values: Iterable[bytes], limits: StoreLimits) -> int:
    size = 0
    for value in values:
        if len(value) > limits.value_bytes_max:
            raise InvalidWriteLogError(
                name, f"a value of {len(value)} bytes, at most {limits.value_bytes_max} are allowed"
            )
        size += len(value)
    return size


def decode_cbor(encoded: bytes) -> WriteLog:
    fields = cbor2.loads(encoded)
    return WriteLog(
        height=fields["height"],
        parent_root=fields["parent_root"],
        root=fields["root"],
        clear=tuple(fields["clear"]),
        writes=tuple((key, value) for key, value in fields["writes"]),
        code=tuple(fields["code"].items()),
    )
