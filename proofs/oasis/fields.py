"""Field tables: what an Oasis message holds, which is also how it is checked.

Knows kinds of fields, no message of its own (`messages`). On the wire a message is a map in canonical CBOR of
RFC 7049: sorted by encoded key length first, then bytewise; no tags, no indefinite lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proofs.errors import MalformedProofError

ARRAY_COUNT_MAX = 10_000_000
"""Elements in one array; the reference's own bound."""

Plain = Any  # None, bool, int, bytes, str, list, dict


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of field: from a Python value to a plain one, and back with its checks."""

    encode: Callable[[Any], Plain]
    decode: Callable[[Plain], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A row of a message's table: the name on the wire, the attribute, its kind."""

    wire: str
    attribute: str
    kind: Kind
    omit: Any = ...
    """Value that is left out on the wire ("omitempty"); `...`: always written."""


def encode_fields(fields: tuple[Field, ...], message: object) -> dict[str, Plain]:
    out: dict[str, Plain] = {}
    for field in fields:
        value = getattr(message, field.attribute)
        if field.omit is ... or value != field.omit:
            out[field.wire] = field.kind.encode(value)
    return out


def decode_fields(fields: tuple[Field, ...], value: Plain) -> dict[str, Any]:
    """Attributes of a message.

    Raises:
        MalformedProofError: not a map, or a field missing or of the wrong kind.
    """
    if not isinstance(value, dict):
        raise MalformedProofError("a message is a map")
    out = {}
    for field in fields:
        if field.wire in value:
            try:
                out[field.attribute] = field.kind.decode(value[field.wire])
            except MalformedProofError as error:
                raise MalformedProofError(f"{field.wire}: {error.reason}") from None
        elif field.omit is ...:
            raise MalformedProofError(f"field {field.wire!r} is missing")
        else:
            out[field.attribute] = field.omit
    return out


def uint(bits: int) -> Kind:
    """An unsigned integer below 2**bits."""

    def decode(value: Plain) -> int:
        if type(value) is not int or not 0 <= value < 1 << bits:
            raise MalformedProofError(f"not an unsigned integer of {bits} bits")
        return value

    return Kind(lambda value: value, decode)


def octets(size: int | None = None) -> Kind:
    """A byte string, of exactly `size` bytes where given."""

    def decode(value: Plain) -> bytes:
        if type(value) is not bytes or (size is not None and len(value) != size):
            raise MalformedProofError("not a byte string" if size is None else f"not a string of {size} bytes")
        return value

    return Kind(lambda value: value, decode)


def boolean() -> Kind:
    def decode(value: Plain) -> bool:
        if type(value) is not bool:
            raise MalformedProofError("not true or false")
        return value

    return Kind(lambda value: value, decode)


def nullable(inner: Kind) -> Kind:
    """None where the wire says null, which is not the same as empty."""
    return Kind(
        lambda value: None if value is None else inner.encode(value),
        lambda value: None if value is None else inner.decode(value),
    )


def array(inner: Kind, *, count: int | None = None, null_is_empty: bool = False) -> Kind:
    """A tuple; Go writes a nil slice as null, which some fields read as empty."""

    def decode(value: Plain) -> tuple[Any, ...]:
        if value is None and null_is_empty:
            return ()
        if not isinstance(value, list) or (count is not None and len(value) != count):
            raise MalformedProofError("not an array" if count is None else f"not an array of {count}")
        if len(value) > ARRAY_COUNT_MAX:
            raise MalformedProofError(f"more than {ARRAY_COUNT_MAX} elements")
        return tuple(map(inner.decode, value))

    return Kind(lambda value: list(map(inner.encode, value)), decode)
