"""Ethereum's own proofs: sets of trie nodes along the edges of a range (eth_getProof, snap/1).

Reading: the nodes are walked from the trusted root, by hashes that we compute; only nodes that straddle an edge are
opened, and what hangs off them outside the range becomes items. From there on it is `judge`, the same verdict as for
our own range proofs. Writing: the fold of a range and its surroundings builds exactly the nodes on the wanted paths,
and a recording scheme keeps their encodings.

Everything here is about one Merkle-Patricia trie with 32-byte keys: the account trie with full account RLP as values,
or one storage trie. Source: go-ethereum `trie.VerifyRangeProof`, devp2p snap/1, EIP-1186.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proofs.errors import InvalidLeafError, MalformedProofError, MissingNodeError
from proofs.fold import LEAF, NODE, STEM, Item, fold
from proofs.hashing import keccak256
from proofs.kernel import Kernel
from proofs.leafrun import LeafRun
from proofs.path import ACCOUNT_DIGITS, STORAGE_DEPTH
from proofs.range_proof import VerifiedRange, judge
from proofs.rlp import RLP, decode, encode_list, encode_string
from proofs.schemes.ethereum import HASH_SIZE, Ethereum
from proofs.schemes.mpt import (
    EMPTY_ROOT,
    MPT,
    branch_node,
    check_node,
    decode_path,
    extension_node,
    leaf_node,
    reference,
)

LOWEST = bytes(HASH_SIZE)
HIGHEST = b"\xff" * HASH_SIZE
NODES_MAX = 256
"""Nodes read from one proof: two paths of 65 are the most that an honest one needs."""
NODE_BYTES_MAX = 600
"""A full branch encodes to 532 bytes, an account's leaf to 148."""

_MPT = MPT()


def verify_boundary(
    root_hash: bytes,
    first: bytes,
    last: bytes,
    run: LeafRun,
    nodes: Iterable[bytes],
    *,
    kernel: Kernel | None = None,
) -> tuple[VerifiedRange, bool]:
    """Judge the leaves of [first, last], both inclusive, and say whether the trie holds any leaf beyond.

    `nodes` is a set: order and duplicates do not matter, nodes that are not needed are ignored.

    Raises:
        MissingNodeError: a node on an edge is not there.
        ProofError: whatever else makes the statement false or malformed.
    """
    if len(first) != HASH_SIZE or len(last) != HASH_SIZE or first > last:
        raise MalformedProofError("the edges of a range are 32-byte keys in ascending order")
    for key in run.keys:
        if len(key) != HASH_SIZE or not first <= key <= last:
            raise InvalidLeafError(key, "lies outside the range that is proven")
    left, right = _Opener(nodes, first, last).open(root_hash)
    end = None if last == HIGHEST else (int.from_bytes(last) + 1).to_bytes(HASH_SIZE)
    verified = judge(_MPT, root_hash, left, run, right, start=first, end=end, kernel=kernel)
    return verified, bool(right)


