"""CE 129, JAM's state request (JAMNP-S): a range of leaves and the boundary nodes that prove it.

A request names inclusive keys, neither of which need exist. The answer is the boundary nodes (64 bytes each, those on
the paths from the root to `start` and to the last key returned, each once, parent before child) and the pairs. The
state meant is the posterior one of the block.

Reading: nodes are walked from the trusted root, by identities that we compute; what hangs off them outside the range
becomes items, and `judge` decides. Nodes that are not needed are ignored: an honest answer holds some that the pairs
rebuild. Writing: the fold builds the nodes, a recording scheme keeps them.

Where the protocol leaves a choice: the sizes of the two messages count without their length prefixes; an answer
without pairs proves as much of the range as the path to `start` shows and leaves `more` set if that is not all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from proofs.errors import InvalidLeafError, LeafOrderError, MalformedProofError, MissingNodeError
from proofs.fold import LEAF, NODE, STEM, Item, fold
from proofs.kernel import Kernel
from proofs.leafrun import LeafRun, leaf_run
from proofs.natural import decode_natural, encode_natural
from proofs.range_proof import VerifiedRange, judge
from proofs.schemes.jam import EMPTY, JAM, KEY_BYTES, blake2b_256, branch_node, leaf_node

NODE_BYTES = 64
HEADER_BYTES = 32
REQUEST_BYTES = HEADER_BYTES + 2 * KEY_BYTES + 4
LOWEST = bytes(KEY_BYTES)
HIGHEST = b"\xff" * KEY_BYTES
NODES_MAX = 2 * (KEY_BYTES * 8 + 1)
"""Two paths from the root to a leaf."""

_JAM = JAM()


@dataclass(frozen=True, slots=True)
class StateRequest:
    """Leaves of [start, end], both inclusive, of the state after the block with this header hash."""

    header_hash: bytes
    start: bytes
    end: bytes
    size_max: int
    """Bytes of nodes and pairs together; a single pair may exceed it."""

    def encode(self) -> bytes:
        """The 98 bytes of the message."""
        return self.header_hash + self.start + self.end + self.size_max.to_bytes(4, "little")

    @classmethod
    def decode(cls, data: bytes) -> StateRequest:
        """Read a message.

        Raises:
            MalformedProofError
        """
        if len(data) != REQUEST_BYTES:
            raise MalformedProofError(f"a state request has {REQUEST_BYTES} bytes, not {len(data)}")
        start, end = data[HEADER_BYTES : HEADER_BYTES + KEY_BYTES], data[HEADER_BYTES + KEY_BYTES : -4]
        if start > end:
            raise MalformedProofError("a state request ends before it starts", HEADER_BYTES)
        return cls(data[:HEADER_BYTES], start, end, int.from_bytes(data[-4:], "little"))


@dataclass(frozen=True, slots=True)
class StateAnswer:
    """What a peer sent: boundary nodes, and leaves in key order. Untrusted until `verify_state` has seen it."""

    nodes: tuple[bytes, ...]
    run: LeafRun

    def encode(self) -> tuple[bytes, bytes]:
        """The two messages: nodes, pairs."""
        return b"".join(self.nodes), encode_pairs(self.run)

    @classmethod
    def decode(cls, nodes: bytes, pairs: bytes) -> StateAnswer:
        """Read the two messages.

        Raises:
            MalformedProofError
        """
        if len(nodes) % NODE_BYTES or len(nodes) > NODES_MAX * NODE_BYTES:
            raise MalformedProofError(f"boundary nodes have 64 bytes each and are at most {NODES_MAX}")
        split = tuple(nodes[at : at + NODE_BYTES] for at in range(0, len(nodes), NODE_BYTES))
        return cls(split, leaf_run(decode_pairs(pairs)))


def encode_pairs(run: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Key, length and value of each pair, joined."""
    return b"".join(key + encode_natural(len(value)) + value for key, value in run)


def decode_pairs(data: bytes, at: int = 0) -> list[tuple[bytes, bytes]]:
    """The pairs from `at` to the end of `data`.

    Raises:
        MalformedProofError
    """
    pairs: list[tuple[bytes, bytes]] = []
    while at < len(data):
        pair, at = _take_pair(data, at)
        pairs.append(pair)
    return pairs


