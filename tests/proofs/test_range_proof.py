"""Range proofs: their bytes, their fields, and one named lie after the other.

A named forgery is built so that only one check stands between it and acceptance, where that can be done; the
docstring says which. Where several checks refuse it, the test asks for the error of the first.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from proofs import (
    NODE,
    VALUE,
    IncompleteRangeError,
    InvalidLeafError,
    LeafOrderError,
    MalformedProofError,
    ProofError,
    ProofNode,
    RangeProof,
    RootMismatchError,
    VerifiedRange,
    bound_between,
    cbor,
    fold,
    get_scheme,
    leaf_items,
    leaf_run,
    prove_range,
    state_root,
    verify_range,
)
from proofs.range_proof import PROOF_FORMAT, VALUE_SLOT, expand_left, expand_right
from proofs.rlp import encode_list, encode_string
from tests.model import Leaf, rlp, slim_account, slot_value
from tests.proofs.states import State, World, make_world

SIZE_MAX = 100_000
REF = bytes(range(32))
EMPTY = RangeProof(b"", None, (), ())


def _accepts(world: World, proof: RangeProof, leaves: list[Leaf]) -> VerifiedRange:
    return verify_range(world.scheme, world.root, proof, leaf_run(leaves))


# --- the bytes -------------------------------------------------------------------------------------------------------


def test_round_trip() -> None:
    """Fails if a field is lost, or no end and an empty end are written alike."""
    for end in (None, b"", b"\x80"):
        proof = RangeProof(
            b"\x40", end, (ProofNode(0, VALUE_SLOT, b"v"), ProofNode(1, 0, REF)), (ProofNode(0, 2, REF),)
        )
        assert RangeProof.decode(proof.encode(), size_max=SIZE_MAX) == proof
    assert EMPTY.encode() == bytes.fromhex("850140f68080")


FIELDS: list[object] = [PROOF_FORMAT, b"", None, [[0, 1, REF]], []]
OTHER_FIELDS: dict[str, object] = {
    "not a list": {"start": b""},
    "four fields": FIELDS[:4],
    "six fields": [*FIELDS, None],
    "version of the future": [PROOF_FORMAT + 1, *FIELDS[1:]],
    "version zero": [0, *FIELDS[1:]],
    "version too long to print": [10**6000, *FIELDS[1:]],
    "version true": [True, *FIELDS[1:]],
    "version as text": ["1", *FIELDS[1:]],
    "start null": [1, None, *FIELDS[2:]],
    "start as text": [1, "", *FIELDS[2:]],
    "format of thousands of digits": [10**6000, b"", *FIELDS[2:]],
    "end as text": [1, b"", "", *FIELDS[3:]],
    "end false": [1, b"", False, *FIELDS[3:]],
    "left null": [1, b"", None, None, []],
    "left a map": [1, b"", None, {}, []],
    "node of two": [1, b"", None, [[0, REF]], []],
    "node of four": [1, b"", None, [[0, 1, REF, 0]], []],
    "node as bytes": [1, b"", None, [REF], []],
    "depth true": [1, b"", None, [[True, 1, REF]], []],
    "slot true": [1, b"", None, [[0, True, REF]], []],
    "slot false": [1, b"", None, [], [[0, False, REF]]],
    "depth as text": [1, b"", None, [["0", 1, REF]], []],
    "depth a float": [1, b"", None, [[0.5, 1, REF]], []],
    "reference null": [1, b"", None, [[0, 1, None]], []],
    "reference as text": [1, b"", None, [[0, 1, "ref"]], []],
}


@pytest.mark.parametrize("name", OTHER_FIELDS)
def test_other_fields_are_refused(name: str) -> None:
    """Fails if a type is not checked; booleans are integers to Python, not to us."""
    with pytest.raises(MalformedProofError):
        RangeProof.decode(cbor.encode(OTHER_FIELDS[name]), size_max=SIZE_MAX)


def test_other_bytes_are_refused() -> None:
    """Fails if bytes behind the proof, a longer form of a number, or more bytes than allowed are read."""
    encoded = cbor.encode(FIELDS)
    RangeProof.decode(encoded, size_max=len(encoded))
    for other in (
        encoded + b"\0",
        encoded[:-1],
        b"",
        encoded.replace(b"\x85\x01", b"\x85\x18\x01"),
        b"\x9f" + encoded[1:] + b"\xff",
    ):
        with pytest.raises(MalformedProofError):
            RangeProof.decode(other, size_max=SIZE_MAX)
    with pytest.raises(MalformedProofError):
        RangeProof.decode(encoded, size_max=len(encoded) - 1)


# --- the two sides ---------------------------------------------------------------------------------------------------


def test_left_nodes_become_items() -> None:
    """Fails if a node's position is not its bound's path and its slot."""
    nodes = (0, VALUE_SLOT, b"v"), (0, 0, REF), (2, VALUE_SLOT, b"w"), (3, 4, REF)
    left = tuple(ProofNode(*node) for node in nodes)
    items = list(expand_left(get_scheme("mpt"), RangeProof(b"\x12\x35", None, left, ())))
    assert items == [
        (b"", b"v", VALUE, 0),
        (b"\0", REF, NODE, 1),
        (b"\x12", b"w", VALUE, 0),
        (b"\x12\x34", REF, NODE, 4),
    ]


def test_right_nodes_become_items() -> None:
    """Fails if the end itself is not the first node's position, or the order is not that of keys."""
    right = (ProofNode(3, 5, REF), ProofNode(3, 9, REF), ProofNode(0, 2, REF))
    items = list(expand_right(get_scheme("mpt"), RangeProof(b"", b"\x12\x35", (), right)))
    assert items == [(b"\x12\x35", REF, NODE, 4), (b"\x12\x39", REF, NODE, 4), (b"\x20", REF, NODE, 1)]


