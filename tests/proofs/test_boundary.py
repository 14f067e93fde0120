"""Ethereum's own proofs, read and written: eth_getProof and snap ranges.

The PyPI package `trie` proves independently of us what is read here, and reads what is written here.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import rlp
from trie import HexaryTrie

from proofs import (
    InvalidLeafError,
    LeafRun,
    MalformedProofError,
    MissingNodeError,
    ProofError,
    RootMismatchError,
    account_nodes,
    get_scheme,
    leaf_items,
    leaf_run,
    read_value,
    state_root,
    verify_boundary,
)
from proofs.boundary import HIGHEST, LOWEST, NODE_BYTES_MAX, NODES_MAX
from proofs.schemes.ethereum import Account
from proofs.schemes.mpt import EMPTY_ROOT
from tests.model import keccak256

State = dict[bytes, bytes]


def _vectors(data: Path) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads((data / "ethereum" / "vectors.json").read_text())
    return vectors


def _run(leaves: list[list[str]]) -> LeafRun:
    return LeafRun([bytes.fromhex(key) for key, _ in leaves], [bytes.fromhex(value) for _, value in leaves])


def _nodes(proof: list[str] | None) -> list[bytes]:
    return [bytes.fromhex(node) for node in proof or []]


def _trie(state: State) -> HexaryTrie:
    trie = HexaryTrie({})
    for key, value in state.items():
        trie[key] = value
    return trie


def _proof(trie: HexaryTrie, key: bytes) -> list[bytes]:
    return [rlp.encode(node) for node in trie.get_proof(key)]


def _small_states(rng: random.Random) -> list[State]:
    """Even spread, shared prefixes (extensions, inlined leaves), neighbours that differ in the last digit."""
    even = {rng.randbytes(32): rng.randbytes(rng.choice((1, 40))) for _ in range(12)}
    stem = rng.randbytes(29)
    close = {stem + rng.randbytes(3): rng.randbytes(1) for _ in range(8)}
    last = {stem + b"\0\0" + bytes([low]): b"v" for low in (0x10, 0x11, 0x1F, 0x20)}
    return [even, close, even | close, last, dict(list(even.items())[:1]), dict(list(even.items())[:2])]


def _keys_around(rng: random.Random, state: State) -> list[bytes]:
    """Keys that are there, and keys that are not: anywhere, and next to those that are."""
    present = list(state)
    near = [key[:cut] + rng.randbytes(32 - cut) for key in present[:4] for cut in (1, 16, 31)]
    return [*present, *near, rng.randbytes(32), LOWEST, HIGHEST]


def test_real_account_proofs(data: Path) -> None:
    """Fails if a node is opened at the wrong path, or absence is read from a node that does not show it."""
    vectors = _vectors(data)
    for name in ("mainnetAccountProof_exists", "mainnetAccountProof_absent"):
        case = vectors[name]
        value = read_value(bytes.fromhex(case["stateRoot"]), bytes.fromhex(case["key"]), _nodes(case["proof"]))
        assert value == (bytes.fromhex(case["value"]) if case["value"] else None)


def test_recorded_range_proofs(data: Path) -> None:
    """Fails if the verdict or `more` differs from the recorded one in any case."""
    cases = _vectors(data)["generatedRangeProofs"]
    root = bytes.fromhex(cases["root"])
    for case in cases["cases"]:
        first, last = bytes.fromhex(case["lo"]), bytes.fromhex(case["hi"])
        if case["expect"]["ok"]:
            _, more = verify_boundary(root, first, last, _run(case["leaves"]), _nodes(case["proof"]))
            assert more == case["expect"]["more"], case["desc"]
        else:
            with pytest.raises(ProofError):
                verify_boundary(root, first, last, _run(case["leaves"]), _nodes(case["proof"]))


def test_a_range_of_one_of_two_leaves_that_share_a_prefix(data: Path) -> None:
    """Fails if an extension that straddles an edge is not opened to its branch."""
    case = _vectors(data)["sharedPrefix"]
    run = _run(case["leaves"])
    verified, more = verify_boundary(
        bytes.fromhex(case["root"]), bytes.fromhex(case["first"]), run.keys[-1], run, _nodes(case["proof"])
    )
    assert more is case["more"]
    assert verified.get(run.keys[0]) == b"\x02"


def test_the_gapped_trie() -> None:
    """Fails if a gap inside a range is not noticed (vectors.json, gappedSmallTrie)."""
    state = {index.to_bytes(32): bytes([index]) for index in range(1, 10)}
    trie = _trie(state)
    nodes = _proof(trie, (2).to_bytes(32)) + _proof(trie, (7).to_bytes(32))
    whole = [(index.to_bytes(32), bytes([index])) for index in range(2, 8)]
    edges = (2).to_bytes(32), (7).to_bytes(32)
    _, more = verify_boundary(trie.root_hash, *edges, leaf_run(whole), nodes)
    assert more
    with pytest.raises(RootMismatchError):
        verify_boundary(trie.root_hash, *edges, leaf_run([leaf for leaf in whole if leaf[1] != b"\x05"]), nodes)


def test_values_read_from_proofs_of_another_implementation(rng: random.Random) -> None:
    """Fails if reading opens too little (a leaf at full depth) or places an item on the wrong side."""
    for state in _small_states(rng):
        trie = _trie(state)
        for key in _keys_around(rng, state):
            assert read_value(trie.root_hash, key, _proof(trie, key)) == state.get(key)


def test_ranges_against_another_implementation(rng: random.Random) -> None:
    """Fails if an honest range is refused, `more` is wrong, or one with a leaf dropped, altered or added passes."""
    for state in _small_states(rng):
        trie = _trie(state)
        keys = _keys_around(rng, state)
        for _ in range(20):
            first, last = sorted((rng.choice(keys), rng.choice(keys)))
            nodes = _proof(trie, first) + _proof(trie, last)
            rng.shuffle(nodes)
            inside = sorted((key, value) for key, value in state.items() if first <= key <= last)
            verified, more = verify_boundary(trie.root_hash, first, last, leaf_run(inside), nodes)
            assert more == any(key > last for key in state)
            assert list(verified.run) == inside
            for wrong in _wrong(rng, inside, first, last):
                with pytest.raises(ProofError):
                    verify_boundary(trie.root_hash, first, last, leaf_run(wrong), nodes)


def _wrong(
    rng: random.Random, inside: list[tuple[bytes, bytes]], first: bytes, last: bytes
) -> list[list[tuple[bytes, bytes]]]:
    forged = []
    for index, (key, value) in enumerate(inside):
        forged.append(inside[:index] + inside[index + 1 :])
        forged.append([*inside[:index], (key, value + b"!"), *inside[index + 1 :]])
        forged.append([*inside[:index], (key, b""), *inside[index + 1 :]])
    if last not in dict(inside):
        forged.append([*inside, (last, b"new")])
    if first not in dict(inside):
        forged.append([(first, b"new"), *inside])
    rng.shuffle(forged)
    return forged[:6]


def test_what_we_write_another_implementation_reads(rng: random.Random) -> None:
    """Fails if a node on the path is left out, written twice, or out of order: root first, inlined ones left out."""
    scheme, mpt = get_scheme("ethereum"), get_scheme("mpt")
    storage = {keccak256(bytes([index])): rlp.encode(bytes([index + 1])) for index in range(40)}
    owner = keccak256(b"contract")
    root = state_root(mpt, leaf_items(sorted(storage.items())))
    accounts = {keccak256(bytes([index])): Account(index, 5).slim() for index in range(60)}
    accounts[owner] = Account(1, 2, root, keccak256(b"code")).slim()
    leaves = sorted([*accounts.items(), *((owner + key, value) for key, value in storage.items())])
    state = state_root(scheme, leaf_items(leaves))
    for address in (owner, next(iter(accounts)), keccak256(b"nobody")):
        (nodes,) = account_nodes(leaf_items(leaves), [address])
        slim = accounts.get(address)
        expected = Account.from_slim(address, slim).full() if slim else b""
        assert HexaryTrie.get_from_proof(state, address, [rlp.decode(node) for node in nodes]) == expected
        assert keccak256(nodes[0]) == state
    for slot in (keccak256(b"\x03"), keccak256(b"no slot")):
        account, found = account_nodes(leaf_items(leaves), [owner, owner + slot])
        assert account == account_nodes(leaf_items(leaves), [owner])[0]
        value = HexaryTrie.get_from_proof(root, slot, [rlp.decode(node) for node in found])
        assert value == storage.get(slot, b"")
        assert read_value(root, slot, found) == storage.get(slot)


def test_inlined_nodes_stay_inside_their_parents() -> None:
    """Fails if a node shorter than 32 bytes is listed: its parent holds it already."""
    owner = keccak256(b"owner")
    tiny = [(bytes(31) + b"\x10", b"\x01"), (bytes(31) + b"\x11", b"\x02")]
    root = state_root(get_scheme("mpt"), leaf_items(tiny))
    leaves = [(owner, Account(1, 0, root).slim()), *((owner + key, value) for key, value in tiny)]
    (nodes,) = account_nodes(leaf_items(leaves), [owner + tiny[0][0]])
    assert [read_value(root, key, nodes) for key, _ in tiny] == [b"\x01", b"\x02"]
    assert all(len(node) >= 32 for node in nodes)


def test_a_part_of_a_state_writes_no_proof() -> None:
    """Fails if nodes are recorded from items that leave something out."""
    leaves = sorted((keccak256(bytes([index])), Account(index, 1).slim()) for index in range(4))
    frontier = [(leaves[0][0], bytes(32), 1, 2)]
    with pytest.raises(ProofError):
        account_nodes(frontier, [leaves[0][0]])


def test_leaves_that_no_state_holds_write_no_proof() -> None:
    """Fails if the recorder forgets the scheme's own checks."""
    owner = keccak256(b"owner")
    slots = sorted((owner + keccak256(bytes([index])), b"\x01") for index in range(2))
    value_inside = [(owner[:31], b"v"), (owner, Account(1, 1).slim())]
    for illegal in (slots, slots[:1], value_inside):
        with pytest.raises(InvalidLeafError):
            account_nodes(leaf_items(illegal), [owner])


