"""The shape of a trie from keys and sizes, against the trie itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from proofs.errors import InvalidLeafError, LeafOrderError
from proofs.oasis.tree import Branch, build
from sync.oasis.shape import BYTES_PER_LEAF, Shape, measure
from tests.oasis_cases import Pair, nodes_of, random_state


def branches_of(pairs: list[Pair]) -> Iterator[tuple[int, int, Branch]]:
    """(first leaf, leaf count, branch) of every branch of the trie."""
    keys = {key: index for index, (key, _) in enumerate(pairs)}
    for node in nodes_of(build(pairs)):
        if isinstance(node, Branch):
            yield keys[node.key], node.count, node


@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
@pytest.mark.parametrize("spill_bytes", [1 << 20, 0])
def test_shapes_are_those_of_the_trie(kind: str, spill_bytes: int, rng: random.Random, tmp_path: Path) -> None:
    for count in (0, 1, 2, 7, 60, 300):
        pairs = random_state(rng, kind, count)
        shape = measure(pairs, spill_bytes=spill_bytes, directory=tmp_path)
        assert shape.count == count
        assert list(shape.key_sizes) == [len(key) for key, _ in pairs]
        assert list(shape.value_sizes) == [len(value) for _, value in pairs]
        opened: dict[int, list[int]] = {}
        for first, size, branch in branches_of(pairs):
            opened.setdefault(first, []).append(branch.end)
            right = first + size - branch.right.count if branch.right and branch.left else None
            assert shape.branch(first, first + size) == (branch.end, branch.leaf is not None, right)
        for leaf in range(count):
            begin, end = shape.ends_from(leaf), shape.ends_from(leaf + 1)
            assert end - begin == shape.opened[leaf]
            assert list(shape.ends[begin:end]) == sorted(opened.get(leaf, []))
    assert not list(tmp_path.iterdir())


def test_long_states_are_found_by_blocks(rng: random.Random) -> None:
    pairs = [(key, b"") for key, _ in random_state(rng, "uniform", 5000)]
    shape = measure(pairs)
    for first, size, branch in branches_of(pairs):
        if size > 100:
            assert shape.branch(first, first + size)[0] == branch.end


def test_memory_of_a_leaf_is_as_promised(rng: random.Random) -> None:
    shape: Shape = measure(random_state(rng, "uniform", 1000))
    columns = (shape.shared, shape.key_sizes, shape.value_sizes, shape.opened, shape.ends)
    assert sum(column.nbytes for column in columns) <= BYTES_PER_LEAF * shape.count


def test_columns_spill_while_leaves_still_come(tmp_path: Path) -> None:
    pairs = [(index.to_bytes(4), b"v" * (index % 5)) for index in range(140_000)]
    spilled, kept = measure(pairs, spill_bytes=1000, directory=tmp_path), measure(pairs)
    for name in ("shared", "key_sizes", "value_sizes", "opened", "ends"):
        assert getattr(spilled, name) == getattr(kept, name), name


def test_leaves_that_no_trie_holds() -> None:
    with pytest.raises(LeafOrderError):
        measure([(b"b", b""), (b"a", b"")])
    with pytest.raises(LeafOrderError):
        measure([(b"a", b""), (b"a", b"")])
    with pytest.raises(InvalidLeafError):
        measure([(bytes(8192), b"")])
