"""The write log: what makes one well formed, and its two encodings (a JSON line, a CBOR map).

Decides which write logs exist at all. Knows no paths (`writelog_file`) and no database. cbor2 is imported here only.
Write logs come from nodes and peers, so that limits are judged before the work that they bound. JSON is counted before
it is parsed. CBOR is read head by head: a general decoder would build whatever the input asks for (64 bytes of list for
every byte read), while this shape needs ten lines of heads.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final, NoReturn

import cbor2

from flatdb.errors import InvalidWriteLogError
from flatdb.nesting import nests_at_most
from flatdb.types import HEIGHT_MAX, ROOT_BYTES, StoreLimits, WriteLog

__all__ = [
    "decode_cbor",
    "decode_json",
    "encode_cbor",
    "encode_json",
    "read_cbor",
    "read_ndjson",
    "validate",
    "write_cbor",
    "write_ndjson",
]

REQUIRED: Final = frozenset(("height", "root", "writes"))
FIELDS: Final = REQUIRED | {"parent_root", "clear", "code"}
NAME_BYTES_MAX: Final = 16
JSON_LEVELS: Final = 3
"""An object of lists of pairs."""

CBOR_UINT: Final = 0
CBOR_BYTES: Final = 2
CBOR_TEXT: Final = 3
CBOR_ARRAY: Final = 4
CBOR_MAP: Final = 5
CBOR_NULL: Final = (7, 22)


def validate(write_log: WriteLog, limits: StoreLimits) -> None:
    """Raise InvalidWriteLogError unless every rule and every limit holds. One pass, no copies."""
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
    size += _check_values("writes", (value for _, value in write_log.writes), limits)
    size += _check_values("code", (blob for _, blob in write_log.code), limits)
    if size > limits.log_bytes_max:
        raise InvalidWriteLogError("writes", f"{size} bytes in all, at most {limits.log_bytes_max} are allowed")


def read_ndjson(lines: BinaryIO, limits: StoreLimits) -> Iterator[WriteLog]:
    """One write log a line. Holds one line of at most `limits.record_bytes_max` bytes at a time.

    Raises InvalidWriteLogError, its entry beginning with the line number.
    """
    number = 0
    while line := lines.readline(limits.record_bytes_max + 1):
        number += 1
        try:
            yield decode_json(line, limits)
        except InvalidWriteLogError as error:
            raise InvalidWriteLogError(f"line {number}, {error.entry}", error.reason) from error


def write_ndjson(lines: BinaryIO, write_logs: Iterable[WriteLog]) -> None:
    """The inverse of `read_ndjson`."""
    for write_log in write_logs:
        lines.write(encode_json(write_log))


def decode_json(line: bytes, limits: StoreLimits) -> WriteLog:
    """One line, with or without its line end, to a valid write log. Raises InvalidWriteLogError."""
    if len(line) > limits.record_bytes_max:
        raise InvalidWriteLogError("line", f"more than {limits.record_bytes_max} bytes")
    # Every element of a JSON container follows a bracket, a brace or a comma: this bounds what parsing builds.
    # At most three of them go with an entry (`["key",null],`), and a dozen with the fields.
    if sum(map(line.count, (b",", b"[", b"{"))) > 3 * limits.entry_count_max + 16:
        raise InvalidWriteLogError("line", f"more than {limits.entry_count_max} entries")
    if not nests_at_most(line, JSON_LEVELS):
        raise InvalidWriteLogError("line", "brackets that no write log has")
    try:
        fields = json.loads(line, object_pairs_hook=_unique)
    except ValueError as error:
        raise InvalidWriteLogError("line", f"not a JSON object: {error}") from error
    write_log = _from_json(fields)
    validate(write_log, limits)
    return write_log


def encode_json(write_log: WriteLog) -> bytes:
    """One line, its line end included. What may be left out is left out when empty."""
    fields: dict[str, object] = {"height": write_log.height}
    if write_log.parent_root is not None:
        fields["parent_root"] = write_log.parent_root.hex()
    fields["root"] = None if write_log.root is None else write_log.root.hex()
    if write_log.clear:
        fields["clear"] = [prefix.hex() for prefix in write_log.clear]
    fields["writes"] = [[key.hex(), None if value is None else value.hex()] for key, value in write_log.writes]
    if write_log.code:
        fields["code"] = {digest.hex(): blob.hex() for digest, blob in write_log.code}
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def read_cbor(items: BinaryIO, limits: StoreLimits) -> Iterator[WriteLog]:
    """A CBOR sequence (RFC 8742) of write logs. Raises InvalidWriteLogError, its entry naming the item."""
    number = 0
    while first := items.read(1):
        number += 1
        try:
            write_log = _CBORItem(items, limits).read(first)
            validate(write_log, limits)
        except InvalidWriteLogError as error:
            raise InvalidWriteLogError(f"item {number}, {error.entry}", error.reason) from error
        yield write_log


def write_cbor(items: BinaryIO, write_logs: Iterable[WriteLog]) -> None:
    """The inverse of `read_cbor`."""
    for write_log in write_logs:
        items.write(encode_cbor(write_log))


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


def decode_cbor(encoded: bytes, limits: StoreLimits) -> WriteLog:
    """Exactly one item. Raises InvalidWriteLogError."""
    stream = io.BytesIO(encoded)
    write_log = next(read_cbor(stream, limits), None)
    if write_log is None or stream.read(1):
        raise InvalidWriteLogError("item", "not exactly one CBOR item")
    return write_log


class _CBORItem:
    """Reads one map, and no more than the limits allow: each count and size is judged at its head."""

    def __init__(self, stream: BinaryIO, limits: StoreLimits) -> None:
        self._stream = stream
        self._limits = limits
        self._entries_left = limits.entry_count_max
        self._bytes_left = limits.log_bytes_max + 2 * ROOT_BYTES + len(FIELDS) * NAME_BYTES_MAX

    def read(self, first: bytes) -> WriteLog:
        major, count = self._head_after(first)
        if major != CBOR_MAP or count > len(FIELDS):
            raise InvalidWriteLogError("item", "not a CBOR map of a write log's fields")
        fields: dict[str, Any] = {}
        for _ in range(count):
            name = self._payload(self._head(), CBOR_TEXT, "item").decode(errors="replace")
            if name in fields or name not in FIELDS:
                raise InvalidWriteLogError(
                    "item", f"field {name!r} is {'there twice' if name in fields else 'unknown'}"
                )
            fields[name] = self._field(name)
        _check_fields(fields)
        return WriteLog(**fields)

    def _field(self, name: str) -> object:
        match name:
            case "height":
                major, height = self._head()
                return height if major == CBOR_UINT else _refuse(name, "not an unsigned integer")
            case "clear":
                return tuple(self._bytes(name) for _ in range(self._count(CBOR_ARRAY, name)))
            case "writes":
                return tuple(self._write() for _ in range(self._count(CBOR_ARRAY, name)))
            case "code":
                pairs = ((self._bytes(name), self._bytes(name)) for _ in range(self._count(CBOR_MAP, name)))
                return tuple(sorted(pairs))  # a map has no order, and canonical CBOR puts short keys first
            case _:
                return self._bytes_or_null(name)

    def _write(self) -> tuple[bytes, bytes | None]:
        if self._head() != (CBOR_ARRAY, 2):
            raise InvalidWriteLogError("writes", "not a [key, value] pair")
        return self._bytes("writes"), self._bytes_or_null("writes")

    def _bytes(self, name: str) -> bytes:
        return self._payload(self._head(), CBOR_BYTES, name)

    def _bytes_or_null(self, name: str) -> bytes | None:
        head = self._head()
        return None if head == CBOR_NULL else self._payload(head, CBOR_BYTES, name)

    def _payload(self, head: tuple[int, int], major: int, name: str) -> bytes:
        found, size = head
        if found != major:
            raise InvalidWriteLogError(name, "not a byte string" if major == CBOR_BYTES else "not a text string")
        self._bytes_left -= size
        if self._bytes_left < 0 or (major == CBOR_TEXT and size > NAME_BYTES_MAX):
            raise InvalidWriteLogError(name, f"{size} bytes are more than allowed here")
        return self._exactly(size)

    def _count(self, major: int, name: str) -> int:
        found, count = self._head()
        if found != major:
            raise InvalidWriteLogError(name, "not a list" if major == CBOR_ARRAY else "not a map")
        self._entries_left -= count
        if self._entries_left < 0:
            raise InvalidWriteLogError(name, f"more than {self._limits.entry_count_max} entries")
        return count

    def _head(self) -> tuple[int, int]:
        return self._head_after(self._exactly(1))

    def _head_after(self, first: bytes) -> tuple[int, int]:
        major, info = first[0] >> 5, first[0] & 31
        if info < 24:
            return major, info
        if info > 27 or major > CBOR_MAP:
            raise InvalidWriteLogError("item", "indefinite lengths, tags and floats have no place in a write log")
        return major, int.from_bytes(self._exactly(1 << (info - 24)), "big")

    def _exactly(self, size: int) -> bytes:
        payload = self._stream.read(size)
        if len(payload) != size:
            raise InvalidWriteLogError("item", "ends in the middle")
        return payload


def _from_json(fields: object) -> WriteLog:
    if not isinstance(fields, dict):
        raise InvalidWriteLogError("line", "not a JSON object")
    _check_fields(fields)
    height = fields["height"]
    if type(height) is not int:
        raise InvalidWriteLogError("height", "not an integer")
    code = fields.get("code", {})
    if not isinstance(code, dict):
        raise InvalidWriteLogError("code", "not an object")
    pairs = [
        (_unhex(f"code[{i}]", digest), _unhex(f"code[{i}]", blob)) for i, (digest, blob) in enumerate(code.items())
    ]
    return WriteLog(
        height=height,
        parent_root=_unhex_or_null("parent_root", fields.get("parent_root")),
        root=_unhex_or_null("root", fields["root"]),
        clear=tuple(_unhex(f"clear[{i}]", prefix) for i, prefix in enumerate(_list("clear", fields.get("clear", [])))),
        writes=tuple(_write_from_json(i, pair) for i, pair in enumerate(_list("writes", fields["writes"]))),
        code=tuple(sorted(pairs)),
    )


def _write_from_json(index: int, pair: object) -> tuple[bytes, bytes | None]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise InvalidWriteLogError(f"writes[{index}]", "not a [key, value] pair")
    return _unhex(f"writes[{index}]", pair[0]), _unhex_or_null(f"writes[{index}]", pair[1])


def _check_fields(fields: dict[str, Any]) -> None:
    if missing := REQUIRED - fields.keys():
        raise InvalidWriteLogError(min(missing), "is missing")
    if unknown := fields.keys() - FIELDS:
        raise InvalidWriteLogError(min(unknown), "is not a field of a write log")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is there twice")
    return fields


def _list(name: str, value: object) -> list[Any]:
    return value if isinstance(value, list) else _refuse(name, "not a list")


def _unhex_or_null(entry: str, value: object) -> bytes | None:
    return None if value is None else _unhex(entry, value)


def _unhex(entry: str, text: object) -> bytes:
    if not isinstance(text, str):
        return _refuse(entry, "not a hex string")
    digits = text.removeprefix("0x")
    try:
        decoded = bytes.fromhex(digits)
    except ValueError:
        return _refuse(entry, "not a hex string")
    # fromhex skips blanks, which would let one key be written in several ways
    return decoded if 2 * len(decoded) == len(digits) else _refuse(entry, "blanks within a hex string")


def _refuse(entry: str, reason: str) -> NoReturn:
    raise InvalidWriteLogError(entry, reason)


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


def _check_values(name: str, values: Iterable[bytes | None], limits: StoreLimits) -> int:
    size = 0
    for index, value in enumerate(values):
        if value is None:
            continue
        if len(value) > limits.value_bytes_max:
            reason = f"a value of {len(value)} bytes, at most {limits.value_bytes_max} are allowed"
            raise InvalidWriteLogError(f"{name}[{index}]", reason)
        size += len(value)
    return size
