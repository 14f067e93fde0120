"""The Oasis trie as nodes: the roots of the reference, whole and as a spine."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.errors import InvalidLeafError, LeafOrderError, MissingNodeError
from proofs.fold import leaf_items, state_root
from proofs.oasis.messages import EMPTY_HASH
from proofs.oasis.tree import STUBS_KEPT, Branch, Leaf, Stub, Tree, build
from proofs.schemes import get_scheme
from tests.oasis_cases import (
    Pair,
    apply_ops,
    nodes_of,
    numbered,
    reference_cases,
    regression,
    tree_of,
    trie_test,
    vectors,
)


def test_roots_are_those_of_the_reference(data: Path) -> None:
    for case in reference_cases(data):
        assert tree_of(apply_ops(case["ops"])).root_hash.hex() == case["root"]
    pairs, root = regression(data)
    assert tree_of(pairs).root_hash == root


@pytest.mark.parametrize("stub_leaves", [0, 1, 3, 64])
def test_unit_test_roots_are_those_of_the_reference(stub_leaves: int, data: Path) -> None:
    for vector in vectors(data).values():
        if pairs := _state(vector):
            assert tree_of(pairs, stub_leaves=stub_leaves).root_hash.hex() == vector["expected"]["root"], vector["id"]


def _state(vector: dict[str, dict[str, object]]) -> list[Pair]:
    inputs = vector["inputs"]
    if str(vector["kind"]) == "root_from_kv":
        return sorted((bytes.fromhex(key), bytes.fromhex(value)) for key, value in inputs["kv"])  # type: ignore[attr-defined]
    if str(vector["kind"]) != "root_from_generator":
        return []
    if inputs["generator"] == "numbered":
        return numbered(int(str(inputs["count"])), str(inputs["prefix"]) + "key {}")
    key, value = str(inputs["long_key"]).encode(), str(inputs["long_value"]).encode()
    return [(key[:size], value) for size in range(1, len(key) + 1)]


@pytest.mark.parametrize("number", range(1, 7))
def test_operation_sequences_of_the_reference(number: int, data: Path) -> None:
    pairs, gets = trie_test(data / f"oasis/cases/case-{number}.json")
    state = dict(pairs)
    assert all(state.get(key, b"") == value for key, value in gets)
    assert tree_of(pairs).root_hash == state_root(get_scheme("mkvs"), leaf_items(pairs))


def test_trees_without_branches() -> None:
    assert Tree(None).root_hash == EMPTY_HASH
    assert build([]) is None
    assert isinstance(build([(b"k", b"v")]), Leaf)


def test_a_spine_folds_away_small_subtrees_and_reads_them_back() -> None:
    pairs = numbered(2000)
    whole, spine = tree_of(pairs), tree_of(pairs, stub_leaves=16)
    nodes = nodes_of(spine.root)
    stubs = [node for node in nodes if isinstance(node, Stub)]
    assert len(stubs) > STUBS_KEPT
    assert len(nodes) < 500
    assert spine.root_hash == whole.root_hash
    by_hash = {node.hash: node for node in nodes_of(whole.root)}
    for stub in [*stubs, stubs[-1], stubs[0]]:
        opened, original = spine.open(stub), by_hash[stub.hash]
        assert isinstance(opened, Branch)
        assert isinstance(original, Branch)
        assert (opened.start, opened.end, opened.count) == (original.start, original.end, original.count)
        assert spine.open(opened) is opened


def test_a_spine_over_other_leaves_is_noticed() -> None:
    spine = build(numbered(100), stub_leaves=16)
    changed = numbered(100, value="other {}")
    tree = Tree(spine, lambda first, count: [pair for pair in changed if pair[0] >= first][:count])
    stub = next(node for node in nodes_of(spine) if isinstance(node, Stub))
    for broken in (tree, Tree(spine)):
        with pytest.raises(MissingNodeError):
            broken.open(stub)


def test_leaves_that_no_trie_holds() -> None:
    with pytest.raises(LeafOrderError):
        build([(b"b", b""), (b"a", b"")])
    with pytest.raises(LeafOrderError):
        build([(b"a", b""), (b"a", b"")])
    with pytest.raises(InvalidLeafError):
        build([(bytes(8192), b"")])
