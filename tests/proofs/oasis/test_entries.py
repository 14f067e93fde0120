"""Entries of runs of leaves, against the proof builder; and the native twin against the definition."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator

import pytest

from proofs import Kernel, LeafRun, MalformedProofError, get_kernel
from proofs.kernel import NativeKernel, ReferenceKernel
from proofs.oasis.entries import ITEM_BYTES_SMALL, Open, entry
from proofs.oasis.reads import ProofBuilder
from proofs.oasis.tree import Branch
from tests.oasis_cases import Pair, nodes_of, random_state, tree_of


def columns(pairs: list[Pair]) -> tuple[memoryview, memoryview, memoryview]:
    """Shape of a whole state, from its trie: what neighbours share, branches opened at each leaf, and their ends."""
    shared, opened, ends = array("H"), array("H", bytes(2 * len(pairs))), array("H")
    keys = [key for key, _ in pairs]
    branches = [node for node in nodes_of(tree_of(pairs).root) if isinstance(node, Branch)]
    by_leaf: dict[int, list[int]] = {}
    for branch in branches:
        by_leaf.setdefault(keys.index(branch.key), []).append(branch.end)
    for leaf, key in enumerate(keys):
        before = keys[leaf - 1] if leaf else b""
        size = min(len(before), len(key))
        bits = size * 8 - (int.from_bytes(before[:size]) ^ int.from_bytes(key[:size])).bit_length()
        shared.append(bits)
        opened[leaf] = len(by_leaf.get(leaf, []))
        ends.extend(sorted(by_leaf.get(leaf, [])))
    return memoryview(shared), memoryview(opened), memoryview(ends)


def whole_proof(pairs: list[Pair]) -> bytes:
    """Every node of the state, as a chunk has it."""
    tree = tree_of(pairs)
    builder = ProofBuilder(tree, 0)
    for node in nodes_of(tree.root):
        builder.include(node)
    return b"".join(b"\xf6" if one is None else entry(one) for one in builder.build().entries)


def in_runs(kernel: Kernel, pairs: list[Pair], sizes: Iterator[int]) -> tuple[bytes, list[tuple[int, int]]]:
    """The whole state run by run; the entries behind the last leaf are all null."""
    shared, opened, ends = columns(pairs)
    plain, large = b"", []
    path: list[Open] = []
    start = at = 0
    while start < len(pairs):
        stop = min(len(pairs), start + next(sizes))
        count = sum(opened[start:stop])
        run = LeafRun([key for key, _ in pairs[start:stop]], [value for _, value in pairs[start:stop]])
        above = [(end, side) for end, side, _ in path]
        part = shared[start:stop], opened[start:stop], ends[at : at + count]
        written, found, path = kernel.oasis_entries(run, *part, above, inside=start > 0)
        large += [(len(plain) + offset, size) for offset, size in found]
        plain += written
        start, at = stop, at + count
    return plain + b"".join(b"\xf6" for _, side, _ in path if side != 1), large


@pytest.mark.parametrize("kernel", [ReferenceKernel(), get_kernel()], ids=["reference", "default"])
@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
def test_runs_joined_are_the_whole_proof(kernel: Kernel, kind: str, rng: random.Random) -> None:
    for count in (1, 2, 5, 40):
        pairs = random_state(rng, kind, count)
        plain, large = in_runs(kernel, pairs, iter(lambda: rng.randrange(1, 20), 0))
        assert plain == whole_proof(pairs)
        assert large == []


@pytest.mark.parametrize("kernel", [ReferenceKernel(), get_kernel()], ids=["reference", "default"])
def test_large_items_are_named(kernel: Kernel) -> None:
    sizes = (0, 23, 24, 255, 256, 65500, 65535, 65536, 65537, 1 << 20)
    pairs = [(b"%02d" % index, bytes(size)) for index, size in enumerate(sizes)]
    plain, large = in_runs(kernel, pairs, iter(lambda: 4, 0))
    assert plain == whole_proof(pairs)
    assert [size for _, size in large] == [size + 5 + 10 for size in sizes if size + 15 > ITEM_BYTES_SMALL]
    for offset, size in large:
        assert plain[offset : offset + 1] == b"\x5a"
        assert int.from_bytes(plain[offset + 1 : offset + 5]) == size - 5


NATIVE = get_kernel().name == "native"


@pytest.mark.skipif(not NATIVE, reason="the native kernel is not built")
@pytest.mark.parametrize(
    ("shared", "opened", "ends", "path", "inside"),
    [
        ([0], [0], [], [], True),  # nothing above the leaf
        ([0, 0], [0, 0], [], [], False),
        ([0], [0, 0], [], [], False),  # other counts than the leaves'
        ([0], [1], [], [], False),
        ([0], [1], [17], [], False),  # behind its leaf's key
        ([0], [1], [3], [(5, 0)], False),  # in front of its parent
        ([0], [0], [], [(16, -1)], True),
    ],
)
def test_shapes_of_other_leaves_are_refused(
    shared: list[int], opened: list[int], ends: list[int], path: list[tuple[int, int]], inside: bool
) -> None:
    """The native kernel never reads beyond its input."""
    run = LeafRun([b"a\0", b"b\0"][: len(shared)], [b"", b""][: len(shared)])
    views = [memoryview(array("H", column)) for column in (shared, opened, ends)]
    if path == [(16, -1)]:
        views[0] = memoryview(array("H", [16]))
    with pytest.raises(MalformedProofError):
        NativeKernel().oasis_entries(run, *views, path, inside=inside)
