"""The Oasis trie as nodes: built from sorted leaves, whole or as a spine over folded subtrees.

A `Branch` is an internal node, with its children; a `Stub` is a subtree that is folded away: its hash, and
which leaves to read to have it back. `build` keeps whole what it is given; with `stub_leaves` it folds away
every maximal subtree of at most so many leaves, so that a tree of a million leaves is a few thousand nodes,
and a read opens one or two stubs. Nothing here does I/O: leaves come from the caller.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from proofs.errors import LeafOrderError, MissingNodeError
from proofs.oasis.messages import EMPTY_HASH
from proofs.oasis.node import branch_hash, label, leaf_hash
from proofs.schemes.mkvs import MKVS

Pair = tuple[bytes, bytes]
ReadLeaves = Callable[[bytes, int], Iterable[Pair]]
"""(first key, count) -> so many leaves in key order from that key on."""

_SCHEME = MKVS()
_parting, _bit = _SCHEME.path.parting, _SCHEME.path.digit
STUBS_KEPT = 64


class Leaf:
    """A leaf, wherever it sits."""

    __slots__ = ("hash", "key", "value")
    count = 1

    def __init__(self, key: bytes, value: bytes) -> None:
        self.key, self.value = key, value
        self.hash = leaf_hash(key, value)


class Branch:
    """An internal node: label = bits [start, end) of `key`, any key below it."""

    __slots__ = ("count", "end", "hash", "key", "leaf", "left", "right", "start")

    def __init__(self, key: bytes, end: int) -> None:
        self.key, self.end = key, end
        self.start = 0
        self.count = 0
        self.hash = EMPTY_HASH
        self.leaf: Leaf | None = None
        self.left: Node | None = None
        self.right: Node | None = None

    def attach(self, key: bytes, child: Leaf | Branch) -> None:
        """Hang `child` where `key`, a key below it, goes from here."""
        if isinstance(child, Leaf) and len(key) * 8 == self.end:
            self.leaf = child
        elif _bit(key, self.end):
            self.right = child
        else:
            self.left = child
        self.count += child.count

    def close(self, start: int) -> None:
        """Fix the label, and with it the hash. All children are there."""
        self.start = start
        self.hash = branch_hash(
            self.end - start,
            label(self.key, start, self.end),
            self.leaf.hash if self.leaf else EMPTY_HASH,
            self.left.hash if self.left else EMPTY_HASH,
            self.right.hash if self.right else EMPTY_HASH,
        )

    def fold_away(self, stub_leaves: int) -> None:
        """Replace children of at most `stub_leaves` leaves by stubs."""
        for side in ("left", "right"):
            child = getattr(self, side)
            if isinstance(child, Branch) and child.count <= stub_leaves:
                setattr(self, side, Stub(child))


class Stub:
    """A subtree by its hash, and where its leaves are."""

    __slots__ = ("count", "first", "hash", "start")

    def __init__(self, branch: Branch) -> None:
        self.hash, self.count, self.start, self.first = branch.hash, branch.count, branch.start, branch.key


Node = Leaf | Branch | Stub
Opened = Leaf | Branch


def build(pairs: Iterable[Pair], *, start: int = 0, stub_leaves: int = 0) -> Node | None:
    """The trie of sorted unique leaves that lies below bit `start` (0: the whole trie); None for no leaves.

    One pass, one stack. Memory: the nodes kept, and at most the open path and the subtrees on it that are
    not yet folded away.

    Raises:
        LeafOrderError: keys not strictly ascending.
        InvalidLeafError: a key that is too long.
    """
    stack: list[Branch] = []
    stream = iter(pairs)
    current = next(stream, None)
    above = -1
    while current is not None:
        key = current[0]
        following = next(stream, None)
        if following is not None and following[0] <= key:
            raise LeafOrderError(following[0], key)
        below = -1 if following is None else _parting(key, following[0])
        _SCHEME.check_leaf(*current)
        leaf = Leaf(*current)
        depth = max(above, below)
        if depth < 0:
            return leaf
        if not stack or stack[-1].end < depth:
            stack.append(Branch(key, depth))
        stack[-1].attach(key, leaf)
        while stack and stack[-1].end > below:
            branch = stack.pop()
            depth = max(stack[-1].end if stack else -1, below)
            branch.close(start if depth < 0 else depth)
            if branch.count > stub_leaves > 0:
                branch.fold_away(stub_leaves)
            if depth < 0:
                return branch
            if not stack or stack[-1].end < depth:
                stack.append(Branch(branch.key, depth))
            stack[-1].attach(key, branch)
        above, current = below, following
    return None


class Tree:
    """A trie that can be walked from its root; stubs are opened by reading their leaves.

    Not thread-safe. Keeps the last few opened stubs.
    """

    def __init__(self, root: Node | None, read_leaves: ReadLeaves | None = None) -> None:
        self.root = root
        self.root_hash = root.hash if root else EMPTY_HASH
        self._read = read_leaves
        self._opened: OrderedDict[bytes, Opened] = OrderedDict()

    def open(self, node: Node) -> Opened:
        """The node itself, with its children.

        Raises:
            MissingNodeError: the leaves read do not give the subtree's hash: spine and leaves differ.
        """
        if not isinstance(node, Stub):
            return node
        opened = self._opened.get(node.hash)
        if opened is None:
            pairs = self._read(node.first, node.count) if self._read else ()
            built = build(pairs, start=node.start)
            if built is None or isinstance(built, Stub) or built.hash != node.hash:
                raise MissingNodeError(node.first, node.hash)
            opened = self._opened[node.hash] = built
            if len(self._opened) > STUBS_KEPT:
                self._opened.popitem(last=False)
        else:
            self._opened.move_to_end(node.hash)
        return opened
