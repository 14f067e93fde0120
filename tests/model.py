"""The oracle: a state is a dict, and its trie is plain recursion over lists of leaves.

Written from the formats' descriptions, without a line of the packages under test, and slow on purpose: every
reference is recomputed from the leaves below it. It answers what a root is, and what the one honest proof of a
range is: walk from the root, open what straddles an edge, name what lies beside it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from Crypto.Hash import keccak

Leaf = tuple[bytes, bytes]
Digits = tuple[int, ...]
Tree = bytes | list["Tree"]
"""RLP before it is encoded."""

VALUE_SLOT = -1


class HonestProof(NamedTuple):
    """What a prover must say: nodes are (depth of the parent's branch, slot, reference)."""

    start: bytes
    end: bytes | None
    left: tuple[tuple[int, int, bytes], ...]
    right: tuple[tuple[int, int, bytes], ...]


def keccak256(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()


def rlp(item: Tree) -> bytes:
    """RLP of nested lists of byte strings."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 128:
            return item
        return _rlp_header(128, len(item)) + item
    body = b"".join(map(rlp, item))
    return _rlp_header(192, len(body)) + body


def hex_prefix(nibbles: Digits, is_leaf: bool) -> bytes:
    """The compact form of a path."""
    padded = ([2 * is_leaf + 1] if len(nibbles) % 2 else [2 * is_leaf, 0]) + list(nibbles)
    return bytes(16 * a + b for a, b in zip(padded[::2], padded[1::2], strict=True))


class Model(ABC):
    """One scheme. All methods take leaves in key order; `shared` is how many digits they are known to share."""

    empty_root: bytes

    @abstractmethod
    def digits(self, key: bytes) -> Digits: ...

    @abstractmethod
    def position(self, digits: Digits) -> bytes:
        """The bytes that stand for a position: its digits, filled with zeros."""

    @abstractmethod
    def reference(self, leaves: Sequence[Leaf], shared: int) -> bytes:
        """What a slot holds for the subtree of these leaves, below `shared` digits."""

    @abstractmethod
    def value(self, key: bytes, value: bytes) -> bytes:
        """What a branch holds for the leaf whose key ends there."""

    @abstractmethod
    def root_of(self, reference: bytes) -> bytes: ...

    def root(self, state: dict[bytes, bytes]) -> bytes:
        """Root hash of a whole state."""
        leaves = sorted(state.items())
        return self.root_of(self.reference(leaves, 0)) if leaves else self.empty_root

    def common(self, leaves: Sequence[Leaf]) -> int:
        """How many digits all the leaves share: the depth of the branch above them."""
        return _common(self.digits(leaves[0][0]), self.digits(leaves[-1][0]))

    def children(self, leaves: Sequence[Leaf]) -> Iterator[tuple[int, list[Leaf]]]:
        """(slot, leaves below it) of the branch above at least two leaves, its own value first."""
        depth = self.common(leaves)

        def slot(leaf: Leaf) -> int:
            digits = self.digits(leaf[0])
            return digits[depth] if len(digits) > depth else VALUE_SLOT

        return ((key, list(group)) for key, group in groupby(leaves, slot))

    def prove(self, leaves: Sequence[Leaf], first: int, last: int) -> HonestProof:
        """The proof of leaves[first:last], 0 <= first < last <= len(leaves)."""
        left: list[tuple[int, int, bytes]] = []
        right: list[tuple[int, int, bytes]] = []
        self._open(leaves, first, last, 0, left, right)
        start = self.bound(leaves[first - 1][0], leaves[first][0]) if first else b""
        end = self.bound(leaves[last - 1][0], leaves[last][0]) if last < len(leaves) else None
        return HonestProof(start, end, tuple(left), tuple(right))

    def bound(self, before: bytes, after: bytes) -> bytes:
        """Where the ranges of two neighbours meet."""
        a, b = self.digits(before), self.digits(after)
        return self.position(b[: _common(a, b) + 1])

    def _open(
        self,
        leaves: Sequence[Leaf],
        first: int,
        last: int,
        offset: int,
        left: list[tuple[int, int, bytes]],
        right: list[tuple[int, int, bytes]],
    ) -> None:
        """Sort what hangs under one branch; `offset` is the index of its first leaf. Recurse where it straddles."""
        if first <= offset and offset + len(leaves) <= last:
            return
        depth = self.common(leaves)
        for slot, below in self.children(leaves):
            end = offset + len(below)
            side = left if end <= first else right if offset >= last else None
            if side is None:
                self._open(below, first, last, offset, left, right)
            elif slot == VALUE_SLOT:
                side.append((depth, slot, self.value(*below[0])))
            else:
                side.append((depth, slot, self.reference(below, depth + 1)))
            offset = end


class MKVSModel(Model):
    """Oasis: SHA-512/256 over leaves with their whole key, and branches with the label of their edge."""

    empty_root = hashlib.new("sha512_256", b"").digest()

    def digits(self, key: bytes) -> Digits:
        return tuple(int(bit) for byte in key for bit in f"{byte:08b}")

    def position(self, digits: Digits) -> bytes:
        text = "".join(map(str, digits))
        return bytes(int(text[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(text), 8))

    def value(self, key: bytes, value: bytes) -> bytes:
        sizes = len(key).to_bytes(4, "little"), len(value).to_bytes(4, "little")
        return _sha512_256(b"\0", sizes[0], key, sizes[1], value)

    def reference(self, leaves: Sequence[Leaf], shared: int) -> bytes:
        if len(leaves) == 1:
            return self.value(*leaves[0])
        depth = self.common(leaves)
        label = self.digits(leaves[0][0])[max(shared - 1, 0) : depth]
        parts = {VALUE_SLOT: self.empty_root, 0: self.empty_root, 1: self.empty_root}
        for slot, below in self.children(leaves):
            parts[slot] = self.value(*below[0]) if slot == VALUE_SLOT else self.reference(below, depth + 1)
        return _sha512_256(b"\1", len(label).to_bytes(2, "little"), self.position(label), *parts.values())

    def root_of(self, reference: bytes) -> bytes:
        return reference


class MPTModel(Model):
    """The hexary Merkle-Patricia trie: nodes are RLP, short ones stand inside their parents."""

    empty_root = keccak256(b"\x80")

    def digits(self, key: bytes) -> Digits:
        return tuple(int(nibble, 16) for nibble in key.hex())

    def position(self, digits: Digits) -> bytes:
        text = "".join(f"{digit:x}" for digit in digits)
        return bytes.fromhex(text + "0" * (len(text) % 2))

    def value(self, key: bytes, value: bytes) -> bytes:
        return value

    def reference(self, leaves: Sequence[Leaf], shared: int) -> bytes:
        child = self.child(leaves, shared)
        return child if isinstance(child, bytes) else rlp(child)

    def root_of(self, reference: bytes) -> bytes:
        return reference if len(reference) == 32 else keccak256(reference)

    def child(self, leaves: Sequence[Leaf], shared: int) -> Tree:
        """A slot's content: the hash of a node, or the node itself when it is short."""
        return _inline(self.node(leaves, shared))

    def node(self, leaves: Sequence[Leaf], shared: int) -> Tree:
        """Leaf, extension or branch."""
        digits = self.digits(leaves[0][0])
        if len(leaves) == 1:
            return [hex_prefix(digits[shared:], True), leaves[0][1]]
        depth = self.common(leaves)
        if depth > shared:
            return [hex_prefix(digits[shared:depth], False), _inline(self.node(leaves, depth))]
        slots: list[Tree] = [b""] * 17
        for slot, below in self.children(leaves):
            slots[slot] = below[0][1] if slot == VALUE_SLOT else self.child(below, depth + 1)
        return slots


class EthereumModel(Model):
    """Accounts over a plain trie; each one's storage is a plain trie of its own.

    Digits: 64 nibbles of the account, then for slots a 0 and 64 nibbles more, so that an account and its
    storage hang together.
    """

    empty_root = MPTModel.empty_root
    empty_code = keccak256(b"")

    def __init__(self) -> None:
        self.trie = MPTModel()

    def digits(self, key: bytes) -> Digits:
        nibbles = self.trie.digits(key)
        return nibbles if len(key) == 32 else (*nibbles[:64], 0, *nibbles[64:])

    def position(self, digits: Digits) -> bytes:
        account = self.trie.position(digits[:64])
        return account if len(digits) <= 64 else account + (self.trie.position(digits[65:]) or b"\0")

    def value(self, key: bytes, value: bytes) -> bytes:
        return value

    def reference(self, leaves: Sequence[Leaf], shared: int) -> bytes:
        if shared > 64:
            return self.trie.reference([(key[32:], value) for key, value in leaves], shared - 65)
        return self.trie.reference(list(self.accounts(leaves)), shared)

    def root_of(self, reference: bytes) -> bytes:
        return self.trie.root_of(reference)

    def accounts(self, leaves: Sequence[Leaf]) -> Iterator[Leaf]:
        """The leaves of the account trie. Whatever the slots give is the storage root: no opinion on the leaf's."""
        for account, group in groupby(leaves, lambda leaf: leaf[0][:32]):
            (key, slim), *slots = group
            assert key == account, "a slot without its account"
            fields = unslim(slim)
            storage = self.trie.root({slot[32:]: value for slot, value in slots})
            yield account, rlp([fields[0], fields[1], storage, fields[3] or self.empty_code])


def unslim(slim: bytes) -> list[bytes]:
    """Fields of a slim account that is known to be well formed: each is a string shorter than 56 bytes."""
    fields, at = [], 1 if slim[0] < 0xF8 else 2
    while at < len(slim):
        size = 0 if slim[at] < 0x80 else slim[at] - 0x80
        fields.append(slim[at + 1 : at + 1 + size] if slim[at] >= 0x80 else slim[at : at + 1])
        at += 1 + size
    return fields


def slim_account(nonce: int, balance: int, storage: dict[bytes, bytes], code_hash: bytes = b"") -> bytes:
    """The leaf of an account with this storage (32-byte slot keys)."""
    root = MPTModel().root(storage) if storage else b""
    return rlp([_integer(nonce), _integer(balance), root, code_hash])


def slot_value(number: int) -> bytes:
    """The leaf of a slot that holds a non-zero number."""
    return rlp(_integer(number))


def _integer(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _inline(node: Tree) -> Tree:
    encoded = rlp(node)
    return node if len(encoded) < 32 else keccak256(encoded)


def _rlp_header(base: int, size: int) -> bytes:
    if size < 56:
        return bytes([base + size])
    digits = _integer(size)
    return bytes([base + 55 + len(digits)]) + digits


def _common(a: Digits, b: Digits) -> int:
    shared = 0
    while shared < min(len(a), len(b)) and a[shared] == b[shared]:
        shared += 1
    return shared


def _sha512_256(*parts: bytes) -> bytes:
    return hashlib.new("sha512_256", b"".join(parts)).digest()


MODELS: dict[str, Callable[[], Model]] = {"mkvs": MKVSModel, "mpt": MPTModel, "ethereum": EthereumModel}
"""Schemes whose oracle is written. A new scheme adds its own here and its states in tests/proofs/states.py."""