def test_the_empty_trie_proves_absence_without_nodes() -> None:
    """Fails if the empty root is looked up among the nodes."""
    assert read_value(EMPTY_ROOT, LOWEST, []) is None
    _, more = verify_boundary(EMPTY_ROOT, LOWEST, HIGHEST, leaf_run([]), [])
    assert not more
    with pytest.raises(RootMismatchError):
        verify_boundary(EMPTY_ROOT, LOWEST, HIGHEST, leaf_run([(LOWEST, b"1")]), [])


def test_the_whole_trie_needs_no_nodes(rng: random.Random) -> None:
    """Fails if the root is asked for although nothing straddles an edge."""
    state = _small_states(rng)[0]
    _, more = verify_boundary(_trie(state).root_hash, LOWEST, HIGHEST, leaf_run(sorted(state.items())), [])
    assert not more


def test_a_missing_node_is_named(rng: random.Random) -> None:
    """Fails if a gap in the proof is filled in silence."""
    state = _small_states(rng)[2]
    trie = _trie(state)
    key = next(iter(state))
    nodes = _proof(trie, key)
    with pytest.raises(MissingNodeError) as caught:
        read_value(trie.root_hash, key, nodes[1:])
    assert caught.value.node_hash == trie.root_hash
    assert caught.value.path == b""


