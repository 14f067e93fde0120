"""Forged range proofs: every single edit of an honest one, and random mixtures of several.

A forgery is judged by the oracle, not by its name: an edit may well give back something honest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from proofs import Kernel, LeafRun, ProofError, ProofNode, RangeProof, leaf_run, verify_range
from tests.model import VALUE_SLOT, Leaf
from tests.proofs.states import GENERATORS, World

Nodes = tuple[ProofNode, ...]


@dataclass(frozen=True)
class Forgery:
    """What a liar sends, and what was done to it."""

    name: str
    proof: RangeProof
    run: LeafRun


def judge_forgery(world: World, forgery: Forgery, kernel: Kernel | None = None) -> bool:
    """Whether it was accepted; fails if that is not what the oracle says, or if anything but ProofError escapes."""
    honest = world.is_honest(forgery.proof, forgery.run)
    try:
        verified = verify_range(world.scheme, world.root, forgery.proof, forgery.run, kernel=kernel)
    except ProofError as error:
        refusal = error
    else:
        assert honest, f"{forgery.name}: forged and accepted {_tell(world, forgery)}"
        inside = tuple(leaf for leaf in world.leaves if leaf[0] in verified)
        assert tuple(verified.run) == inside, f"{forgery.name}: not the range's leaves {_tell(world, forgery)}"
        return True
    assert not honest, f"{forgery.name}: honest and refused: {refusal!r} {_tell(world, forgery)}"
    return False


def _with(proof: RangeProof, side: str, nodes: Nodes) -> RangeProof:
    return replace(proof, left=nodes) if side == "left" else replace(proof, right=nodes)


def _tell(world: World, forgery: Forgery) -> str:
    leaves = [(key.hex(), value.hex()) for key, value in world.leaves]
    return f"{world.scheme.name} {leaves}: {forgery.proof} {[key.hex() for key in forgery.run.keys]}"


def edits(world: World, first: int, last: int, rng: random.Random) -> Iterator[Forgery]:
    """Every edit of one leaf, one node or one bound of the honest proof of leaves[first:last]."""
    proof, leaves = world.honest(first, last), list(world.leaves[first:last])
    for name, forged in _leaf_edits(world, leaves, first, last, rng):
        yield Forgery(f"leaf {name}", proof, leaf_run(sorted(forged)))
    for side in ("left", "right"):
        nodes: Nodes = getattr(proof, side)
        for name, edited in _node_edits(world, nodes, rng):
            yield Forgery(f"{side} node {name}", _with(proof, side, edited), leaf_run(leaves))
    for name, other in (*_side_edits(proof), *_opened(world, proof), *_hollow(world, proof)):
        yield Forgery(name, other, leaf_run(leaves))
    for start in _bounds_near(world, proof.start):
        yield Forgery("start shifted", replace(proof, start=start), leaf_run(leaves))
    for end in (None, *_bounds_near(world, proof.end or b"")):
        yield Forgery("end shifted", replace(proof, end=end), leaf_run(leaves))


def _leaf_edits(
    world: World, leaves: list[Leaf], first: int, last: int, rng: random.Random
) -> Iterator[tuple[str, list[Leaf]]]:
    """Drop, alter, move, add."""
    generators = GENERATORS[world.scheme.name]
    outside = [leaf for at, leaf in enumerate(world.leaves) if not first <= at < last]
    for at, (key, value) in enumerate(leaves):
        rest = leaves[:at] + leaves[at + 1 :]
        yield "dropped", rest
        yield "altered", [*rest, (key, generators.other_value(rng, key))]
        for form in generators.other_forms(value):
            yield "written another way", [*rest, (key, form)]
        yield "emptied", [*rest, (key, b"")]
        yield "extended", [*rest, (key, value + b"\0")]
        for moved in _keys_near(key):
            yield "moved", [*rest, (moved, value)]
            yield "copied", [*leaves, (moved, value)]
        for near, other in zip(leaves[at + 1 :], leaves[at + 1 :], strict=True):
            swapped = [*(leaf for leaf in rest if leaf != near), (key, other[1]), (other[0], value)]
            yield "swapped", swapped
    for leaf in outside:
        yield "added", [*leaves, leaf]


def _node_edits(world: World, nodes: Nodes, rng: random.Random) -> Iterator[tuple[str, Nodes]]:
    """Drop, double, alter, swap, move, hide, merge, add."""
    for at, node in enumerate(nodes):
        before, behind = nodes[:at], nodes[at + 1 :]
        yield "dropped", before + behind
        yield "doubled", (*before, node, *nodes[at:])
        for ref in _other_refs(world, node, rng):
            yield "altered", (*before, node._replace(ref=ref), *behind)
        for depth in (node.depth - 1, node.depth + 1, node.depth + 8, -1, 2**40):
            yield "longer or shorter", (*before, node._replace(depth=depth), *behind)
        for slot in (node.slot - 1, node.slot + 1, VALUE_SLOT, 16, 2**40):
            yield "in another slot", (*before, node._replace(slot=slot), *behind)
        for other in range(at + 1, len(nodes)):
            swapped = list(nodes)
            swapped[at], swapped[other] = node._replace(ref=nodes[other].ref), nodes[other]._replace(ref=node.ref)
            yield "references swapped", tuple(swapped)
            swapped[at], swapped[other] = nodes[other], node
            yield "order swapped", tuple(swapped)
            merged = node._replace(ref=node.ref + nodes[other].ref)
            yield "merged", (*before, merged, *nodes[at + 1 : other], *nodes[other + 1 :])
    for at in range(len(nodes) + 1):
        yield "added", (*nodes[:at], _random_node(world, nodes, rng), *nodes[at:])


def _side_edits(proof: RangeProof) -> Iterator[tuple[str, RangeProof]]:
    """Nodes hidden on the other side, at its ends."""
    for node in proof.left:
        rest = tuple(one for one in proof.left if one != node)
        yield "left hidden right", replace(proof, left=rest, right=(node, *proof.right))
        yield "left hidden right", replace(proof, left=rest, right=(*proof.right, node))
    for node in proof.right:
        rest = tuple(one for one in proof.right if one != node)
        yield "right hidden left", replace(proof, right=rest, left=(*proof.left, node))
        yield "right hidden left", replace(proof, right=rest, left=(node, *proof.left))
    yield "sides swapped", replace(proof, left=proof.right, right=proof.left)
    yield "left dropped", replace(proof, left=(), start=b"")
    yield "right dropped", replace(proof, right=(), end=None)


def _opened(world: World, proof: RangeProof) -> Iterator[tuple[str, RangeProof]]:
    """A closed subtree written as its children, with the old bound and with the one that they would have."""
    digits = world.model.digits
    for side, bound in (("left", proof.start), ("right", proof.end or b"")):
        nodes: Nodes = getattr(proof, side)
        for at, node in enumerate(nodes):
            prefix = (*digits(bound)[: node.depth], node.slot)
            below = [leaf for leaf in world.leaves if digits(leaf[0])[: len(prefix)] == prefix]
            if len(below) < 2:
                continue
            opened = [*nodes[:at], *_children(world, below), *nodes[at + 1 :]]
            forged = _with(proof, side, tuple(opened))
            yield f"{side} opened", forged
            first = world.model.position(digits(below[0][0])[: world.model.common(below) + 1])
            yield f"{side} opened, end moved", replace(forged, end=first)


def _children(world: World, below: list[Leaf]) -> Nodes:
    """The nodes under the branch above these leaves."""
    model, depth = world.model, world.model.common(below)
    return tuple(
        ProofNode(depth, slot, model.value(*leaves[0]) if slot == VALUE_SLOT else model.reference(leaves, depth + 1))
        for slot, leaves in model.children(below)
    )


def _hollow(world: World, proof: RangeProof) -> Iterator[tuple[str, RangeProof]]:
    """Nodes that add no byte to a hash, where nothing is; bytes moved from one reference to the next."""
    empties = (b"", b"\x80", world.scheme.empty_root)
    for side, bound in (("left", proof.start), ("right", proof.end or b"")):
        nodes: Nodes = getattr(proof, side)
        for depth in {node.depth for node in nodes}:
            taken = {node.slot for node in nodes if node.depth == depth}
            digit = world.model.digits(bound)[depth]
            free = range(VALUE_SLOT, digit) if side == "left" else range(digit + 1, world.scheme.path.radix(depth))
            for slot in sorted({*free} - taken):
                for ref in empties:
                    more = sorted((*nodes, ProofNode(depth, slot, ref)), key=lambda node: (node.depth, node.slot))
                    if side == "right":
                        more.sort(key=lambda node: (-node.depth, node.slot))
                    yield f"{side} hollow", _with(proof, side, tuple(more))
        for at, (one, two) in enumerate(pairwise(nodes)):
            for a, b in _shifted(one.ref, two.ref):
                pair = one._replace(ref=a), two._replace(ref=b)
                yield f"{side} bytes moved", _with(proof, side, (*nodes[:at], *pair, *nodes[at + 2 :]))


def _shifted(a: bytes, b: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Two references whose joined bytes stay the same."""
    yield a + b[:1], b[1:]
    yield a[:-1], a[-1:] + b
    yield a + b, b""
    yield b"", a + b


