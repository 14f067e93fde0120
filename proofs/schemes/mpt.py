"""`mpt`: Ethereum's hexary Merkle-Patricia trie over keys and values as they are.

Test vectors and single storage tries; an Ethereum *state* is the scheme `ethereum`. A node whose RLP is shorter
than 32 bytes is its own reference, any other is referred to by its Keccak-256 hash; the root is always hashed.
Source: Yellow Paper, appendix D.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proofs.errors import InvalidLeafError, MalformedProofError
from proofs.hashing import keccak256
from proofs.path import NibblePath
from proofs.rlp import RLP, decode, encode_list, encode_string
from proofs.scheme import Capabilities, Write

EMPTY_ROOT = keccak256(b"\x80")
KEY_BYTES_MAX = 1024
"""No trie of Ethereum has keys longer than 32 bytes; the bound only keeps hostile proofs shallow."""
VALUE_BYTES_MAX = 2**24
_SLOTS = 16


class MPT:
    """The plain trie: 0 to 1,024 bytes of key, any non-empty value, values at branches."""

    name = "mpt"
    path = NibblePath()
    empty_root = EMPTY_ROOT
    capabilities = Capabilities(key_sizes=(0, KEY_BYTES_MAX), value_bytes_max=VALUE_BYTES_MAX)

    def check_leaf(self, key: bytes, value: bytes) -> None:
        if len(key) > KEY_BYTES_MAX:
            raise InvalidLeafError(key, f"keys have at most {KEY_BYTES_MAX} bytes")
        if not value:
            raise InvalidLeafError(key, "an empty value is a deletion, not a leaf")
        if len(value) > VALUE_BYTES_MAX:
            raise InvalidLeafError(key, f"values have at most {VALUE_BYTES_MAX} bytes")

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        return reference(leaf_node(key, value, depth))

    def value(self, key: bytes, value: bytes) -> bytes:
        return value

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        ref = reference(branch_node(slots, value))
        return self.lift(ref, key, start, depth) if depth > start else ref

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        return ref if depth == start else reference(extension_node(ref, key, start, depth))

    def root(self, ref: bytes) -> bytes:
        return ref if len(ref) == 32 else keccak256(ref)

    def check_ref(self, ref: bytes) -> None:
        check_reference(ref)

    def check_value(self, key: bytes, payload: bytes) -> None:
        self.check_leaf(key, payload)

    def implied_clears(self, writes: Iterable[Write]) -> list[bytes]:
        return []

    def code_hash(self, key: bytes, value: bytes) -> bytes | None:
        return None


def reference(node: bytes) -> bytes:
    """What a parent holds for an encoded node."""
    return node if len(node) < 32 else keccak256(node)


def leaf_node(key: bytes, value: bytes, depth: int) -> bytes:
    """RLP of a leaf whose path is `key` from nibble `depth` on."""
    return encode_list(_path_item(key, depth, 2 * len(key), 0x20) + encode_string(value))


def extension_node(ref: bytes, key: bytes, start: int, end: int) -> bytes:
    """RLP of an extension along nibbles [start, end) of `key`, start < end."""
    return encode_list(_path_item(key, start, end, 0) + _slot(ref))


def branch_node(slots: Sequence[bytes | None], value: bytes | None) -> bytes:
    """RLP of a branch with 16 references (or None) and a value (or None)."""
    return encode_list(
        b"".join([b"\x80" if ref is None else b"\xa0" + ref if len(ref) == 32 else ref for ref in slots])
        + (b"\x80" if value is None else encode_string(value))
    )


def check_reference(ref: bytes) -> None:
    """A 32-byte hash, or the canonical RLP of exactly one node shorter than 32 bytes.

    Raises:
        MalformedProofError
    """
    if len(ref) == 32:
        return
    if len(ref) > 32:
        raise MalformedProofError("a reference has at most 32 bytes")
    check_node(decode(ref))


def check_node(node: RLP) -> None:
    """A decoded node has one of the three shapes, and so have the nodes that it inlines.

    Raises:
        MalformedProofError
    """
    if not isinstance(node, list):
        raise MalformedProofError("a node is a list")
    if len(node) == 2:
        nibbles, is_leaf = decode_path(node[0])
        if is_leaf:
            if not isinstance(node[1], bytes) or not node[1]:
                raise MalformedProofError("a leaf holds a non-empty string")
        elif not nibbles:
            raise MalformedProofError("an extension has a path")
        else:
            _check_child(node[1])
    elif len(node) == _SLOTS + 1:
        children = [child for child in node[:_SLOTS] if child != b""]
        if not isinstance(node[_SLOTS], bytes) or len(children) + (node[_SLOTS] != b"") < 2:
            raise MalformedProofError("a branch has at least two children")
        for child in children:
            _check_child(child)
    else:
        raise MalformedProofError("a node has 2 or 17 items")


def decode_path(item: RLP) -> tuple[list[int], bool]:
    """Nibbles of a hex-prefix path, and whether it ends in a leaf.

    Raises:
        MalformedProofError
    """
    if not isinstance(item, bytes) or not item or item[0] > 0x3F or (not item[0] & 0x10 and item[0] & 0x0F):
        raise MalformedProofError("a path is not in canonical hex-prefix form")
    nibbles = [nibble for byte in item for nibble in (byte >> 4, byte & 0x0F)]
    return nibbles[1 if item[0] & 0x10 else 2 :], bool(item[0] & 0x20)


def _check_child(child: RLP) -> None:
    if isinstance(child, bytes):
        if len(child) != 32:
            raise MalformedProofError("a child is a 32-byte hash or an inlined node")
    else:
        check_node(child)


def _path_item(key: bytes, start: int, end: int, flag: int) -> bytes:
    """RLP of the hex-prefix form of nibbles [start, end) of `key`."""
    if end & 1:
        nibbles = key.hex()[start:end]
        return encode_string(
            bytes.fromhex(f"{flag >> 4 | 1:x}{nibbles}" if end - start & 1 else f"{flag:02x}{nibbles}")
        )
    half = start >> 1
    if start & 1:
        return encode_string(bytes((flag | 0x10 | key[half] & 0x0F,)) + key[half + 1 : end >> 1])
    return encode_string(bytes((flag,)) + key[half : end >> 1])


def _slot(ref: bytes) -> bytes:
    return b"\xa0" + ref if len(ref) == 32 else ref