@pytest.mark.parametrize(
    ("first", "last"), [(b"\1" * 32, b"\0" * 32), (b"\0" * 31, HIGHEST), (LOWEST, b"\xff" * 33)], ids=str
)
def test_edges_that_are_none(first: bytes, last: bytes) -> None:
    """Fails if edges out of order or of other sizes are taken."""
    with pytest.raises(MalformedProofError):
        verify_boundary(EMPTY_ROOT, first, last, leaf_run([]), [])


def test_leaves_outside_the_edges() -> None:
    """Fails if a leaf beyond the edges, which its nodes may even prove, is let in."""
    state = {bytes(31) + bytes([low]): b"v" for low in (1, 2, 3)}
    trie = _trie(state)
    nodes = [node for key in state for node in _proof(trie, key)]
    edges = bytes(31) + b"\1", bytes(31) + b"\2"
    with pytest.raises(InvalidLeafError):
        verify_boundary(trie.root_hash, *edges, leaf_run(sorted(state.items())), nodes)
    with pytest.raises(InvalidLeafError):
        verify_boundary(trie.root_hash, *edges, leaf_run([(bytes(31) + b"\1\0", b"v")]), nodes)


def test_proofs_that_are_too_large_are_refused_before_they_are_hashed() -> None:
    """Fails if the number of nodes or the size of one is not bounded."""
    with pytest.raises(MalformedProofError):
        read_value(EMPTY_ROOT, LOWEST, [b"x"] * (NODES_MAX + 1))
    with pytest.raises(MalformedProofError):
        read_value(EMPTY_ROOT, LOWEST, [bytes(NODE_BYTES_MAX + 1)])


def _list(*items: bytes) -> bytes:
    encoded: bytes = rlp.encode(list(items))
    return encoded


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(_list(b"\x20" + bytes(31), b"v"), id="leaf-of-31-bytes"),
        pytest.param(_list(b"\x20" + bytes(33), b"v"), id="leaf-of-33-bytes"),
        pytest.param(_list(b"\x00" + bytes(32), bytes(32)), id="extension-to-the-end"),
        pytest.param(_list(*[bytes(32)] * 16, b"v"), id="branch-with-value"),
        pytest.param(_list(b"\x00\x11", bytes(31)), id="child-of-31-bytes"),
        pytest.param(_list(b"\x00", bytes(32)), id="extension-without-path"),
        pytest.param(b"\x83abc", id="no-list"),
    ],
)
def test_nodes_that_no_trie_of_32_byte_keys_holds(node: bytes) -> None:
    """Fails if a foreign node is opened without a look at its shape and depth."""
    with pytest.raises(MalformedProofError):
        read_value(keccak256(node), LOWEST, [node])


def test_a_branch_beyond_the_end_of_a_key_is_refused() -> None:
    """Fails if depth is not bounded: an extension of 64 nibbles to a branch, under a branch that leads there."""
    deep = _list(*[bytes(32)] * 16, b"")
    leaf = _list(b"\x20", b"v")
    top = _list(b"\x10" + bytes(31), keccak256(deep))
    low = _list(*[keccak256(deep)] * 16, b"")
    extension = _list(b"\x10" + bytes(31), keccak256(low))
    with pytest.raises(MalformedProofError):
        read_value(keccak256(extension), LOWEST, [extension, low, deep, leaf, top])
