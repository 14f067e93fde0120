"""The fold on items written by hand: what it refuses, what it returns, and how much it needs for it."""

from __future__ import annotations

import hashlib
import random
import tracemalloc
from collections.abc import Iterator

import pytest

from proofs import (
    LEAF,
    NODE,
    STEM,
    VALUE,
    InvalidLeafError,
    Item,
    LeafOrderError,
    MalformedProofError,
    MisplacedNodeError,
    ProofError,
    fold,
    frontier_root,
    get_scheme,
    leaf_items,
    state_root,
)
from tests.model import MODELS
from tests.proofs.states import KINDS, random_world

MKVS = get_scheme("mkvs")
MPT = get_scheme("mpt")
REF = bytes(range(32))


def _leaf(key: bytes, value: bytes = b"v") -> Item:
    return key, value, LEAF, 0


def _node(key: bytes, depth: int) -> Item:
    return key, REF, NODE, depth


def test_nothing_folds_to_nothing() -> None:
    """Fails if an empty range has a node of its own."""
    assert fold(MPT, ()) == ()
    assert fold(MPT, (), b"a", b"b") == ()
    for name in MODELS:
        assert state_root(get_scheme(name), ()) == MODELS[name]().empty_root


@pytest.mark.parametrize("keys", [(b"a", b"a"), (b"b", b"a"), (b"ab", b"a")])
def test_keys_ascend(keys: tuple[bytes, ...]) -> None:
    """Fails if equal or descending keys are folded."""
    with pytest.raises(LeafOrderError):
        fold(MPT, map(_leaf, keys))


@pytest.mark.parametrize(("before", "after"), [(b"m", None), (b"n", None), (None, b"m"), (None, b"a")])
def test_neighbours_lie_outside(before: bytes | None, after: bytes | None) -> None:
    """Fails if a neighbour may be the range's own key, or on the wrong side of it."""
    with pytest.raises(LeafOrderError):
        fold(MPT, [_leaf(b"m")], before, after)


def test_nothing_lies_inside_a_node() -> None:
    """Fails if an item or a neighbour may hide below a closed subtree, before or behind it."""
    inside, node = _leaf(b"\x12\x34"), _node(b"\x10", 1)
    for items in ([node, inside], [inside, (b"\x15", REF, NODE, 1)], [node, (b"\x12", REF, NODE, 2)]):
        with pytest.raises(LeafOrderError):
            fold(MPT, items)
    with pytest.raises(LeafOrderError):
        fold(MPT, [node], None, b"\x11")
    with pytest.raises(LeafOrderError):
        fold(MPT, [(b"\x15", REF, NODE, 1)], b"\x11", None)


@pytest.mark.parametrize("depth", [0, 1, 3, 4])
def test_a_node_sits_one_below_its_parent(depth: int) -> None:
    """Fails if the claimed depth of a node is not compared: rule 2. Its branch is at 1, so it belongs at 2."""
    honest = [_node(b"\x11", 2), _leaf(b"\x12")]
    assert len(fold(MPT, honest)) == 1
    with pytest.raises((MisplacedNodeError, LeafOrderError)):
        fold(MPT, [(b"\x11", REF, NODE, depth), _leaf(b"\x12")])


def test_misplaced_node_names_where_it_belongs() -> None:
    """Fails if the error blames another place."""
    with pytest.raises(MisplacedNodeError) as caught:
        fold(MKVS, [_node(b"\x00", 5), _leaf(b"\x80")])
    assert (caught.value.key, caught.value.depth, caught.value.expected) == (b"\x00", 5, 1)


def test_a_value_sits_at_its_branch() -> None:
    """Fails if a value without a branch under its key is taken for a leaf or for a node."""
    assert len(fold(MPT, [(b"\x11", b"v", VALUE, 0), _leaf(b"\x11\x22")])) == 1
    for items in ([(b"\x11", b"v", VALUE, 0)], [(b"\x11", b"v", VALUE, 0), _leaf(b"\x12")]):
        with pytest.raises(MisplacedNodeError):
            fold(MPT, items)


