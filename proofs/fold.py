"""The fold: from leaves in key order to the fewest closed subtrees that cover them, and so to a root.

Every trie here is a radix tree over sorted keys. The number of digits that two neighbours share fixes
the branch between them, so the shape of a trie is known from its keys *in order*, and a node can be hashed
as soon as the neighbours of its range are known. `fold` is the only place that knows this. It reads a
stream once, keeps one stack of open branches (as deep as the trie, never as long as the stream), and asks
the scheme for encodings.

Items are 4-tuples `(key, payload, kind, depth)`:

    LEAF    key, value; depth unused
    NODE    a closed subtree: position = first `depth` digits of `key`, payload = its reference
    VALUE   what the branch at exactly `key` holds as its value: payload = `Scheme.value`; depth unused
    STEM    a branch known by its own reference at its own path (`depth` digits), not yet lifted to its
            parent; only foreign proofs are opened into these
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat

from proofs.errors import LeafOrderError, MalformedProofError, MisplacedNodeError
from proofs.scheme import Scheme

Item = tuple[bytes, bytes, int, int]
Frontier = tuple[Item, ...]

LEAF = 0
NODE = 1
VALUE = 2
STEM = 3

_OUTSIDE = -1
"""Depth of the branch above the root: what a missing neighbour shares with any key."""


class _Branch:
    """A branch that may still get children; `keys` remember one key below each slot."""

    __slots__ = ("depth", "keys", "slots", "value", "value_key")

    def __init__(self, depth: int, radix: int) -> None:
        self.depth = depth
        self.slots: list[bytes | None] = [None] * radix
        self.keys: list[bytes] = [b""] * radix
        self.value: bytes | None = None
        self.value_key = b""

    def items(self) -> Iterator[Item]:
        """What hangs under this branch, in key order, as closed items."""
        if self.value is not None:
            yield self.value_key, self.value, VALUE, 0
        for key, ref in zip(self.keys, self.slots, strict=True):
            if ref is not None:
                yield key, ref, NODE, self.depth + 1


def leaf_items(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[Item]:
    """(key, value) pairs as items."""
    for key, value in pairs:
        yield key, value, LEAF, 0


def run_items(keys: Iterable[bytes], values: Iterable[bytes]) -> Iterator[Item]:
    """The same from two columns, without a Python frame for each leaf."""
    return zip(keys, values, repeat(LEAF), repeat(0), strict=False)


def fold(scheme: Scheme, items: Iterable[Item], before: bytes | None = None, after: bytes | None = None) -> Frontier:
    """Hash everything that lies wholly inside; return the maximal closed subtrees in key order.

    `items` leave nothing out between them. `before` and `after` are the nearest keys outside the range
    (positions will do: any key below them), None at the ends of the key space. Without neighbours the result
    is one NODE at depth 0, the whole trie, or nothing for no items. Memory: one branch a level of the
    current path.

    Why it is right: let `left` be the digits that the current key shares with `before`, `below` those that
    it shares with its successor (or `after`). A branch on the current path is complete once its depth exceeds
    `below`; it holds `before` exactly when its depth is at most `left`, and whatever is still open at the
    end holds `after`. Such branches are not ours to hash, so their children are the answer.

    Raises:
        LeafOrderError: keys not strictly ascending, or an item inside another's interval.
        MisplacedNodeError: a node or value whose position is not where its neighbours put it.
        InvalidLeafError: from the scheme.
    """
    path = scheme.path
    parting, digit, digits, radix = path.parting, path.digit, path.digits, path.radix
    stream = iter(items)
    current = next(stream, None)
    if current is None:
        return ()
    out: list[Item] = []
    stack: list[_Branch] = []
    above = left = _OUTSIDE if before is None else _share(parting, before, current)
    while current is not None:
        key = current[0]
        following = next(stream, None)
        if following is not None:
            other = following[0]
            if key >= other:
                raise LeafOrderError(other, key)
            below = parting(key, other)
            if (current[2] & 1 and below >= current[3]) or (following[2] & 1 and below >= following[3]):
                raise LeafOrderError(other, key)
        elif after is not None:
            if key >= after:
                raise LeafOrderError(after, key)
            below = parting(key, after)
            if current[2] & 1 and below >= current[3]:
                raise LeafOrderError(after, key)
        else:
            below = _OUTSIDE
        parent = above if above > below else below
        if parent == digits(key) and not current[2] & 1:
            # A value precedes all else below its branch, so the branch is not open yet.
            stack.append(_Branch(parent, radix(parent)))
            stack[-1].value = scheme.value(key, current[1]) if current[2] == LEAF else current[1]
            stack[-1].value_key = key
        else:
            ref = _reference(scheme, current, parent)
            if parent < 0:
                return ((key, ref, NODE, 0),)
            if not stack or stack[-1].depth < parent:
                stack.append(_Branch(parent, radix(parent)))
            slot = digit(key, parent)
            stack[-1].slots[slot], stack[-1].keys[slot] = ref, key
        while stack and stack[-1].depth > below:
            branch = stack.pop()
            if branch.depth <= left:
                out.extend(branch.items())
                continue
            parent = max(stack[-1].depth if stack else _OUTSIDE, below, left)
            ref = scheme.branch(branch.slots, branch.value, key, parent + 1, branch.depth)
            if parent < 0:
                return ((key, ref, NODE, 0),)
            if not stack or stack[-1].depth < parent:
                stack.append(_Branch(parent, radix(parent)))
            slot = digit(key, parent)
            stack[-1].slots[slot], stack[-1].keys[slot] = ref, key
        if below < left:
            left = below
        above = below
        current = following
    for branch in stack:
        out.extend(branch.items())
    return tuple(out)


def state_root(scheme: Scheme, items: Iterable[Item]) -> bytes:
    """Root hash (32 bytes) of the whole state.

    Raises:
        LeafOrderError, MisplacedNodeError, InvalidLeafError: as `fold`.
    """
    return frontier_root(scheme, fold(scheme, items))


def frontier_root(scheme: Scheme, frontier: Frontier) -> bytes:
    """Root hash of a frontier that covers the whole key space.

    Raises:
        MalformedProofError: it covers a part only.
    """
    if not frontier:
        return scheme.empty_root
    _, ref, kind, depth = frontier[0]
    if len(frontier) > 1 or kind != NODE or depth:
        raise MalformedProofError("the frontier does not cover the whole key space")
    return scheme.root(ref)


def _share(parting: Callable[[bytes, bytes], int], before: bytes, first: Item) -> int:
    """Digits that the first item shares with the key before the range."""
    if before >= first[0]:
        raise LeafOrderError(first[0], before)
    shared = parting(before, first[0])
    if first[2] & 1 and shared >= first[3]:
        raise LeafOrderError(first[0], before)
    return shared


def _reference(scheme: Scheme, item: Item, parent: int) -> bytes:
    """The reference of an item as the child of a branch at depth `parent`."""
    key, payload, kind, depth = item
    if kind == LEAF:
        return scheme.leaf(key, payload, parent + 1)
    if kind == NODE and depth == parent + 1:
        return payload
    if kind == STEM and depth > parent:
        return scheme.lift(payload, key, parent + 1, depth)
    raise MisplacedNodeError(key, depth, parent + 1)