def read_value(root_hash: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """The value of `key` (32 bytes) that the nodes prove, or None where they prove its absence.

    Raises:
        MissingNodeError, ProofError: as `verify_boundary`.
    """
    opener = _Opener(nodes, key, key, opens_inside=True)
    left, right = opener.open(root_hash)
    found = LeafRun([k for k, _ in opener.inside], [v for _, v in opener.inside])
    return judge(_MPT, root_hash, left, found, right, start=key, end=key + b"\0").get(key)


class _Opener:
    """Walks from the root and turns what lies outside [first, last] into items."""

    def __init__(self, nodes: Iterable[bytes], first: bytes, last: bytes, *, opens_inside: bool = False) -> None:
        self._nodes: dict[bytes, bytes] = {}
        for count, node in enumerate(nodes):
            if count >= NODES_MAX or len(node) > NODE_BYTES_MAX:
                raise MalformedProofError(
                    f"a boundary proof has at most {NODES_MAX} nodes of at most {NODE_BYTES_MAX} bytes"
                )
            self._nodes[keccak256(node)] = node
        self._first = first.hex()
        self._last = last.hex()
        self._opens_inside = opens_inside
        self._left: list[Item] = []
        self._right: list[Item] = []
        self.inside: list[tuple[bytes, bytes]] = []
        """Leaves of the range that were met inside opened nodes."""

    def open(self, root_hash: bytes) -> tuple[list[Item], list[Item]]:
        """Items left and right of the range, each in key order."""
        if root_hash != EMPTY_ROOT and self._must_open(""):
            self._visit(root_hash, "")
        return self._left, self._right

    def _side(self, prefix: str) -> list[Item] | None:
        """The list that a subtree at `prefix` (hex digits) belongs to if it lies wholly outside the range."""
        if prefix < self._first[: len(prefix)]:
            return self._left
        if prefix > self._last[: len(prefix)]:
            return self._right
        return None

    def _must_open(self, prefix: str) -> bool:
        """Whether a subtree that is not outside must be opened: it straddles an edge, or its leaves are wanted."""
        size = len(prefix)
        return (
            self._opens_inside
            or (prefix == self._first[:size] and self._first[size:].strip("0") != "")
            or (prefix == self._last[:size] and self._last[size:].strip("f") != "")
        )

    def _place(self, ref: RLP, prefix: str, kind: int) -> bool:
        """Put a subtree outside the range among the items; say whether it must be opened instead."""
        side = self._side(prefix)
        if side is None:
            return self._must_open(prefix)
        side.append((_path_bytes(prefix), _encode_reference(ref), kind, len(prefix)))
        return False

    def _visit(self, ref: RLP, prefix: str) -> None:
        """Open the node behind `ref`; recursion is bounded by the 64 nibbles of a key."""
        if isinstance(ref, bytes):
            encoded = self._nodes.get(ref)
            if encoded is None:
                raise MissingNodeError(_path_bytes(prefix), ref)
            ref = decode(encoded)
        check_node(ref)
        assert isinstance(ref, list)
        if len(ref) == 17:
            if ref[16] != b"" or len(prefix) >= 2 * HASH_SIZE:
                raise MalformedProofError("a branch at or beyond the end of a key")
            for digit, child in enumerate(ref[:16]):
                path = f"{prefix}{digit:x}"
                if child != b"" and self._place(child, path, NODE):
                    self._visit(child, path)
            return
        nibbles, is_leaf = decode_path(ref[0])
        path = prefix + "".join(f"{nibble:x}" for nibble in nibbles)
        if is_leaf:
            self._leaf(path, ref[1])
        elif len(path) >= 2 * HASH_SIZE:
            raise MalformedProofError("an extension beyond the end of a key")
        elif self._place(ref[1], path, STEM):
            self._visit(ref[1], path)

    def _leaf(self, path: str, value: RLP) -> None:
        assert isinstance(value, bytes)
        if len(path) != 2 * HASH_SIZE:
            raise MalformedProofError("a leaf whose key does not have 32 bytes")
        key = bytes.fromhex(path)
        side = self._side(path)
        if side is None:
            self.inside.append((key, value))
        else:
            side.append((key, value, LEAF, 0))


def account_nodes(items: Iterable[Item], targets: Sequence[bytes]) -> list[list[bytes]]:
    """For each target key, the nodes on its path, root first, as eth_getProof and snap list them.

    `items` are the whole Ethereum state, as leaves around the targets and closed subtrees elsewhere: left nodes, leaves
    and right nodes of a range proof that holds the targets. A target of 32 bytes asks for the account trie, one of 64
    for the account's storage trie. Nodes shorter than 32 bytes stand inside their parents and are left out; the topmost
    node is longer, since keys are.

    Raises:
        ProofError: items that do not fold.
    """
    recorder = _Recorder(targets)
    fold(recorder, items)
    return [[node for _, node in sorted(found)] for found in recorder.found]


class _Recorder(Ethereum):
    """The Ethereum scheme, keeping the encodings of nodes whose position a target passes through."""

    def __init__(self, targets: Sequence[bytes]) -> None:
        self._targets = targets
        self.found: list[list[tuple[int, bytes]]] = [[] for _ in targets]

    def _keep(self, node: bytes, key: bytes, depth: int) -> bytes:
        ref = reference(node)
        if len(node) >= HASH_SIZE:
            for target, found in zip(self._targets, self.found, strict=True):
                inner = len(target) > HASH_SIZE
                if inner == (depth > ACCOUNT_DIGITS) and self.path.parting(key, target) >= depth:
                    found.append((depth, node))
        return ref

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        super().leaf(key, value, depth)
        if len(key) == HASH_SIZE:
            return self._keep(self.account_node(None, value, key, depth), key, depth)
        return self._keep(leaf_node(key[HASH_SIZE:], value, depth - STORAGE_DEPTH), key, depth)

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        if depth == ACCOUNT_DIGITS:
            return self._keep(self.account_node(slots[0], value, key, start), key, start)
        super().branch(slots, value, key, start, depth)
        return self.lift(self._keep(branch_node(slots, None), key, depth), key, start, depth)

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        super().lift(ref, key, start, depth)
        if depth == start:
            return ref
        if depth < ACCOUNT_DIGITS:
            return self._keep(extension_node(ref, key, start, depth), key, start)
        shift = STORAGE_DEPTH
        return self._keep(extension_node(ref, key[HASH_SIZE:], start - shift, depth - shift), key, start)


def _path_bytes(prefix: str) -> bytes:
    return bytes.fromhex(prefix + "0" * (len(prefix) & 1))


def _encode_reference(ref: RLP) -> bytes:
    """A child as it stands in a slot: a hash, or the encoding of an inlined node."""
    return ref if isinstance(ref, bytes) else _encode(ref)


def _encode(item: RLP) -> bytes:
    if isinstance(item, bytes):
        return encode_string(item)
    return encode_list(b"".join(_encode(part) for part in item))
