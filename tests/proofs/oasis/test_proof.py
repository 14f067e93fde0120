"""Oasis proofs judged: what the reference accepts in canonical form passes, forgeries and sloppy forms do not."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from proofs.errors import MalformedProofError, ProofError, RootMismatchError
from proofs.fold import NODE, VALUE
from proofs.hashing import sha512_256
from proofs.oasis.messages import EMPTY_HASH, GetRequest, Proof
from proofs.oasis.node import encode_branch, encode_leaf
from proofs.oasis.proof import VerifiedProof, interval, verify, verify_entries
from proofs.oasis.reads import ProofBuilder, sync_get
from proofs.oasis.tree import Branch, Tree
from tests.oasis_cases import Pair, nodes_of, numbered, random_state, tree_of, vectors
from tests.proofs.oasis.test_reads import tree_id

NESTED = [(b"", b"0"), (b"a", b"1"), (b"ab", b"2"), (b"b", b"3"), (b"c\x80", b"4")]


def proof_of(vector: dict[str, dict[str, str]]) -> Proof:
    text = vector["inputs"].get("proof_b64") or vector["expected"]["proof_b64"]
    return Proof.decode(base64.b64decode(text))


def test_verdicts_of_the_unit_tests(data: Path) -> None:
    found = vectors(data)
    for name in ("proof-extra-entries-v0", "proof-extra-entries-v1"):
        proof, root = proof_of(found[name]), bytes.fromhex(found[name]["inputs"]["root"])
        assert list(verify(root, proof).leaves) == []
        with pytest.raises(MalformedProofError):
            verify(root, replace(proof, entries=(*proof.entries, proof.entries[0])))


def put(entries: tuple[bytes | None, ...], index: int, change: Callable[[bytes], bytes]) -> tuple[bytes | None, ...]:
    entry = entries[index]
    assert entry is not None
    return (*entries[:index], change(entry), *entries[index + 1 :])


MUTATIONS: dict[str, Callable[[tuple[bytes | None, ...]], tuple[bytes | None, ...]]] = {
    "no entries": lambda entries: (),
    "a bit of a hash": lambda entries: put(entries, 4, lambda e: e[:10] + bytes([e[10] ^ 1]) + e[11:]),
    "a truncated node": lambda entries: put(entries, 0, lambda e: e[:3]),
    "a truncated hash": lambda entries: put(entries, 2, lambda e: e[:3]),
    "an unknown form": lambda entries: put(entries, 3, lambda e: b"\xaa" + e[1:]),
    "an empty entry": lambda entries: put(entries, 3, lambda e: b""),
    "an end too early": lambda entries: entries[:3],
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutations_of_the_unit_tests(name: str, data: Path) -> None:
    proof = proof_of(vectors(data)["proof-v0-root-left"])
    verify(proof.untrusted_root, proof)
    with pytest.raises(ProofError):
        verify(proof.untrusted_root, replace(proof, entries=MUTATIONS[name](proof.entries)))


def test_another_root_or_version() -> None:
    tree = tree_of(numbered(10))
    proof = sync_get(tree, GetRequest(tree_id(tree), b"key 3"))
    other = sha512_256(b"another")
    with pytest.raises(RootMismatchError):
        verify(other, proof)
    with pytest.raises(RootMismatchError):
        verify(other, replace(proof, untrusted_root=other))
    with pytest.raises(MalformedProofError):
        verify(tree.root_hash, replace(proof, version=2))
    with pytest.raises(ProofError):
        verify(tree.root_hash, replace(proof, version=1))


def random_proof(rng: random.Random, tree: Tree, version: int) -> Proof:
    """Included: a random set of nodes with all above them."""
    builder = ProofBuilder(tree, version)
    pending = [tree.root]
    while pending:
        node = pending.pop()
        if node is not None and rng.random() < 0.8:
            builder.include(node)
            if isinstance(node, Branch):
                pending += [node.left, node.right, *([node.leaf] if version else [])]
    return builder.build()


@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
@pytest.mark.parametrize("version", [0, 1])
def test_honest_proofs_show_the_state_and_leave_the_rest_open(kind: str, version: int, rng: random.Random) -> None:
    """Every leaf is either shown or inside an interval left open; what is shown is true."""
    for count in (0, 1, 2, 5, 30, 100):
        pairs = random_state(rng, kind, count)
        tree = tree_of(pairs)
        for _ in range(5):
            verified = verify(tree.root_hash, random_proof(rng, tree, version), depth_max=1000)
            shown, open_to = dict(verified.leaves), verified.opaque()
            assert all(start < end for start, end in open_to if end is not None)
            for key, value in pairs:
                hidden = any(start <= key and (end is None or key < end) for start, end in open_to)
                assert hidden != (shown.get(key) == value)


@pytest.mark.parametrize("kind", ["uniform", "modules", "edges"])
def test_mutated_proofs_are_never_believed(kind: str, rng: random.Random) -> None:
    """A mutation either leaves the same items (none does: forms are canonical) or is refused."""
    pairs = random_state(rng, kind, 40)
    tree = tree_of(pairs)
    for _ in range(150):
        proof = random_proof(rng, tree, rng.randrange(2))
        entries = list(proof.entries)
        at = rng.randrange(len(entries))
        entry = entries[at]
        match rng.randrange(5):
            case 0:
                entries[at] = b"\2" + EMPTY_HASH if entry is None else None
            case 1:
                entries.insert(at, rng.choice(entries))
            case 2:
                del entries[at]
            case 3:
                entries[at] = (entry or b"") + b"\0"
            case _:
                changed = bytearray(entry or b"\1")
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
                entries[at] = bytes(changed)
        if entries == list(proof.entries):
            continue
        with pytest.raises(ProofError):
            verify(tree.root_hash, replace(proof, entries=tuple(entries)))


def test_a_shape_that_no_trie_has_is_refused() -> None:
    """The items alone would fold to the root: a node with one child more than there is."""
    (key, value), wrapped = (b"k", b"v"), encode_branch(3, b"\x60")
    root = tree_of([(key, value)]).root_hash
    leaf = b"\1" + encode_leaf(key, value)
    assert list(verify_entries(root, [leaf], 0).leaves) == [(key, value)]
    with pytest.raises(MalformedProofError):
        verify_entries(root, [b"\1" + wrapped, leaf, None], 0)


def entries_of(pairs: list[Pair], version: int) -> list[bytes | None]:
    tree = tree_of(pairs)
    builder = ProofBuilder(tree, version)
    for node in nodes_of(tree.root):
        builder.include(node)
    return list(builder.build().entries)


def test_leaves_out_of_place_are_refused() -> None:
    pairs = [(b"a", b"1"), (b"b", b"2")]
    root, entries = tree_of(pairs).root_hash, entries_of(pairs, 0)
    for leaf in (encode_leaf(b"\x9f", b"1"), encode_leaf(b"", b"1")):
        with pytest.raises(MalformedProofError):
            verify_entries(root, [entries[0], b"\1" + leaf, entries[2]], 0)
    embedded = [(b"a", b"1"), (b"a\0", b"2")]
    for key in (b"b", b"a\1"):
        changed = encode_branch(8, b"a", encode_leaf(key, b"1"))
        with pytest.raises(MalformedProofError):
            verify_entries(root, [b"\1" + changed, *entries_of(embedded, 0)[1:]], 0)


def test_embedded_leaves_come_as_the_version_has_them() -> None:
    pairs = [(b"a", b"1"), (b"a\0", b"2")]
    root = tree_of(pairs).root_hash
    first, *rest = entries_of(pairs, 1)
    verify_entries(root, [first, *rest], 1)
    with pytest.raises(MalformedProofError):  # version 0's node in a version 1 proof
        verify_entries(root, [entries_of(pairs, 0)[0], *rest], 1)
    with pytest.raises(MalformedProofError):  # a branch where only a leaf can be
        verify_entries(root, [first, first, *rest[1:]], 1)
    flat = [(b"a", b"1"), (b"b", b"2")]  # parts inside a byte: no key can end there
    first, null, *rest = entries_of(flat, 1)
    assert null is None
    with pytest.raises(MalformedProofError):
        verify_entries(tree_of(flat).root_hash, [first, b"\1" + encode_leaf(b"`", b""), *rest], 1)


def test_labels_begin_with_their_side() -> None:
    pairs = [(b"\0a", b"1"), (b"\0b", b"2"), (b"\x80", b"3")]
    root = tree_of(pairs).root_hash
    entries = entries_of(pairs, 0)
    for label in (encode_branch(14, b"\x80a"[:1] + b"\x60"), encode_branch(0, b"")):
        with pytest.raises(MalformedProofError):
            verify_entries(root, [entries[0], b"\1" + label, *entries[2:]], 0)


def test_a_path_is_no_longer_than_a_key() -> None:
    """Else a few long labels would make every entry below them cost megabytes."""
    long = encode_branch(65528, bytes(8191))
    with pytest.raises(MalformedProofError):
        verify_entries(EMPTY_HASH, [b"\1" + long, b"\1" + encode_branch(1, b"\0"), None, None, None], 0)


def test_depth_is_bounded() -> None:
    """129 keys, each a prefix of the next, is the deepest trie that current nodes take."""
    pairs = [(b"k" * size, b"v") for size in range(130)]
    for count, accepted in ((129, True), (130, False)):
        root, entries = tree_of(pairs[:count]).root_hash, entries_of(pairs[:count], 0)
        if accepted:
            assert len(list(verify_entries(root, entries, 0).leaves)) == count
        else:
            with pytest.raises(MalformedProofError):
                verify_entries(root, entries, 0)
            verify_entries(root, entries, 0, depth_max=129)


def test_the_empty_state() -> None:
    assert verify_entries(EMPTY_HASH, [None], 0) == VerifiedProof(EMPTY_HASH, ())
    with pytest.raises(MalformedProofError):
        verify_entries(EMPTY_HASH, [b"\2" + EMPTY_HASH], 0)
    with pytest.raises(RootMismatchError):
        verify_entries(sha512_256(b"x"), [None], 0)


def test_a_proof_that_shows_nothing() -> None:
    root = tree_of(NESTED).root_hash
    verified = verify_entries(root, [b"\2" + root], 0)
    assert verified.opaque() == [(b"", None)]
    with pytest.raises(MalformedProofError):
        verified.get(b"a")


def test_answers_of_a_proof() -> None:
    tree = tree_of(NESTED)
    for version in (0, 1):
        verified = verify(tree.root_hash, sync_get(tree, GetRequest(tree_id(tree), b"ab", version)))
        assert verified.get(b"ab") == b"2"
        assert verified.get(b"aa") is None
        with pytest.raises(MalformedProofError):
            verified.get(b"c\x80")
    assert verified.root == tree.root_hash
    with pytest.raises(MalformedProofError):  # version 1 names the leaf "a" by its hash
        verified.get(b"a")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ((b"k", b"", VALUE, 0), (b"k", b"k\0")),
        ((b"", b"", NODE, 0), (b"", None)),
        ((b"k", b"", NODE, 8), (b"k", b"l")),
        ((b"\x6b\x80", b"", NODE, 9), (b"\x6b\x80", b"\x6c")),
        ((b"\x6b\x00", b"", NODE, 9), (b"\x6b\x00", b"\x6b\x80")),
        ((b"\xff", b"", NODE, 8), (b"\xff", None)),
        ((b"\xff\x80", b"", NODE, 9), (b"\xff\x80", None)),
        ((b"\x80", b"", NODE, 1), (b"\x80", None)),
    ],
)
def test_intervals(item: tuple[bytes, bytes, int, int], expected: tuple[bytes, bytes | None]) -> None:
    assert interval(item) == expected
