"""Chunks opened: what they show and name, by both kernels; sloppy items and hostile chunks are refused."""

from __future__ import annotations

import random

import pytest

from proofs import NODE, Kernel, LeafRun, ProofError, get_kernel
from proofs.errors import MalformedProofError
from proofs.kernel import ReferenceKernel
from proofs.oasis.chunk import OpenedChunk, read_entries
from proofs.oasis.entries import entry
from proofs.oasis.messages import EMPTY_HASH
from proofs.oasis.node import encode_branch, encode_leaf
from proofs.oasis.proof import VerifiedProof, verify
from proofs.oasis.reads import ProofBuilder
from tests.oasis_cases import Pair, nodes_of, numbered, random_state, tree_of
from tests.proofs.oasis.test_proof import random_proof

KERNELS = [ReferenceKernel(), get_kernel()]
each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=["reference", "default"])


def plain_of(entries: list[bytes | None]) -> bytes:
    return b"".join(b"\xf6" if one is None else entry(one) for one in entries)


def opened_by(kernel: Kernel, plain: bytes, *, depth_max: int = 128, entries_max: int = 1 << 20) -> OpenedChunk:
    return kernel.open_oasis_chunk(plain, entries_max=entries_max, depth_max=depth_max)


def whole_chunk(pairs: list[Pair]) -> tuple[bytes, bytes]:
    """Root hash, and the chunk that shows everything."""
    tree = tree_of(pairs)
    builder = ProofBuilder(tree, 0)
    for node in nodes_of(tree.root):
        builder.include(node)
    return tree.root_hash, plain_of(list(builder.build().entries))


@each_kernel
@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
def test_a_chunk_shows_what_its_proof_shows(kernel: Kernel, kind: str, rng: random.Random) -> None:
    """Fails if a leaf, a position or a hash differs from what the verifier of proofs finds."""
    for count in (0, 1, 2, 5, 30, 100):
        tree = tree_of(random_state(rng, kind, count))
        for _ in range(5):
            proof = random_proof(rng, tree, 0)
            verified: VerifiedProof = verify(tree.root_hash, proof, depth_max=1000)
            opened = opened_by(kernel, plain_of(list(proof.entries)), depth_max=1000)
            assert opened.root == tree.root_hash
            assert list(opened.leaves) == list(verified.leaves)
            assert opened.named == [item for item in verified.items if item[2] == NODE]


@each_kernel
def test_an_empty_state_and_one_leaf_are_chunks(kernel: Kernel) -> None:
    assert opened_by(kernel, b"\xf6") == OpenedChunk(EMPTY_HASH, LeafRun([], []), [])
    root, plain = whole_chunk([(b"key", b"value")])
    assert opened_by(kernel, plain) == OpenedChunk(root, LeafRun([b"key"], [b"value"]), [])


@each_kernel
def test_a_chunk_that_only_names_the_root_opens_as_that(kernel: Kernel) -> None:
    """Fails if the hash of the whole trie is folded once more."""
    opened = opened_by(kernel, plain_of([b"\2" + b"h" * 32]))
    assert opened == OpenedChunk(b"h" * 32, LeafRun([], []), [(b"", b"h" * 32, NODE, 0)])


@each_kernel
def test_limits_hold_to_the_last_entry(kernel: Kernel) -> None:
    """Fails if entries or edges are counted one off."""
    pairs = [(b"k" * size, b"v") for size in range(130)]
    root, plain = whole_chunk(pairs)
    entries = len(list(read_entries(plain, 1000)))
    assert opened_by(kernel, plain, depth_max=129, entries_max=entries).root == root
    for depth_max, entries_max in ((128, entries), (129, entries - 1)):
        with pytest.raises(MalformedProofError):
            opened_by(kernel, plain, depth_max=depth_max, entries_max=entries_max)


