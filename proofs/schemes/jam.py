"""`jam`: the binary state trie of JAM (Gray Paper 0.6.6 and later, appendix D).

Keys are 31 bytes, most significant bit first; every node is 64 bytes and its identity is their BLAKE2b-256. A leaf
sits as high as its key is unique, so its identity does not depend on its depth; a path that two keys share is
hashed branch by branch, with the zero identity on the other side.

A branch holds its left identity in 255 bits only: the first bit marks the node as a branch. So a reference in a
left slot has that bit zero, here and in every proof; with the bit set it would fold to the same root and be a
second spelling of the same proof.

A JAM header carries the *prior* state root: the root of a height is attested by the header that follows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from proofs.errors import InvalidLeafError, MalformedProofError
from proofs.path import BitPath
from proofs.scheme import Capabilities, Write

KEY_BYTES = 31
VALUE_BYTES_MAX = 2**32 - 1
"""Lengths in state requests and write logs are 32 bits wide."""
EMBEDDED_BYTES_MAX = 32
"""Longer values are hashed into their leaf, others are held by it."""
IDENTITY_BYTES = 32
EMPTY = bytes(IDENTITY_BYTES)
"""Identity of the trie without leaves; never the hash of a node."""


class JAM:
    """The JAM scheme: BLAKE2b-256, bit paths, no compression of shared paths."""

    name = "jam"
    path = BitPath()
    empty_root = EMPTY
    capabilities = Capabilities(
        key_sizes=(KEY_BYTES, KEY_BYTES), value_bytes_max=VALUE_BYTES_MAX, proof_encodings=("ce129",)
    )

    def check_leaf(self, key: bytes, value: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise InvalidLeafError(key, f"state keys have {KEY_BYTES} bytes, not {len(key)}")
        if len(value) > VALUE_BYTES_MAX:
            raise InvalidLeafError(key, f"values have at most {VALUE_BYTES_MAX} bytes")

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        return in_slot(blake2b_256(leaf_node(key, value)), key, depth)

    def value(self, key: bytes, value: bytes) -> bytes:
        raise InvalidLeafError(key, "a state key cannot be the start of another")

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        left, right = slots
        if left is not None and left[0] & 0x80:
            raise MalformedProofError("the first bit of a left identity is not part of the trie and must be zero")
        return self.lift(blake2b_256(branch_node(left or EMPTY, right or EMPTY)), key, start, depth)

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        for at in range(depth - 1, start - 1, -1):
            is_right = key[at >> 3] >> (7 - (at & 7)) & 1
            ref = blake2b_256(branch_node(EMPTY, ref) if is_right else branch_node(ref, EMPTY))
        return in_slot(ref, key, start)

    def root(self, ref: bytes) -> bytes:
        return ref

    def check_ref(self, ref: bytes) -> None:
        if len(ref) != IDENTITY_BYTES or ref == EMPTY:
            raise MalformedProofError("a JAM reference is the 32-byte identity of a node")

    def check_value(self, key: bytes, payload: bytes) -> None:
        raise MalformedProofError("a JAM branch holds no value")

    def implied_clears(self, writes: Iterable[Write]) -> list[bytes]:
        return []

    def code_hash(self, key: bytes, value: bytes) -> bytes | None:
        return None


def blake2b_256(data: bytes) -> bytes:
    """Unkeyed BLAKE2b with a digest of 32 bytes."""
    return hashlib.blake2b(data, digest_size=IDENTITY_BYTES).digest()


def leaf_node(key: bytes, value: bytes) -> bytes:
    """The 64 bytes of a leaf."""
    if len(value) <= EMBEDDED_BYTES_MAX:
        return bytes((0x80 | len(value),)) + key + value.ljust(EMBEDDED_BYTES_MAX, b"\0")
    return b"\xc0" + key + blake2b_256(value)


def branch_node(left: bytes, right: bytes) -> bytes:
    """The 64 bytes of a branch; the first bit of `left` is lost."""
    return bytes((left[0] & 0x7F,)) + left[1:] + right


def in_slot(identity: bytes, key: bytes, position: int) -> bytes:
    """The reference of a node at `position` bits of `key`: a left slot holds it without its first bit."""
    if not position or key[(position - 1) >> 3] >> (-position & 7) & 1:
        return identity
    return bytes((identity[0] & 0x7F,)) + identity[1:]