LEFT: dict[str, tuple[str, bytes, list[ProofNode]]] = {
    "too far to print": ("mpt", b"\x12", [ProofNode(10**6000, 0, REF)]),
    "beyond the start": ("mpt", b"\x12", [ProofNode(2, 0, REF)]),
    "far beyond the start": ("mpt", b"\x12", [ProofNode(2**70, 0, REF)]),
    "at no depth": ("mpt", b"\x12", [ProofNode(-1, 0, REF)]),
    "under no start": ("mpt", b"", [ProofNode(0, VALUE_SLOT, b"v")]),
    "on the path": ("mpt", b"\x12", [ProofNode(0, 1, REF)]),
    "right of the path": ("mpt", b"\x12", [ProofNode(0, 2, REF)]),
    "in no slot": ("mpt", b"\x12", [ProofNode(0, -2, REF)]),
    "doubled": ("mpt", b"\x12", [ProofNode(0, 0, REF)] * 2),
    "descending slots": ("mpt", b"\x22", [ProofNode(0, 1, REF), ProofNode(0, 0, REF)]),
    "descending depths": ("mpt", b"\x12", [ProofNode(1, 0, REF), ProofNode(0, 0, REF)]),
    "value behind its children": ("mpt", b"\x12", [ProofNode(0, 0, REF), ProofNode(0, VALUE_SLOT, b"v")]),
    "value where no key ends": ("mpt", b"\x12", [ProofNode(1, VALUE_SLOT, b"v")]),
    "value between bytes": ("mkvs", b"\x12", [ProofNode(3, VALUE_SLOT, REF)]),
    "value that is a hole": ("mkvs", b"\x12", [ProofNode(0, VALUE_SLOT, b"")]),
    "value of no leaf": ("mkvs", b"\x12", [ProofNode(0, VALUE_SLOT, get_scheme("mkvs").empty_root)]),
    "hole": ("mpt", b"\x12", [ProofNode(0, 0, b"")]),
    "hole in mkvs": ("mkvs", b"\x80", [ProofNode(0, 0, get_scheme("mkvs").empty_root)]),
    "value above the accounts": ("ethereum", bytes(63) + b"\x01", [ProofNode(0, VALUE_SLOT, slim_account(0, 0, {}))]),
    "value inside storage": ("ethereum", bytes(63) + b"\x01", [ProofNode(70, VALUE_SLOT, slot_value(1))]),
    "whole storage": ("ethereum", bytes(63) + b"\x01", [ProofNode(64, 0, REF)]),
}