def take_state(data: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """A whole state as JAM writes it (a natural, then so many pairs), and where it ends.

    Raises:
        MalformedProofError: cut off, or a key twice or out of order.
    """
    count, at = decode_natural(data, at)
    leaves: dict[bytes, bytes] = {}
    previous = b""
    for _ in range(count):
        (key, value), at = _take_pair(data, at)
        if key <= previous:
            raise MalformedProofError("the keys of a state are not in ascending order", at)
        leaves[key] = value
        previous = key
    return leaves, at


def _take_pair(data: bytes, at: int) -> tuple[tuple[bytes, bytes], int]:
    size, value_at = decode_natural(data, at + KEY_BYTES)
    end = value_at + size
    if end > len(data):
        raise MalformedProofError("ends inside a value", value_at)
    return (data[at : at + KEY_BYTES], data[value_at:end]), end


def prove_state(items: Sequence[Item], request: StateRequest) -> StateAnswer:
    """The longest answer within the request's size, at least one pair if there is one.

    `items` are the whole state in key order: leaves in the range that is asked for and next to it, closed subtrees
    elsewhere, as a range proof that covers the request has them. Which pairs fit is decided from keys alone.
    """
    keys = [key for key, _, _, _ in items]
    first, stop = bisect_left(keys, request.start), bisect_right(keys, request.end)
    start_depths = _path_depths(keys, request.start)
    size, last = 0, first
    for index in range(first, stop):
        key, value, kind, _ = items[index]
        if kind != LEAF:
            raise MalformedProofError("the range that is asked for is not open")
        size += KEY_BYTES + len(encode_natural(len(value))) + len(value)
        depths = _path_depths(keys, key)
        shared = min(start_depths, depths, _JAM.path.parting(request.start, key) + 1)
        if index > first and size + NODE_BYTES * (start_depths + depths - shared) > request.size_max:
            break
        last = index + 1
    targets = [request.start, *keys[first:last][-1:]]
    run = leaf_run([(key, value) for key, value, _, _ in items[first:last]])
    return StateAnswer(tuple(boundary_nodes(items, targets)), run)


def boundary_nodes(items: Iterable[Item], targets: Sequence[bytes]) -> list[bytes]:
    """The nodes on the paths to `targets`, each once, in key order of their positions, parent before child.

    `items` cover the whole state and hold the leaves around the targets.

    Raises:
        ProofError: items that do not fold.
    """
    recorder = _Recorder(targets)
    fold(recorder, items)
    return [node for _, node in sorted(recorder.found.items())]


def verify_state(
    root_hash: bytes, request: StateRequest, answer: StateAnswer, *, kernel: Kernel | None = None
) -> tuple[VerifiedRange, bool]:
    """Judge an answer against a trusted root; say whether the state holds, or may hold, more up to `request.end`.

    The verified range begins at `start` and reaches as far as the answer shows.

    Raises:
        MissingNodeError: a boundary node is not there.
        ProofError: whatever else makes the statement false or malformed.
    """
    keys = answer.run.keys
    for previous, key in pairwise(keys):
        if previous >= key:
            raise LeafOrderError(key, previous)
    if keys and not request.start <= keys[0] <= keys[-1] <= request.end:
        raise InvalidLeafError(keys[0], "lies outside the range that was asked for")
    if len(answer.nodes) > NODES_MAX:
        raise MalformedProofError(f"an answer has at most {NODES_MAX} boundary nodes")
    opener = _Opener(answer.nodes, request.start, keys[-1] if keys else request.start)
    opener.open(root_hash)
    left, right = opener.left, opener.right
    end = right[0][0] if right else None
    verified = judge(_JAM, root_hash, left, answer.run, right, start=request.start, end=end, kernel=kernel)
    return verified, end is not None and end <= request.end


class _Recorder(JAM):
    """JAM, keeping the nodes whose position a target passes through, by (position, depth)."""

    def __init__(self, targets: Sequence[bytes]) -> None:
        self._targets = targets
        self.found: dict[tuple[bytes, int], bytes] = {}

    def _keep(self, node: bytes, key: bytes, depth: int) -> None:
        for target in self._targets:
            if self.path.parting(key, target) >= depth:
                self.found[self.path.bound(key, depth).ljust(KEY_BYTES, b"\0"), depth] = node
                return

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        self._keep(leaf_node(key, value), key, depth)
        return super().leaf(key, value, depth)

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        left, right = slots
        self._keep(branch_node(left or EMPTY, right or EMPTY), key, depth)
        return super().branch(slots, value, key, start, depth)

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        for at in range(depth - 1, start - 1, -1):
            node = branch_node(EMPTY, ref) if self.path.digit(key, at) else branch_node(ref, EMPTY)
            self._keep(node, key, at)
            ref = blake2b_256(node)
        return super().lift(ref, key, start, start)


class _Opener:
    """Walks from the root and turns what lies outside [start, last] into items."""

    def __init__(self, nodes: Iterable[bytes], start: bytes, last: bytes) -> None:
        # A left child is known in 255 bits only, so all nodes are looked up by these.
        self._nodes = {_masked(blake2b_256(node)): node for node in nodes}
        self._start = start
        self._last = last
        self.left: list[Item] = []
        self.right: list[Item] = []

    def open(self, root_hash: bytes) -> None:
        """Walk the tree. It ends: a subtree as deep as a key has bits holds one key, and no edge runs through it."""
        if root_hash != EMPTY:
            self._place(root_hash, LOWEST, 0)

    def _visit(self, identity: bytes, position: bytes, depth: int) -> None:
        node = self._nodes.get(_masked(identity))
        if node is None or len(node) != NODE_BYTES:
            raise MissingNodeError(position, identity)
        if node[0] & 0x80:
            self._leaf(identity, node[1 : 1 + KEY_BYTES], position, depth)
            return
        for digit, child in enumerate((node[:32], node[32:])):
            if child != EMPTY:
                self._place(child, _JAM.path.child(position, depth, digit).ljust(KEY_BYTES, b"\0"), depth + 1)

    def _place(self, identity: bytes, lowest: bytes, depth: int) -> None:
        """A subtree whose smallest key is `lowest`: outside, inside, or across an edge of the range."""
        highest = (int.from_bytes(lowest) | (1 << KEY_BYTES * 8 - depth) - 1).to_bytes(KEY_BYTES)
        if highest < self._start:
            self.left.append((lowest, identity, STEM, depth))
        elif lowest > self._last:
            self.right.append((lowest, identity, STEM, depth))
        elif not self._start <= lowest <= highest <= self._last:
            self._visit(identity, lowest, depth)

    def _leaf(self, identity: bytes, key: bytes, position: bytes, depth: int) -> None:
        """A leaf across an edge: its node shows on which side its key is. Inside, it is among the pairs."""
        if _JAM.path.parting(key, position) < depth:
            raise MalformedProofError("a leaf does not lie where its path leads")
        if key < self._start:
            self.left.append((key, identity, NODE, depth))
        elif key > self._last:
            self.right.append((key, identity, NODE, depth))


def _masked(identity: bytes) -> bytes:
    return bytes((identity[0] & 0x7F,)) + identity[1:]


def _path_depths(keys: Sequence[bytes], target: bytes) -> int:
    """How many nodes lie on the path to `target`, from sorted `keys` (and positions of subtrees beside them) alone."""
    parting = _JAM.path.parting
    after = bisect_left(keys, target)
    if after < len(keys) and keys[after] == target:
        around = [parting(target, keys[at]) for at in (after - 1, after + 1) if 0 <= at < len(keys)]
        return max(around, default=-1) + 2
    # An absent key: with one leaf left the path ends at that leaf, else at the branch whose taken side is empty.
    shared = [-1, *sorted(parting(target, key) for key in keys[max(0, after - 2) : after + 2])]
    if len(shared) == 1:
        return 0
    second, best = shared[-2:]
    return second + 2 if second < best else best + 1