def _keys_near(key: bytes) -> Iterator[bytes]:
    """Keys that a careless verifier confuses with this one, legal or not."""
    yield key + b"\0"
    yield key[:-1]
    if key:
        yield key[:-1] + bytes((key[-1] ^ 1,))
        yield key[:-1] + bytes((key[-1] ^ 0x80,))
        yield bytes((key[0] ^ 0x10,)) + key[1:]


def _bounds_near(world: World, bound: bytes) -> Iterator[bytes]:
    """Other bounds of the state, and this one written a little differently."""
    yield b""
    yield from _keys_near(bound)
    yield bound + bytes(40)
    for before, after in pairwise(world.leaves):
        yield world.model.bound(before[0], after[0])
    for key, _ in world.leaves:
        yield key


def _other_refs(world: World, node: ProofNode, rng: random.Random) -> Iterator[bytes]:
    ref = node.ref
    yield b""
    yield world.scheme.empty_root
    yield b"\x80"
    yield ref + b"\0"
    yield ref[:-1]
    yield bytes((byte ^ (at == 0) for at, byte in enumerate(ref)))
    yield rng.choice(_references(world))


def _random_node(world: World, nodes: Nodes, rng: random.Random) -> ProofNode:
    depth = rng.choice([node.depth for node in nodes] or [0]) + rng.randint(-1, 1)
    return ProofNode(depth, rng.randint(VALUE_SLOT, world.scheme.path.radix(0)), rng.choice(_references(world)))