@pytest.mark.parametrize("name", LEFT)
def test_left_nodes_that_no_prover_writes(name: str) -> None:
    """Fails if order, side, depth, form of a value or form of a reference is not checked: rules 3 and 4."""
    scheme, start, nodes = LEFT[name]
    with pytest.raises(MalformedProofError):
        list(expand_left(get_scheme(scheme), RangeProof(start, None, tuple(nodes), ())))


RIGHT: dict[str, tuple[str, bytes | None, list[ProofNode]]] = {
    "without an end": ("mpt", None, [ProofNode(0, 2, REF)]),
    "under an empty end": ("mpt", b"", [ProofNode(0, 2, REF)]),
    "beyond the end": ("mpt", b"\x12", [ProofNode(2, 0, REF)]),
    "far beyond the end": ("mpt", b"\x12", [ProofNode(2**70, 0, REF)]),
    "at no depth": ("mpt", b"\x12", [ProofNode(-1, 3, REF)]),
    "left of the path": ("mpt", b"\x12", [ProofNode(1, 1, REF)]),
    "value": ("mpt", b"\x12", [ProofNode(0, VALUE_SLOT, b"v")]),
    "beyond the radix": ("mpt", b"\x12", [ProofNode(1, 16, REF)]),
    "beyond two": ("mkvs", b"\x12", [ProofNode(7, 2, REF)]),
    "second virtual digit": ("ethereum", bytes(33), [ProofNode(64, 1, REF)]),
    "on the path, later": ("mpt", b"\x12", [ProofNode(1, 2, REF), ProofNode(0, 1, REF)]),
    "doubled": ("mpt", b"\x12", [ProofNode(1, 2, REF)] * 2),
    "descending slots": ("mpt", b"\x12", [ProofNode(1, 3, REF), ProofNode(1, 2, REF)]),
    "ascending depths": ("mpt", b"\x12", [ProofNode(0, 2, REF), ProofNode(1, 3, REF)]),
    "hole": ("mpt", b"\x12", [ProofNode(1, 2, b"")]),
    "hole in mkvs": ("mkvs", b"\x80", [ProofNode(0, 1, get_scheme("mkvs").empty_root)]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_nodes_that_no_prover_writes(name: str) -> None:
    """Fails if order, side, depth, slot or form of a reference is not checked: rules 3 and 4."""
    scheme, end, nodes = RIGHT[name]
    with pytest.raises(MalformedProofError):
        list(expand_right(get_scheme(scheme), RangeProof(b"", end, (), tuple(nodes))))


# --- the bounds ------------------------------------------------------------------------------------------------------

THREE = {b"\x11": b"a", b"\x12": b"b", b"\x31": b"c"}


def test_an_end_of_no_bytes_is_not_no_end() -> None:
    """Fails if "no end" is recognised by an empty string."""
    world = make_world("mpt", THREE)
    proof = world.prove(1, 3)
    _accepts(world, proof, list(world.leaves[1:]))
    with pytest.raises(IncompleteRangeError):
        _accepts(world, replace(proof, end=b""), list(world.leaves[1:]))


def test_bounds_are_not_the_keys() -> None:
    """Fails if the start may be the first key, or the end the next one, where the trie branches before: rule 1."""
    world = make_world("mpt", {b"\x11": b"a", b"\x22": b"b", b"\x33": b"c"})
    proof, leaves = world.prove(1, 2), list(world.leaves[1:2])
    assert (proof.start, proof.end) == (b"\x20", b"\x30")
    for other in (replace(proof, start=b"\x22"), replace(proof, end=b"\x33"), replace(proof, start=b"\x2f")):
        with pytest.raises(IncompleteRangeError):
            _accepts(world, other, leaves)


def test_the_first_range_starts_at_nothing() -> None:
    """Fails if a start that no left node needs is not compared."""
    world = make_world("mpt", THREE)
    with pytest.raises(IncompleteRangeError):
        _accepts(world, replace(world.prove(0, 3), start=b"\0"), list(world.leaves))
    with pytest.raises(IncompleteRangeError):
        _accepts(world, replace(world.prove(0, 3), end=b"\xff"), list(world.leaves))


def test_a_range_without_leaves_is_the_empty_state_only() -> None:
    """Fails if a gap can be proven without its neighbours, or the empty state in a second form."""
    for name in ("mkvs", "mpt", "ethereum"):
        empty = make_world(name, {})
        assert len(_accepts(empty, EMPTY, []).run) == 0
        assert prove_range(empty.scheme, (), None, None, ()) == EMPTY
        for other in (
            replace(EMPTY, start=b"\0"),
            replace(EMPTY, end=b""),
            replace(EMPTY, end=b"\xff"),
            replace(EMPTY, start=b"\x80", left=(ProofNode(0, 0, REF),)),
            replace(EMPTY, end=b"\x10", right=(ProofNode(0, 1, REF),)),
        ):
            with pytest.raises(IncompleteRangeError):
                _accepts(empty, other, [])
    with pytest.raises(RootMismatchError) as caught:
        _accepts(make_world("mpt", THREE), EMPTY, [])
    assert caught.value.computed == get_scheme("mpt").empty_root


def test_bounds_out_of_order() -> None:
    """Fails if a bound is computed of neighbours in the wrong order: once an IndexError."""
    mkvs = get_scheme("mkvs")
    with pytest.raises(LeafOrderError):
        verify_range(mkvs, REF, RangeProof(b"\xff\xff", None, (ProofNode(15, 0, REF),), ()), leaf_run([(b"\xff", b"")]))
    for before, after in ((b"a", b"a"), (b"b", b"a"), (b"ab", b"a")):
        with pytest.raises(LeafOrderError):
            bound_between(mkvs, before, after)


@pytest.mark.parametrize("name", ["mkvs", "mpt", "ethereum"])
def test_bounds_longer_than_a_key_are_refused_at_once(name: str) -> None:
    """Fails if a long bound is walked: each of its nodes would cost as many bytes as its path."""
    scheme = get_scheme(name)
    size_max = scheme.capabilities.key_sizes[1]
    long = b"\xff" * (size_max + 1)
    nodes = tuple(ProofNode(depth, 0, b"not even looked at") for depth in range(8 * len(long)))
    for proof in (RangeProof(long, None, nodes, ()), RangeProof(b"", long, (), nodes[::-1])):
        with pytest.raises(MalformedProofError, match=str(size_max)):
            verify_range(scheme, REF, proof, leaf_run([(bytes(32), b"\xc4\x80\x80\x80\x80")]))


@pytest.mark.parametrize("name", ["mkvs", "mpt"])
def test_a_subtree_behind_the_end_stays_closed(name: str) -> None:
    """Fails if the first right node may be deeper than where it parts from the last leaf: its siblings follow, so the
    same subtree has a second form.
    """
    world = make_world(name, {b"\x10": b"a", b"\x80": b"b", b"\x81": b"c"})
    proof, leaves, below = world.prove(0, 1), list(world.leaves[:1]), world.leaves[1:]
    _accepts(world, proof, leaves)
    assert len(proof.right) == 1
    depth = world.model.common(below)
    nodes = tuple(
        ProofNode(depth, world.scheme.path.digit(leaf[0], depth), world.model.reference([leaf], depth + 1))
        for leaf in below
    )
    assert proof.end == b"\x80"
    with pytest.raises(IncompleteRangeError):
        _accepts(world, replace(proof, right=nodes), leaves)


def test_an_opened_storage_trie_behind_the_end() -> None:
    """The same where the range ends between an account and its slots. Fails as the test above."""
    storage = {b"\x10" * 32: slot_value(1), b"\x20" * 32: slot_value(2)}
    world = _contract(storage)
    proof, leaves = world.prove(0, 1), list(world.leaves[:1])
    assert proof.right == (ProofNode(64, 0, world.model.reference(world.leaves[1:], 65)),)
    nodes = tuple(
        ProofNode(65, slot, world.model.reference([leaf], 66))
        for slot, leaf in zip((1, 2), world.leaves[1:], strict=True)
    )
    for end in (proof.end, ACCOUNT + b"\x10"):
        with pytest.raises(IncompleteRangeError):
            _accepts(world, replace(proof, end=end, right=nodes), leaves)


# --- references ------------------------------------------------------------------------------------------------------


def _short(value: bytes) -> bytes:
    """A leaf of one nibble below a branch, as it stands inside it."""
    return rlp([b"\x30", value])


SHORT = {b"\x10": b"a", b"\x50": b"c", b"\x90": b"d"}


def test_an_inline_reference_that_swallows_its_neighbour() -> None:
    """A node of the left side brings an empty slot along, a node of the right side brings nothing: the bytes of the
    branch stay the same and the leaf between them moves one slot down, to a key that nobody wrote. Fails if short
    references are not decoded strictly; then it is accepted.
    """
    world = make_world("mpt", SHORT)
    assert world.honest(1, 2).left == (ProofNode(0, 1, _short(b"a")),)
    left = (ProofNode(0, 1, _short(b"a") + b"\x80"),)
    right = (ProofNode(0, 8, _short(b"d")), ProofNode(0, 15, b""))
    with pytest.raises(MalformedProofError):
        _accepts(world, RangeProof(b"\x40", b"\x80", left, right), [(b"\x40", b"c")])


def test_the_same_on_one_side() -> None:
    """Nothing moves, but the proof has a second form. Fails if only one of the two sides is decoded strictly."""
    world = make_world("mpt", SHORT)
    proof, leaves = world.honest(1, 2), list(world.leaves[1:2])
    hollow = replace(proof, left=(ProofNode(0, 1, b""), ProofNode(0, 2, _short(b"a") + b"\x80")))
    with pytest.raises(MalformedProofError):
        _accepts(world, hollow, leaves)
    hollow = replace(proof, right=(ProofNode(0, 9, _short(b"d") + b"\x80"), ProofNode(0, 15, b"")))
    with pytest.raises(MalformedProofError):
        _accepts(world, hollow, leaves)


def test_an_extension_that_swallows() -> None:
    """Fails if a reference may be two nodes one behind the other."""
    world = make_world("mpt", SHORT)
    proof = world.honest(1, 2)
    for ref in (_short(b"a") * 2, _short(b"a") + _short(b"c"), b"\x80" + _short(b"a")):
        with pytest.raises(MalformedProofError):
            _accepts(world, replace(proof, left=(ProofNode(0, 1, ref),)), list(world.leaves[1:2]))


def test_the_hash_of_nothing_is_no_node() -> None:
    """Where a branch has no value, or an empty slot, the hash of nothing adds no byte. Fails if it is let through as a
    reference; then each of these is accepted as a second form.
    """
    world = make_world("mkvs", {b"\x00": b"a", b"\x40": b"b", b"\x80": b"c"})
    empty = world.scheme.empty_root
    proof, leaves = world.honest(2, 3), list(world.leaves[2:])
    for ref in (empty, b""):
        with pytest.raises(MalformedProofError):
            _accepts(world, replace(proof, left=(ProofNode(0, VALUE_SLOT, ref), *proof.left)), leaves)


def test_references_of_other_sizes_with_the_same_bytes() -> None:
    """33 and 31 bytes joined are 32 and 32 joined. Fails if the size of an mkvs reference is not checked."""
    world = make_world("mkvs", {b"": b"v", b"\x00": b"a", b"\x80": b"c"})
    proof, leaves = world.honest(2, 3), list(world.leaves[2:])
    value, node = proof.left
    for size in (31, 33):
        joined = value.ref + node.ref
        left = value._replace(ref=joined[:size]), node._replace(ref=joined[size:])
        with pytest.raises(MalformedProofError):
            _accepts(world, replace(proof, left=left), leaves)


def test_an_empty_value_at_a_branch() -> None:
    """A branch without a value and one with an empty value are the same bytes. Fails if the value of a branch is not
    checked like a leaf's.
    """
    world = make_world("mpt", THREE)
    proof, leaves = world.honest(2, 3), list(world.leaves[2:])
    assert proof.left[0].slot != VALUE_SLOT
    with pytest.raises(InvalidLeafError):
        _accepts(world, replace(proof, left=(ProofNode(0, VALUE_SLOT, b""), *proof.left)), leaves)


def test_an_empty_leaf() -> None:
    """A leaf with an empty value next to others. Fails if leaves are not checked to be legal."""
    world = make_world("mpt", THREE)
    for leaves in ([(b"\x11", b""), *world.leaves[1:]], [*world.leaves, (b"\x99", b"")]):
        with pytest.raises(InvalidLeafError):
            _accepts(world, world.honest(0, 3), leaves)


def test_a_value_is_not_a_node() -> None:
    """Fails if what a branch holds itself may stand in a slot, or the other way round."""
    world = make_world("mkvs", {b"": b"v", b"\x00": b"a", b"\x80": b"c"})
    proof, leaves = world.honest(2, 3), list(world.leaves[2:])
    value, node = proof.left
    assert (value.slot, node.slot) == (VALUE_SLOT, 0)
    for left in (
        (node._replace(slot=VALUE_SLOT), value._replace(slot=0)),
        (value,),
        (node,),
        (value._replace(slot=0),),
        (node._replace(slot=VALUE_SLOT),),
        (value._replace(ref=node.ref), node._replace(ref=value.ref)),
    ):
        with pytest.raises(ProofError):
            _accepts(world, replace(proof, left=left), leaves)


# --- ethereum --------------------------------------------------------------------------------------------------------

ACCOUNT = b"\xaa" * 32
STORAGE = {b"\x10" * 32: slot_value(1), b"\x11" * 32: slot_value(2), b"\x80" * 32: slot_value(3)}


def _contract(storage: State, **others: State) -> World:
    state = {ACCOUNT: slim_account(1, 2, storage)} | {ACCOUNT + slot: value for slot, value in storage.items()}
    return make_world("ethereum", state | {key: value for other in others.values() for key, value in other.items()})


def _busy() -> World:
    """The contract between two accounts without storage."""
    around = {b"\x20" * 32: slim_account(0, 5, {}), b"\xf0" * 32: slim_account(0, 6, {})}
    return _contract(STORAGE, around=around)


def test_a_range_inside_one_storage() -> None:
    """The account is the witness, present only when the range begins inside its storage: (b). Fails if it is left out
    of a proof, or needed where it is not.
    """
    world = _busy()
    inside = world.prove(3, 4)
    witness = ProofNode(64, VALUE_SLOT, world.leaves[1][1])
    assert witness in inside.left
    assert len(inside.start) > 32
    _accepts(world, inside, list(world.leaves[3:4]))
    assert all(node.slot != VALUE_SLOT for node in world.prove(1, 4).left)
    without = replace(inside, left=tuple(node for node in inside.left if node != witness))
    with pytest.raises(ProofError):
        _accepts(world, without, list(world.leaves[3:4]))


def test_a_witness_where_none_is_needed() -> None:
    """The range begins at the next account. Fails if the account before may be shown instead of its node."""
    world = _busy()
    proof, leaves = world.prove(5, 6), list(world.leaves[5:])
    _accepts(world, proof, leaves)
    slim = world.leaves[1][1]
    for left in ((*proof.left[:-1], ProofNode(64, VALUE_SLOT, slim)), (*proof.left, ProofNode(64, VALUE_SLOT, slim))):
        for start in (proof.start, ACCOUNT + b"\0", ACCOUNT + b"\xff" * 32):
            with pytest.raises(ProofError):
                _accepts(world, replace(proof, left=left, start=start), leaves)


OTHER_WITNESSES = {
    "richer": slim_account(1, 3, STORAGE),
    "with other storage": slim_account(1, 2, {b"\x10" * 32: slot_value(1)}),
    "without storage": slim_account(1, 2, {}),
    "empty list as code": rlp([b"\x01", b"\x02", REF])[:-33] + b"\xc0",
    "bytes behind": slim_account(1, 2, STORAGE) + b"\x80",
    "nothing": b"",
    "hash": REF,
}


@pytest.mark.parametrize("name", OTHER_WITNESSES)
def test_another_witness(name: str) -> None:
    """Fails if the witness is not decoded strictly, not compared with its storage, or not hashed into the root."""
    world = _busy()
    proof = world.prove(3, 4)
    left = tuple(n._replace(ref=OTHER_WITNESSES[name]) if n.slot == VALUE_SLOT else n for n in proof.left)
    assert left != proof.left
    with pytest.raises(ProofError):
        _accepts(world, replace(proof, left=left), list(world.leaves[3:4]))


def test_slim_accounts_written_another_way() -> None:
    """Each stands for the same full leaf. Fails if a slim account in the range is not encoded again and compared."""
    world = make_world("ethereum", {ACCOUNT: slim_account(1, 2, {}), bytes(32): slim_account(0, 0, {})})
    proof = world.honest(0, 2)
    storage, code = encode_string(world.scheme.empty_root), encode_string(_EMPTY_CODE)
    one, two = b"\x01", b"\x02"
    for parts in (
        (one, two, b"\xc0", b"\x80"),
        (one, two, b"\x80", b"\xc0"),
        (one, two, storage, b"\x80"),
        (one, two, b"\x80", code),
        (one, two, storage, code),
        (b"\x82\x00\x01", two, b"\x80", b"\x80"),
        (one, b"\x82\x00\x02", b"\x80", b"\x80"),
        (b"\x81\x01", two, b"\x80", b"\x80"),
    ):
        leaves = [world.leaves[0], (ACCOUNT, encode_list(b"".join(parts)))]
        with pytest.raises(InvalidLeafError):
            _accepts(world, proof, leaves)


_EMPTY_CODE = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")


def test_a_dangling_slot() -> None:
    """Fails if a slot may stand under no account, or under one that has none: (d)."""
    world = _busy()
    proof = world.honest(0, len(world.leaves))
    for account in (b"\x20" * 32, b"\xf0" * 32, b"\x77" * 32):
        leaves = sorted([*world.leaves, (account + b"\x01" * 32, slot_value(9))])
        with pytest.raises(InvalidLeafError):
            _accepts(world, proof, leaves)


def test_storage_cannot_be_left_out() -> None:
    """Fails if an account in the range may bring less than all of its storage: (c)."""
    world = _busy()
    everything = world.honest(0, len(world.leaves))
    for dropped in ({2}, {3}, {4}, {2, 3}, {2, 3, 4}):
        leaves = [leaf for at, leaf in enumerate(world.leaves) if at not in dropped]
        with pytest.raises(InvalidLeafError):
            _accepts(world, everything, leaves)


def test_a_plain_checkpoint_for_an_ethereum_root() -> None:
    """The account trie alone, honestly folded as `mpt`, has the very root of the state. Fails if the scheme is taken
    from the proof, or if an account's storage root is not asked for: contracts with code are slim and full alike.
    """
    storage = {b"\x10" * 32: slot_value(1)}
    code = b"\xcc" * 32
    state: State = {}
    for account in (ACCOUNT, b"\xbb" * 32):
        state |= {account: slim_account(1, 2, storage, code)} | {account + key: value for key, value in storage.items()}
    world = make_world("ethereum", state)
    accounts = {key: value for key, value in state.items() if len(key) == 32}
    plain = make_world("mpt", accounts)
    assert plain.root == world.root
    for first, last in plain.cuts:
        proof, run = plain.prove(first, last), plain.run(first, last)
        verify_range(plain.scheme, world.root, proof, run)
        with pytest.raises(InvalidLeafError):
            verify_range(world.scheme, world.root, proof, run)


def test_an_account_and_its_only_slot() -> None:
    """Every cut of the smallest storage. Fails if a single slot is not its own storage trie."""
    world = _contract({bytes(32): slot_value(1)})
    for first, last in world.cuts:
        _accepts(world, world.prove(first, last), list(world.leaves[first:last]))
    assert world.prove(0, 1).end == ACCOUNT + b"\0"
    assert world.prove(1, 2).start == ACCOUNT + b"\0"


# --- what was verified -----------------------------------------------------------------------------------------------


def test_only_the_verifier_makes_a_verified_range() -> None:
    """Fails if the type can be had without a verdict."""
    world = make_world("mpt", THREE)
    verified = _accepts(world, world.prove(0, 3), list(world.leaves))
    with pytest.raises(TypeError):
        VerifiedRange(world.scheme, world.root, b"", None, verified.run, _verifier=object())
    with pytest.raises(TypeError):
        VerifiedRange(world.scheme, world.root, b"", None, verified.run)  # type: ignore[call-arg]


def test_a_verified_range_knows_its_limits() -> None:
    """Fails if it answers for a key outside, or takes the end for inside."""
    world = make_world("mpt", THREE)
    verified = _accepts(world, world.prove(1, 2), list(world.leaves[1:2]))
    assert (verified.start, verified.end) == (b"\x12", b"\x30")
    assert verified.get(b"\x12") == b"b"
    assert verified.get(b"\x12\x00") is None
    assert verified.get(b"\x2f\xff") is None
    for key in (b"\x11", b"\x11\xff", b"\x30", b"", b"\xff"):
        assert key not in verified
        with pytest.raises(KeyError):
            verified.get(key)


@pytest.mark.slow
@pytest.mark.parametrize("first", [10, 65_520])
def test_the_deepest_legal_proof(first: int) -> None:
    """65,528 branches below each other, nearly all opened on one side. Fails if proving or verifying recurses, or
    keeps more than each node's own path (268 MB of paths for 2.6 MB of proof; no longer path is legal).
    """
    scheme = get_scheme("mkvs")
    size = scheme.capabilities.key_sizes[1]
    ones = first > size
    leaves = sorted(_spine(size, ones=ones))
    left = fold(scheme, leaf_items(leaves[:first]), None, leaves[first][0])
    right = fold(scheme, leaf_items(leaves[first + 2 :]), leaves[first + 1][0], None)
    proof = prove_range(scheme, left, leaves[first][0], leaves[first + 1][0], right)
    assert len(proof.left if ones else proof.right) > 65_000
    sent = proof.encode()
    assert len(sent) < 3_000_000
    root = state_root(scheme, leaf_items(leaves))
    run = leaf_run(leaves[first : first + 2])
    read = RangeProof.decode(sent, size_max=len(sent))
    del leaves, left, right, proof
    tracemalloc.start()
    verified = verify_range(scheme, root, read, run)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert verified.run is run
    assert peak < 350_000_000


def _spine(size: int, *, ones: bool) -> Iterator[Leaf]:
    """A path of zeros (or ones) and a leaf that leaves it at each of its bits."""
    path = (b"\xff" if ones else b"\0") * size
    yield path, b"deepest"
    for bit in range(size * 8):
        whole, mask = bit >> 3, 0x80 >> (bit & 7)
        last = path[whole] & ~(mask * 2 - 1) & 0xFF if ones else mask
        yield path[:whole] + bytes((last,)), b"v"
