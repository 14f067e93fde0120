"""`nomt-blake3` and `nomt-sha2`: the binary trie of NOMT (nomt-core 1.0).

Keys are 32 bytes, most significant bit first. A leaf commits to its key and to the *hash* of its value, so a value
need not be read again to hash the trie. The first bit of a node tells its kind: set on leaves, clear on internal
nodes; all zero is the terminator. (NOMT's specification text says the opposite of its code, and of every root that
exists.) The trie has JAM's shape: leaves as high as their keys are unique, shared paths hashed node by node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from proofs.blake3_hash import blake3_256
from proofs.errors import InvalidLeafError, MalformedProofError
from proofs.path import BitPath
from proofs.scheme import Capabilities, HashedValue, Write

KEY_BYTES = 32
VALUE_BYTES_MAX = 2**29
"""NOMT stores values of up to 512 MiB."""
NODE_BYTES = 32
TERMINATOR = bytes(NODE_BYTES)
"""The subtree without leaves, at any depth."""


class NOMT:
    """The NOMT scheme over one binary hash function."""

    path = BitPath()
    empty_root = TERMINATOR

    def __init__(self, name: str, digest: Callable[[bytes], bytes]) -> None:
        self.name = name
        self.digest = digest
        self.capabilities = Capabilities(
            key_sizes=(KEY_BYTES, KEY_BYTES),
            value_bytes_max=VALUE_BYTES_MAX,
            value_hash=digest,
            proof_encodings=("nomt-path", "nomt-multi"),
        )

    def check_leaf(self, key: bytes, value: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise InvalidLeafError(key, f"key paths have {KEY_BYTES} bytes, not {len(key)}")
        if len(value) > VALUE_BYTES_MAX:
            raise InvalidLeafError(key, f"values have at most {VALUE_BYTES_MAX} bytes")
        if isinstance(value, HashedValue) and len(value) != NODE_BYTES:
            raise InvalidLeafError(key, f"hashes of values have {NODE_BYTES} bytes, not {len(value)}")

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        return self.leaf_node(key, self.hash_of(value))

    def hash_of(self, value: bytes) -> bytes:
        """What a leaf commits to for this value, or for the HashedValue in its place."""
        return value if isinstance(value, HashedValue) else self.digest(value)

    def leaf_node(self, key: bytes, value_hash: bytes) -> bytes:
        """The node of a leaf whose value is known by its hash (32 bytes) only."""
        node = self.digest(key + value_hash)
        return bytes((node[0] | 0x80,)) + node[1:]

    def value(self, key: bytes, value: bytes) -> bytes:
        raise InvalidLeafError(key, "a key path cannot be the start of another")

    def internal(self, left: bytes, right: bytes) -> bytes:
        """The internal node over two nodes."""
        node = self.digest(left + right)
        return bytes((node[0] & 0x7F,)) + node[1:]

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        left, right = slots
        return self.lift(self.internal(left or TERMINATOR, right or TERMINATOR), key, start, depth)

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        for at in range(depth - 1, start - 1, -1):
            is_right = key[at >> 3] >> (7 - (at & 7)) & 1
            ref = self.internal(TERMINATOR, ref) if is_right else self.internal(ref, TERMINATOR)
        return ref

    def root(self, ref: bytes) -> bytes:
        return ref

    def check_ref(self, ref: bytes) -> None:
        if len(ref) != NODE_BYTES or ref == TERMINATOR:
            raise MalformedProofError("a NOMT reference is a 32-byte node that is not the terminator")

    def check_value(self, key: bytes, payload: bytes) -> None:
        raise MalformedProofError("a NOMT internal node holds no value")

    def implied_clears(self, writes: Iterable[Write]) -> list[bytes]:
        return []

    def code_hash(self, key: bytes, value: bytes) -> bytes | None:
        return None


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def nomt_blake3() -> NOMT:
    """NOMT with its default hasher."""
    return NOMT("nomt-blake3", blake3_256)


def nomt_sha2() -> NOMT:
    """NOMT with SHA-256."""
    return NOMT("nomt-sha2", sha256)