@lru_cache(maxsize=256)
def _references(world: World) -> tuple[bytes, ...]:
    """Every reference that some honest proof of the state holds: what a liar has to work with."""
    nodes = {node.ref for first, last in world.cuts for node in _all_nodes(world.honest(first, last))}
    return tuple(sorted(nodes)) or (bytes(32),)


def _all_nodes(proof: RangeProof) -> Nodes:
    return proof.left + proof.right


def random_forgery(world: World, rng: random.Random) -> Forgery:
    """Parts of honest proofs of the same state put together, then up to three edits."""
    cuts = world.cuts
    (a, b), other, third = rng.choice(cuts), rng.choice(cuts), rng.choice(cuts)
    proof, leaves, names = world.honest(a, b), list(world.leaves[a:b]), []
    if rng.random() < 0.5:
        near = [cut for cut in cuts if abs(cut[0] - a) + abs(cut[1] - b) <= 2]
        other, third = rng.choice(near), rng.choice(near)
    source = world.honest(*other)
    for field in rng.sample(("left", "right", "start", "end"), rng.randint(0, 3)):
        if field in ("left", "right"):
            proof = _with(proof, field, getattr(source, field))
        else:
            proof = replace(proof, start=source.start) if field == "start" else replace(proof, end=source.end)
        names.append(f"foreign {field}")
    if rng.random() < 0.4:
        leaves = list(world.leaves[slice(*third)])
        names.append("foreign leaves")
    forgery = Forgery(", ".join(names), proof, leaf_run(leaves))
    for _ in range(rng.randint(0 if names else 1, 3)):
        forgery = rng.choice(_RANDOM_EDITS)(world, forgery, rng)
    return forgery