@each_kernel
def test_the_deepest_trie_of_all_opens(kernel: Kernel) -> None:
    """Fails if a walk recurses, or copies its path at every step: 8,192 nested keys, 65,528 bits, labels of 8 bits."""
    keys = [b"\xa5" * size for size in range(0, 8192, 2 if kernel.name == "native" else 16)]
    entries: list[bytes | None] = []
    for above, key in zip([None, *keys], keys[:-1], strict=False):
        start = 0 if above is None else len(above)
        entries += [b"\1" + encode_branch(8 * (len(key) - start), key[start:], encode_leaf(key, b"v")), None]
    entries.append(b"\1" + encode_leaf(keys[-1], b"v"))
    opened = opened_by(kernel, plain_of(entries), depth_max=len(keys))
    assert opened.leaves.keys == keys


SLOPPY = {
    "a size below 24 in a byte": b"\x58\x17" + bytes(23),
    "a size below 256 in two": b"\x59\0\xff" + bytes(255),
    "a size below 65536 in four": b"\x5a\0\0\xff\xff" + bytes(65535),
    "a size in eight": b"\x5b" + bytes(8),
    "no size at all": b"\x5f\x41\0\xff",
    "undefined": b"\xf7",
    "an array": b"\x81\x00",
    "truncated": b"\x42\0",
    "truncated in its size": b"\x58",
    "four gigabytes announced": b"\x5a\xff\xff\xff\xff\1",
}


@pytest.mark.parametrize("plain", SLOPPY.values(), ids=SLOPPY)
def test_sloppy_items_are_refused(plain: bytes) -> None:
    with pytest.raises(MalformedProofError):
        list(read_entries(plain, 10))
    for kernel in KERNELS:
        with pytest.raises(MalformedProofError):
            opened_by(kernel, plain)


@pytest.mark.parametrize("size", [0, 23, 24, 255, 256, 65535, 65536, 70000])
def test_items_come_back(size: int) -> None:
    entries = [b"x" * size, None, b""]
    assert list(read_entries(plain_of(entries), 3)) == entries


@each_kernel
@pytest.mark.parametrize("size", [0, 9, 10, 11, 240, 241, 242, 65520, 65521, 65522, 70000])
def test_items_of_every_size_open(kernel: Kernel, size: int) -> None:
    """Fails if a width of a size is read wrongly by either."""
    pairs = [(b"key", b"x" * size), (b"other", b"")]
    root, plain = whole_chunk(pairs)
    assert opened_by(kernel, plain).root == root


@each_kernel
def test_nothing_may_stand_behind_the_walk(kernel: Kernel) -> None:
    _, plain = whole_chunk(numbered(9))
    for damaged in (b"", plain + b"\xf6", plain[:-1], plain + b"\x59\1"):
        with pytest.raises(ProofError):
            opened_by(kernel, damaged)


@each_kernel
def test_no_more_is_left_open_than_lies_around_a_run(kernel: Kernel) -> None:
    """Fails if a chunk of named subtrees below long labels costs 8 kB for each 35 bytes of it."""
    deep = encode_branch(65_000, bytes(8125))

    def below(levels: int, node: bytes) -> list[bytes | None]:
        if not levels:
            return [b"\2" + b"h" * 32]
        sides = (below(levels - 1, encode_branch(1, bit)) for bit in (b"\0", b"\x80"))
        return [b"\1" + node, *(one for side in sides for one in side)]

    plain = plain_of(below(3, deep))
    assert len(opened_by(kernel, plain, depth_max=4).named) == 8
    with pytest.raises(MalformedProofError):
        opened_by(kernel, plain, depth_max=3)


@each_kernel
def test_a_path_ends_where_the_longest_key_ends(kernel: Kernel) -> None:
    """Fails if the two disagree about what hangs below 65,528 bits: it can only be named."""
    longest = b"\1" + encode_branch(65_528, b"\xff" * 8191)
    named: bytes = b"\2" + b"h" * 32
    opened = opened_by(kernel, plain_of([longest, named, named]))
    assert [item[3] for item in opened.named] == [65_529, 65_529]
    assert [item[0][-1] for item in opened.named] == [0x00, 0x80]
    for below in (b"\1" + encode_branch(1, b"\0"), b"\1" + encode_leaf(b"\xff" * 8191, b"")):
        with pytest.raises(MalformedProofError):
            opened_by(kernel, plain_of([longest, below, named, named, named]))