def test_a_stem_is_lifted_to_its_parent() -> None:
    """Fails if a branch known by its own reference hangs without the path between, or above its place."""
    leaves = [_leaf(b"\x12\x30", b"a" * 40), _leaf(b"\x12\x31", b"b" * 40)]
    slots: list[bytes | None] = [None] * 16
    slots[0], slots[1] = (MPT.leaf(*leaf[:2], 4) for leaf in leaves)
    ref = MPT.branch(slots, None, b"\x12\x30", 3, 3)
    other = _leaf(b"\x20", b"c")
    whole = fold(MPT, [*leaves, other])
    assert fold(MPT, [(b"\x12\x30", ref, STEM, 3), other]) == whole
    assert state_root(MPT, [(b"\x12\x30", ref, STEM, 3)]) == state_root(MPT, leaves)
    for depth in (0, 1):
        with pytest.raises(LeafOrderError):
            fold(MPT, [(b"\x12", ref, STEM, depth), _leaf(b"\x13")])
    with pytest.raises(LeafOrderError):
        fold(MPT, [_leaf(b"\x12\x20"), (b"\x12\x30", ref, STEM, 2)])
    with pytest.raises(MalformedProofError):
        fold(MKVS, [(b"\x12\x30", ref, STEM, 9), _leaf(b"\xff")])


def test_only_a_whole_frontier_has_a_root() -> None:
    """Fails if a part's frontier, or a node that is not the top, gives a root."""
    leaves = [(bytes((key,)), b"v") for key in range(8)]
    partial = fold(MPT, leaf_items(leaves[:5]), None, leaves[5][0])
    assert len(partial) > 1
    whole = fold(MPT, leaf_items(leaves))
    for frontier in (partial, partial[:1], ((b"", b"v", VALUE, 0),), whole + partial):
        with pytest.raises(MalformedProofError):
            frontier_root(MPT, frontier)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_items_at_other_depths_are_refused(name: str, kind: str, rng: random.Random) -> None:
    """Fails if any of the checks of order or depth in the fold is taken out: rule 2 without the wire format's help."""
    world = random_world(name, kind, rng)
    for first, last in world.cuts:
        before = world.leaves[first - 1][0] if first else None
        after = world.leaves[last][0] if last < len(world.leaves) else None
        items = list(fold(world.scheme, leaf_items(world.leaves[first:last]), before, after))
        left, right = list(leaf_items(world.leaves[:first])), list(leaf_items(world.leaves[last:]))
        for at, (key, ref, what, depth) in enumerate(items):
            if what != NODE or not depth:
                continue
            for claim in {0, depth - 1, depth + 1, depth + 2, depth + 8} - {depth}:
                forged = [*items[:at], (key, ref, NODE, claim), *items[at + 1 :]]
                with pytest.raises(ProofError):
                    fold(world.scheme, [*left, *forged, *right])


def _comb(size: int) -> Iterator[tuple[bytes, bytes]]:
    """A branch at every bit of a path of zeros: as many leaves, and as deep, as `size` bytes allow."""
    yield bytes(size), b"deepest"
    for bit in range(size * 8 - 1, -1, -1):
        yield bytes(bit >> 3) + bytes((0x80 >> (bit & 7),)), b"v"


@pytest.mark.slow
def test_the_deepest_legal_trie() -> None:
    """65,528 branches below each other. Fails if the fold recurses, or holds leaves that it no longer needs (they have
    270 MB of keys).
    """
    depth = MKVS.capabilities.key_sizes[1] * 8
    assert depth == 65_528
    tracemalloc.start()
    root = state_root(MKVS, leaf_items(_comb(depth // 8)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    assert root == _comb_root(depth)


def _comb_root(depth: int) -> bytes:
    """The same from the bottom up, node by node as section 4 of the format writes them."""

    def sha(data: bytes) -> bytes:
        return hashlib.new("sha512_256", data).digest()

    def leaf(key: bytes, value: bytes) -> bytes:
        return sha(b"\0" + len(key).to_bytes(4, "little") + key + len(value).to_bytes(4, "little") + value)

    below = leaf(bytes(depth // 8), b"deepest")
    for bit in range(depth - 1, -1, -1):
        side = leaf(bytes(bit >> 3) + bytes((0x80 >> (bit & 7),)), b"v")
        label = (1).to_bytes(2, "little") + b"\0" if bit else bytes(2)
        below = sha(b"\1" + label + sha(b"") + below + side)
    return below


def test_a_chain_of_keys_inside_keys() -> None:
    """Every key is the beginning of the next, 8,192 deep, the empty key first. Fails if the fold recurses."""
    chain = [bytes(size) for size in range(MKVS.capabilities.key_sizes[1] + 1)]
    items: list[Item] = [(key, b"", LEAF, 0) for key in chain]
    ((_, ref, kind, depth),) = fold(MKVS, items)
    assert (kind, depth) == (NODE, 0)
    assert MKVS.root(ref) == state_root(MKVS, [*fold(MKVS, items[:5000], None, chain[5000]), *items[5000:]])


def test_a_scheme_s_refusal_passes_through() -> None:
    """Fails if the fold hides what a scheme says about parts that do not belong together."""
    with pytest.raises(InvalidLeafError):
        fold(get_scheme("ethereum"), [(bytes(64), b"\x01", LEAF, 0)])
