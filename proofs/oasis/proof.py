"""Oasis proofs judged: opened into items, and folded by the one fold that everything here is judged by.

A proof is a pre-order walk: `null` for no child, `01 node` for an included node, `02 hash` for a subtree
that is only named. Version 0 keeps the embedded leaf inside its node, version 1 gives it an entry of its own.
`open_entries` turns the walk into items in key order; `verify` folds them over the whole key space, so that
a proof which passes shows all leaves of every interval that it does not leave opaque, and absence as well as
presence follows.

Stricter than the reference, which ignores bytes behind a node, takes `02` with the empty hash for null and
node forms that no trie has: all of these are refused here. Nothing the reference refuses is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from proofs.errors import MalformedProofError, RootMismatchError
from proofs.fold import LEAF, NODE, VALUE, Item, fold, frontier_root
from proofs.oasis.messages import EMPTY_HASH, Proof
from proofs.oasis.node import decode_branch, decode_leaf
from proofs.schemes.mkvs import KEY_BYTES_MAX, MKVS

VERSION_MAX = 1
DEPTH_MAX = 128
"""Edges from the root to the deepest entry; current nodes refuse deeper proofs, older ones have no limit."""

_SCHEME = MKVS()
_WHOLE, _EMBEDDED = -2, -1  # beside the sides 0 and 1


@dataclass(frozen=True, slots=True)
class VerifiedProof:
    """What a proof shows. Only `verify` makes these.

    `items` are in key order and cover the whole key space; opaque ones are NODE and VALUE items.
    """

    root: bytes
    items: tuple[Item, ...]

    @property
    def leaves(self) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of every leaf shown, in key order."""
        return ((item[0], item[1]) for item in self.items if item[2] == LEAF)

    def get(self, key: bytes) -> bytes | None:
        """Value of `key`, or None where the proof shows that there is no such leaf.

        Raises:
            MalformedProofError: the proof leaves open what is at `key`.
        """
        for item in self.items:
            if item[2] == NODE and _SCHEME.path.parting(item[0], key) >= item[3]:
                raise MalformedProofError("the proof does not reach this key")
            if item[0] == key and item[2] != NODE:
                if item[2] == LEAF:
                    return item[1]
                raise MalformedProofError("the proof names this leaf by its hash only")
        return None

    def opaque(self) -> list[tuple[bytes, bytes | None]]:
        """Key intervals [start, end) that the proof leaves open, in order; None: no end."""
        return [interval(item) for item in self.items if item[2] != LEAF]


def interval(item: Item) -> tuple[bytes, bytes | None]:
    """The keys that can lie under an opaque item."""
    key, _, kind, depth = item
    if kind == VALUE:
        return key, key + b"\0"
    start = _SCHEME.path.bound(key, depth)
    width = -depth % 8
    end = int.from_bytes(start) + (1 << width)
    if not depth or end >> 8 * len(start):
        return start, None
    return start, end.to_bytes(len(start)).rstrip(b"\0")  # 6c sorts before 6c00, and no key below starts so


def verify(root: bytes, proof: Proof, *, depth_max: int = DEPTH_MAX) -> VerifiedProof:
    """Judge a proof against a trusted root hash (32 bytes).

    Raises:
        MalformedProofError: version, form or depth.
        ProofError: the entries do not fold to `root` (its subclasses say where they fail).
    """
    if proof.version > VERSION_MAX:
        raise MalformedProofError(f"proof version {proof.version}, known: up to {VERSION_MAX}")
    if proof.untrusted_root != root:
        raise RootMismatchError(root, proof.untrusted_root)
    return verify_entries(root, proof.entries, proof.version, depth_max=depth_max)


def verify_entries(
    root: bytes, entries: Iterable[bytes | None], version: int, *, depth_max: int = DEPTH_MAX
) -> VerifiedProof:
    """The same for bare entries.

    Raises:
        ProofError: as `verify`.
    """
    items = tuple(open_entries(entries, version, depth_max=depth_max))
    computed = fold_items(items)
    if computed != root:
        raise RootMismatchError(root, computed)
    return VerifiedProof(root, items)


