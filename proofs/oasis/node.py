"""Nodes of the Oasis trie: their bytes inside proofs, and their hashes.

    leaf      00 | u16le key size | key | u32le value size | value
    internal  01 | u16le label bits | label | embedded leaf, or 02 for none      (proof version 0)
    internal  01 | u16le label bits | label | 02                                 (proof version 1)

The hash of a leaf has its key size in 32 bits (`proofs.schemes.mkvs`). Decoding is strict: the reference
ignores what follows a node inside an entry, we refuse it, so that one node has one encoding.
"""

from __future__ import annotations

from struct import Struct

from proofs.errors import MalformedProofError
from proofs.hashing import sha512_256
from proofs.schemes.mkvs import KEY_BYTES_MAX, label

__all__ = [
    "NO_LEAF",
    "branch_hash",
    "decode_branch",
    "decode_leaf",
    "encode_branch",
    "encode_leaf",
    "label",
    "leaf_hash",
]

LEAF_TAG, BRANCH_TAG, NO_LEAF = b"\0", b"\1", b"\2"
_U16, _U32 = Struct("<H"), Struct("<I")
_LEAF_HEAD = Struct("<BH")

Leaf = tuple[bytes, bytes]
Branch = tuple[int, bytes, Leaf | None]
"""Label bits, label, embedded leaf (proof version 0 only)."""


def encode_leaf(key: bytes, value: bytes) -> bytes:
    return b"%b%b%b%b" % (_LEAF_HEAD.pack(0, len(key)), key, _U32.pack(len(value)), value)


def encode_branch(label_bits: int, label_bytes: bytes, leaf: bytes = NO_LEAF) -> bytes:
    """`leaf` is the encoding of the embedded leaf."""
    return b"%b%b%b" % (_LEAF_HEAD.pack(1, label_bits), label_bytes, leaf)


def leaf_hash(key: bytes, value: bytes) -> bytes:
    return sha512_256(b"\0%b%b%b%b" % (_U32.pack(len(key)), key, _U32.pack(len(value)), value))


def branch_hash(label_bits: int, label_bytes: bytes, leaf: bytes, left: bytes, right: bytes) -> bytes:
    """Hash of an internal node from the hashes of its children (`EMPTY_HASH` for a missing one)."""
    return sha512_256(b"%b%b%b%b%b" % (_LEAF_HEAD.pack(1, label_bits), label_bytes, leaf, left, right))


def decode_leaf(data: bytes, offset: int = 0) -> Leaf:
    """The leaf that fills `data` from `offset` (its tag) to the end.

    Raises:
        MalformedProofError
    """
    start = offset + 3
    if len(data) < start:
        raise MalformedProofError("truncated leaf", offset)
    (key_size,) = _U16.unpack_from(data, offset + 1)
    value_at = start + key_size + 4
    if key_size > KEY_BYTES_MAX or len(data) < value_at:
        raise MalformedProofError("truncated leaf, or a key that is too long", offset)
    (value_size,) = _U32.unpack_from(data, value_at - 4)
    if len(data) != value_at + value_size:
        raise MalformedProofError("leaf and its sizes differ", offset)
    return data[start : start + key_size], data[value_at:]


def decode_branch(data: bytes, offset: int = 0) -> Branch:
    """The internal node that fills `data` from `offset` (its tag) to the end.

    Raises:
        MalformedProofError
    """
    start = offset + 3
    if len(data) < start:
        raise MalformedProofError("truncated node", offset)
    (label_bits,) = _U16.unpack_from(data, offset + 1)
    end = start + (label_bits + 7 >> 3)
    if len(data) <= end:
        raise MalformedProofError("truncated node", offset)
    label_bytes = data[start:end]
    if label_bits & 7 and label_bytes[-1] & 0xFF >> (label_bits & 7):
        raise MalformedProofError("label with bits behind its end", offset)
    if data[end:] == NO_LEAF:
        return label_bits, label_bytes, None
    if data[end] != 0:
        raise MalformedProofError("neither an embedded leaf nor none", end)
    return label_bits, label_bytes, decode_leaf(data, end)
