"""Recursive Length Prefix, as far as a trie needs it: encoding of strings and lists, strict decoding.

Strict: shortest length forms only, one item and nothing behind it. Source: Ethereum Yellow Paper, appendix B.
"""

from __future__ import annotations

from proofs.errors import MalformedProofError

RLP = bytes | list["RLP"]
"""A decoded item: a byte string, or a list of items."""

_DEPTH_MAX = 8
"""Nesting that we decode: a trie node inlines a few levels (each shorter than 32 bytes), an account is flat."""


def encode_string(data: bytes) -> bytes:
    """RLP of a byte string."""
    size = len(data)
    if size == 1 and data[0] < 0x80:
        return data
    if size < 56:
        return bytes((0x80 + size,)) + data
    return _long_header(0xB7, size) + data


def encode_list(body: bytes) -> bytes:
    """RLP of a list whose items are already encoded and joined in `body`."""
    size = len(body)
    if size < 56:
        return bytes((0xC0 + size,)) + body
    return _long_header(0xF7, size) + body


def encode_integer(number: int) -> bytes:
    """RLP of a non-negative integer: its shortest big-endian form."""
    return encode_string(number.to_bytes((number.bit_length() + 7) // 8))


def decode(data: bytes) -> RLP:
    """The one item in `data`.

    Raises:
        MalformedProofError: not exactly one item in its shortest form, or nested too deep.
    """
    item, end = _decode(data, 0, len(data), 0)
    if end != len(data):
        raise MalformedProofError("bytes after the item", end)
    return item


def split_list(data: bytes) -> list[bytes]:
    """The items of a list, each still encoded; nested items are checked to be strict too.

    Raises:
        MalformedProofError
    """
    if not data or data[0] < 0xC0:
        raise MalformedProofError("expected a list", 0)
    decode(data)
    start, _ = _payload(data, 0, len(data))
    items = []
    while start < len(data):
        _, end = _payload(data, start, len(data))
        items.append(data[start:end])
        start = end
    return items


def _long_header(base: int, size: int) -> bytes:
    width = (size.bit_length() + 7) // 8
    return bytes((base + width,)) + size.to_bytes(width)


def _payload(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the payload of the item at `at` begins and ends; strict about the header alone."""
    if at >= end:
        raise MalformedProofError("an item is missing", at)
    head = data[at]
    if head < 0x80:
        return at, at + 1
    base = 0x80 if head < 0xC0 else 0xC0
    size = head - base
    start = at + 1
    if size > 55:
        width = size - 55
        size = int.from_bytes(data[start : start + width])
        if start + width > end or size < 56 or not data[start]:
            raise MalformedProofError("a length is not in its shortest form", at)
        start += width
    if start + size > end:
        raise MalformedProofError("an item is longer than what holds it", at)
    if base == 0x80 and size == 1 and data[start] < 0x80:
        raise MalformedProofError("a single byte is not in its shortest form", at)
    return start, start + size


def _decode(data: bytes, at: int, end: int, depth: int) -> tuple[RLP, int]:
    if depth > _DEPTH_MAX:
        raise MalformedProofError("nested too deep", at)
    start, stop = _payload(data, at, end)
    if data[at] < 0xC0:
        return data[start:stop], stop
    items: list[RLP] = []
    while start < stop:
        item, start = _decode(data, start, stop, depth + 1)
        items.append(item)
    return items, stop