def fold_items(items: Sequence[Item]) -> bytes:
    """The root hash that all items of a walk make up."""
    if items and items[0][2] == NODE and items[0][3] == 0:  # the whole trie, only named
        return items[0][1]
    return frontier_root(_SCHEME, fold(_SCHEME, items))


@dataclass(slots=True)
class _Open:
    """An included node whose children are still to come."""

    path: int
    bits: int
    edges: int
    children: int


def open_entries(entries: Iterable[bytes | None], version: int, *, depth_max: int = DEPTH_MAX) -> Iterator[Item]:
    """Items of a pre-order walk, in key order.

    Positions come from the labels on the way down, and every leaf must lie where the walk puts it. With at
    least two children below each node, the walk's shape is then the only trie that these items have: the
    fold hashes what the reference hashes.

    Raises:
        MalformedProofError: an entry of no known form, too few, too many, too deep, or out of place.
    """
    pending: list[tuple[_Open, int]] = [(_Open(0, 0, -1, 2), _WHOLE)]
    for index, entry in enumerate(entries):
        if not pending:
            raise MalformedProofError("entries after the end of the walk", index)
        node, side = pending.pop()
        if node.edges >= depth_max:
            raise MalformedProofError(f"deeper than {depth_max} edges", index)
        node.children += entry is not None
        if side == 1 and node.children < 2:
            raise MalformedProofError("a node with fewer than two children", index)
        if entry is None:
            continue
        digit = side >= 0
        path, bits = (node.path << 1 | side, node.bits + 1) if digit else (node.path, node.bits)
        if side == _EMBEDDED and bits & 7:
            raise MalformedProofError("an embedded leaf where no key can end", index)
        if entry[:1] == b"\2":
            if len(entry) != 33 or entry[1:] == EMPTY_HASH:
                raise MalformedProofError("a named subtree is 02 and the hash of something", index)
            kind = VALUE if side == _EMBEDDED else NODE
            yield _key(path, bits), entry[1:], kind, bits if kind == NODE else 0
        elif entry[:2] == b"\1\0":
            yield _open_leaf(decode_leaf(entry, 1), path, bits, side == _EMBEDDED)
        elif entry[:2] == b"\1\1" and side != _EMBEDDED:
            opened, leaf = _open_branch(entry, path, bits, digit)
            opened.edges = node.edges + 1
            pending += (opened, 1), (opened, 0)
            if version == 1:
                if leaf is not None:
                    raise MalformedProofError("a version 1 proof has embedded leaves as entries", index)
                pending.append((opened, _EMBEDDED))
            elif leaf is not None:
                opened.children = 1
                yield _open_leaf(leaf, opened.path, opened.bits, True)
        else:
            raise MalformedProofError("an entry of no known form", index)
    if pending:
        raise MalformedProofError("the walk ends early")


def _open_branch(entry: bytes, path: int, bits: int, digit: bool) -> tuple[_Open, tuple[bytes, bytes] | None]:
    """The node at the end of its label; with `digit` the label's first bit is the last bit of `path`."""
    label_bits, label_bytes, leaf = decode_branch(entry, 1)
    run = int.from_bytes(label_bytes) >> -label_bits % 8
    if digit:
        if label_bits < 1 or run >> (label_bits - 1) != path & 1:
            raise MalformedProofError("a label that does not begin with its side")
        path, bits = path >> 1, bits - 1
    if bits + label_bits > 8 * KEY_BYTES_MAX:  # also bounds what every step below costs
        raise MalformedProofError("a path that is longer than any key")
    return _Open(path << label_bits | run, bits + label_bits, 0, 0), leaf


def _open_leaf(leaf: tuple[bytes, bytes], path: int, bits: int, whole: bool) -> Item:
    """A leaf that lies below `path`, or, with `whole`, exactly at it."""
    key = leaf[0]
    size = bits + 7 >> 3
    if len(key) < size or int.from_bytes(key[:size]) >> (size * 8 - bits) != path or (whole and len(key) * 8 != bits):
        raise MalformedProofError("a leaf that is not where its key says")
    return key, leaf[1], LEAF, 0


def _key(path: int, bits: int) -> bytes:
    size = bits + 7 >> 3
    return (path << (size * 8 - bits)).to_bytes(size)
