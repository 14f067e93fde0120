"""What the converters share: JSON of bounded size, and its hex and numbers, with errors that name the place.

Other programs write the same thing in several ways (0x or not, odd digits, decimal text or hex or JSON numbers);
this is the one place that knows them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from sidecar.errors import InvalidImportError

__all__ = ["DOCUMENT_BYTES_MAX", "parse_bytes", "parse_document", "parse_number", "parse_object", "parse_word"]

DOCUMENT_BYTES_MAX = 512 * 2**20
"""Largest JSON document that is parsed, after decompression: it is held in memory as a whole."""

DEPTH_MAX = 32

_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
"""A bracket, or a whole string: brackets within strings do not count."""
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]*)")
_DECIMAL = re.compile(r"[0-9]{1,80}")
_SHOWN_CHARS_MAX = 60


def parse_document(data: bytes) -> object:
    """The JSON value in `data`; a name that stands twice in one object is refused.

    Raises:
        InvalidImportError
    """
    if len(data) > DOCUMENT_BYTES_MAX:
        raise InvalidImportError("document", f"{len(data)} bytes; at most {DOCUMENT_BYTES_MAX} are read")
    _check_depth(data)
    try:
        value: object = json.loads(data, object_pairs_hook=_unique)
    except ValueError as error:
        raise InvalidImportError("document", f"not JSON: {error}") from error
    return value


def parse_object(where: str, value: object) -> Mapping[str, object]:
    """A JSON object.

    Raises:
        InvalidImportError
    """
    if not isinstance(value, dict):
        raise InvalidImportError(where, f"expected an object, not {_show(value)}")
    return value


def parse_bytes(where: str, value: object, *, size: int | None = None) -> bytes:
    """Bytes in hex, 0x or not, of exactly `size` bytes if that is given.

    Raises:
        InvalidImportError
    """
    digits = _digits(where, value)
    if len(digits) % 2:
        raise InvalidImportError(where, f"an odd number of hex digits: {_show(value)}")
    data = bytes.fromhex(digits)
    if size is not None and len(data) != size:
        raise InvalidImportError(where, f"{len(data)} bytes, not {size}")
    return data


def parse_word(where: str, value: object) -> bytes:
    """A 256-bit word in hex of at most 64 digits, padded on the left to 32 bytes.

    Raises:
        InvalidImportError
    """
    digits = _digits(where, value)
    if len(digits) > 64:
        raise InvalidImportError(where, f"more than 256 bits: {_show(value)}")
    return bytes.fromhex(digits.zfill(64))


def parse_number(where: str, value: object, *, bits_max: int) -> int:
    """A number as hex with 0x, as decimal text, or as a JSON integer; empty text is 0, as in geth.

    Raises:
        InvalidImportError: another form, negative, or 2**bits_max and more.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidImportError(where, f"expected a number, not {_show(value)}")
    if isinstance(value, int):
        number = value
    elif value[:2] in ("0x", "0X"):
        digits = _digits(where, value)
        if len(digits) > 64:
            raise InvalidImportError(where, f"more than 256 bits: {_show(value)}")
        number = int(digits or "0", 16)
    elif not value or _DECIMAL.fullmatch(value):
        number = int(value or "0")
    else:
        raise InvalidImportError(where, f"neither decimal nor 0x and hex: {_show(value)}")
    if not 0 <= number < 1 << bits_max:
        raise InvalidImportError(where, f"{_show(value)} is not within 0 and 2**{bits_max} - 1")
    return number


def _check_depth(data: bytes) -> None:
    """Refuse deep nesting before the parser meets it: that one recurses, and trusts the interpreter's limit."""
    depth = 0
    for token in _BRACKET.finditer(data):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                if depth > DEPTH_MAX:
                    raise InvalidImportError("document", f"nested more than {DEPTH_MAX} levels deep")
            case b"]" | b"}":
                depth -= 1


def _digits(where: str, value: object) -> str:
    match = _HEX.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InvalidImportError(where, f"expected hex, not {_show(value)}")
    return match[1]


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        twice = next(_repeated(name for name, _ in pairs))
        raise ValueError(f"the name {twice[:_SHOWN_CHARS_MAX]!r} stands twice in one object")
    return fields


def _repeated(names: Iterator[str]) -> Iterator[str]:
    seen = set[str]()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)


def _show(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "…"
