"""`mkvs`: the binary Patricia trie of Oasis Core.

Leaves hold the whole key; a branch ("internal node") holds the label of the edge that leads into it, which
begins with its own digit under its parent, and the leaf whose key ends exactly there. Keys may be prefixes of
each other, keys and values may be empty. Source: oasis-core `go/storage/mkvs/node`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proofs.errors import InvalidLeafError, MalformedProofError
from proofs.hashing import sha512_256
from proofs.path import BitPath
from proofs.scheme import Capabilities, Write

KEY_BYTES_MAX = 8191
"""At 8192 bytes the bit length no longer fits in 16 bits and the reference implementation crashes."""
VALUE_BYTES_MAX = 2**32 - 1


class MKVS:
    """The Oasis scheme: SHA-512/256, bit paths, labels on the edges."""

    name = "mkvs"
    path = BitPath()
    empty_root = sha512_256(b"")
    capabilities = Capabilities(key_sizes=(0, KEY_BYTES_MAX), value_bytes_max=VALUE_BYTES_MAX)

    def check_leaf(self, key: bytes, value: bytes) -> None:
        if len(key) > KEY_BYTES_MAX:
            raise InvalidLeafError(key, f"keys have at most {KEY_BYTES_MAX} bytes")
        if len(value) > VALUE_BYTES_MAX:
            raise InvalidLeafError(key, f"values have at most {VALUE_BYTES_MAX} bytes")

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        return sha512_256(b"\0" + len(key).to_bytes(4, "little") + key + len(value).to_bytes(4, "little") + value)

    def value(self, key: bytes, value: bytes) -> bytes:
        return self.leaf(key, value, 0)

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        empty = self.empty_root
        first = start - 1 if start else 0
        return sha512_256(
            b"\1"
            + (depth - first).to_bytes(2, "little")
            + label(key, first, depth)
            + (value or empty)
            + (slots[0] or empty)
            + (slots[1] or empty)
        )

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        raise MalformedProofError("an mkvs node's hash covers its label: it cannot be lifted unopened")

    def root(self, ref: bytes) -> bytes:
        return ref

    def check_ref(self, ref: bytes) -> None:
        if len(ref) != 32 or ref == self.empty_root:
            raise MalformedProofError("an mkvs reference is the 32-byte hash of a node")

    def check_value(self, key: bytes, payload: bytes) -> None:
        self.check_ref(payload)

    def implied_clears(self, writes: Iterable[Write]) -> list[bytes]:
        return []

    def code_hash(self, key: bytes, value: bytes) -> bytes | None:
        return None


def label(key: bytes, first: int, end: int) -> bytes:
    """Bits [first, end) of `key`, left-aligned, zero-padded to whole bytes."""
    size = end - first
    top = -(-end // 8)
    bits = int.from_bytes(key[first >> 3 : top]) >> (top * 8 - end) & (1 << size) - 1
    width = -(-size // 8)
    return (bits << (width * 8 - size)).to_bytes(width)