def _edit_leaf(world: World, forgery: Forgery, rng: random.Random) -> Forgery:
    leaves = dict(iter(forgery.run))
    action = rng.choice(("drop", "alter", "move", "add"))
    if leaves and action != "add":
        key = rng.choice(sorted(leaves))
        value = leaves.pop(key)
        if action == "alter":
            leaves[key] = GENERATORS[world.scheme.name].other_value(rng, key)
        elif action == "move":
            leaves[rng.choice(list(_keys_near(key)))] = value
    else:
        leaves |= [rng.choice(world.leaves)]
    return Forgery(f"{forgery.name}, leaf {action}", forgery.proof, leaf_run(sorted(leaves.items())))


def _edit_node(world: World, forgery: Forgery, rng: random.Random) -> Forgery:
    side = rng.choice(("left", "right"))
    nodes: list[ProofNode] = list(getattr(forgery.proof, side))
    action = rng.choice(("drop", "alter", "move", "add", "take"))
    at = rng.randrange(len(nodes)) if nodes else 0
    if not nodes or action == "add":
        nodes.insert(at, _random_node(world, tuple(nodes), rng))
    elif action == "take":
        cut = rng.choice(world.cuts)
        nodes = sorted({*nodes, *_all_nodes(world.honest(*cut))}, key=lambda node: (node.depth, node.slot))
        nodes = nodes if side == "left" else sorted(nodes, key=lambda node: (-node.depth, node.slot))
    elif action == "drop":
        del nodes[at]
    elif action == "alter":
        nodes[at] = nodes[at]._replace(ref=rng.choice(list(_other_refs(world, nodes[at], rng))))
    else:
        depth, slot = nodes[at].depth + rng.randint(-2, 2), nodes[at].slot + rng.randint(-1, 1)
        nodes[at] = ProofNode(depth, slot, nodes[at].ref)
    proof = _with(forgery.proof, side, tuple(nodes))
    return Forgery(f"{forgery.name}, {side} node {action}", proof, forgery.run)


def _edit_bound(world: World, forgery: Forgery, rng: random.Random) -> Forgery:
    proof = forgery.proof
    if rng.random() < 0.5:
        proof = replace(proof, start=rng.choice(list(_bounds_near(world, proof.start))))
    else:
        proof = replace(proof, end=rng.choice([None, *_bounds_near(world, proof.end or b"")]))
    return Forgery(f"{forgery.name}, bound", proof, forgery.run)


def _open_node(world: World, forgery: Forgery, rng: random.Random) -> Forgery:
    """Write a closed subtree as its children, put in hollow nodes, or take nodes of another cut on top."""
    choices = [*_opened(world, forgery.proof), *_hollow(world, forgery.proof)] if _is_regular(world, forgery) else []
    if choices and rng.random() < 0.7:
        name, proof = rng.choice(choices)
        return Forgery(f"{forgery.name}, {name}", proof, forgery.run)
    side = rng.choice(("left", "right"))
    cut = rng.choice(world.cuts)
    nodes: Nodes = getattr(world.honest(*cut), side)
    keep = rng.randint(0, len(nodes))
    own: Nodes = getattr(forgery.proof, side)
    mixed = own + nodes[:keep] if side == "left" else nodes[:keep] + own
    unique = tuple(dict.fromkeys(mixed))
    return Forgery(f"{forgery.name}, {side} opened", _with(forgery.proof, side, unique), forgery.run)


def _is_regular(world: World, forgery: Forgery) -> bool:
    """Whether every node lies on its bound's path, so that it can be looked for in the state."""
    path, proof = world.scheme.path, forgery.proof
    sides = ((proof.left, path.digits(proof.start)), (proof.right, path.digits(proof.end or b"")))
    return all(0 <= node.depth < digits for nodes, digits in sides for node in nodes)


_RANDOM_EDITS: tuple[Callable[[World, Forgery, random.Random], Forgery], ...] = (
    _edit_leaf,
    _edit_node,
    _edit_bound,
    _open_node,
)
