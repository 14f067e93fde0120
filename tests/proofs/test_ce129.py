"""CE 129: recorded answers byte by byte, honest ranges of random states, and answers that lie."""

from __future__ import annotations

import gzip
import hashlib
import json
from bisect import bisect_left, bisect_right
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs import (
    NODE,
    InvalidLeafError,
    Item,
    LeafOrderError,
    MalformedProofError,
    ProofError,
    get_scheme,
    leaf_items,
    state_root,
)
from proofs.ce129 import HIGHEST, LOWEST, StateAnswer, StateRequest, decode_pairs, prove_state, verify_state
from proofs.leafrun import leaf_run
from proofs.schemes.jam import blake2b_256, leaf_node
from tests.properties.scheme_states import STATES, keys_of

JAM = get_scheme("jam")
HEADER = bytes(32)
SIZE_MAX = 2**32 - 1

State = list[tuple[bytes, bytes]]


@pytest.fixture
def recorded(data: Path) -> Any:
    return json.loads((data / "jam" / "ce129_selfmade.json").read_text())


@pytest.fixture
def state(data: Path) -> State:
    """The last state of the preimages trace: 107 leaves, one of them 145 kB."""
    trace = json.loads(gzip.decompress((data / "jam" / "trace_preimages.json.gz").read_bytes()))
    leaves = dict(trace["base_states"][0]["keyvals"])
    for step in trace["steps"]:
        leaves = {key: value for key, value in leaves.items() if key not in step["delete"]} | step["set"]
    return sorted((bytes.fromhex(key), bytes.fromhex(value)) for key, value in leaves.items())


def items_of(state: State) -> list[Item]:
    return list(leaf_items(state))


def test_recorded_answers(recorded: Any, state: State) -> None:
    root = bytes.fromhex(recorded["root"])
    for case in recorded["cases"]:
        request = StateRequest(HEADER, bytes.fromhex(case["start"]), bytes.fromhex(case["end"]), case["max_size"])
        assert request.encode()[32:].hex() == case["request_msg"].removeprefix("<header_hash>")
        nodes, pairs = prove_state(items_of(state), request).encode()
        assert nodes.hex() == case["nodes_msg"]
        assert hashlib.sha256(pairs).hexdigest() == case["kv_msg_sha256"]
        verified, more = verify_state(root, request, StateAnswer.decode(nodes, pairs))
        assert (len(verified.run), more) == (case["n_kv"], case["more"])
    assert len(recorded["cases"]) == 17


def test_a_walk_over_the_whole_state(recorded: Any, state: State) -> None:
    root, start, leaves = bytes.fromhex(recorded["root"]), LOWEST, []
    for step in recorded["walk_max_8000"]:
        assert start.hex() == step["start"]
        request = StateRequest(HEADER, start, HIGHEST, 8000)
        answer = prove_state(items_of(state), request)
        assert (len(answer.nodes), answer.run.keys[-1].hex()) == (step["n_nodes"], step["last"])
        verified, more = verify_state(root, request, answer)
        leaves += list(verified.run)
        assert more == step["more"]
        start = (int.from_bytes(answer.run.keys[-1]) + 1).to_bytes(31)
    assert leaves == state


@given(STATES["jam"], keys_of(31), keys_of(31), st.sampled_from((0, 300, 1000, SIZE_MAX)))
def test_an_honest_answer_verifies(state: State, a: bytes, b: bytes, size_max: int) -> None:
    start, end = sorted((a, b))
    root = state_root(JAM, leaf_items(state))
    request = StateRequest(HEADER, start, end, size_max)
    assert StateRequest.decode(request.encode()) == request
    answer = prove_state(items_of(state), request)
    nodes, pairs = answer.encode()
    assert StateAnswer.decode(nodes, pairs) == answer
    keys = [key for key, _ in state]
    asked = state[bisect_left(keys, start) : bisect_right(keys, end)]
    assert list(answer.run) == asked[: len(answer.run)]
    assert bool(answer.run) == bool(asked)
    assert len(answer.run) <= 1 or len(nodes) + len(pairs) <= size_max
    verified, more = verify_state(root, request, answer)
    assert list(verified.run) == list(answer.run)
    assert more or len(answer.run) == len(asked)
    if answer.run and len(answer.run) < len(asked):
        assert more
    if end == HIGHEST:
        assert more == (len(answer.run) < len(asked))


@settings(max_examples=200)
@given(STATES["jam"], keys_of(31), keys_of(31), st.integers(0, 2**32))
def test_what_passes_is_the_truth(state: State, a: bytes, b: bytes, seed: int) -> None:
    """Mutated answers: refused, or sound all the same (a node that was not needed is gone)."""
    rng = Random(seed)
    start, end = sorted((a, b))
    root = state_root(JAM, leaf_items(state))
    request = StateRequest(HEADER, start, end, rng.choice((0, 400, SIZE_MAX)))
    answer = prove_state(items_of(state), request)
    for _ in range(6):
        try:
            verified, more = verify_state(root, request, mutated(answer, rng))
        except ProofError:
            continue
        stop = verified.end if verified.end is not None else b"\xff" * 32
        assert list(verified.run) == [leaf for leaf in state if start <= leaf[0] < stop]
        assert more or all(leaf in verified.run for leaf in state if start <= leaf[0] <= end)


def mutated(answer: StateAnswer, rng: Random) -> StateAnswer:
    nodes, leaves = list(answer.nodes), list(answer.run)
    match rng.randrange(8):
        case 0 if leaves:
            del leaves[rng.randrange(len(leaves))]
        case 1:
            leaves.append((rng.randbytes(31), b""))
        case 2 if leaves:
            at = rng.randrange(len(leaves))
            leaves[at] = leaves[at][0], leaves[at][1] + b"\0"
        case 3 if leaves:
            at = rng.randrange(len(leaves))
            flipped = int.from_bytes(leaves[at][0]) ^ 1 << rng.randrange(248)
            leaves[at] = flipped.to_bytes(31), leaves[at][1]
        case 4 if nodes:
            del nodes[rng.randrange(len(nodes))]
        case 5 if nodes:
            at = rng.randrange(len(nodes))
            nodes[at] = (int.from_bytes(nodes[at]) ^ 1 << rng.randrange(512)).to_bytes(64)
        case 6:
            nodes.append(rng.randbytes(64))
        case _:
            leaves = leaves[: rng.randrange(len(leaves) + 1)]
    return StateAnswer(tuple(nodes), leaf_run(sorted(leaves)))


def test_duplicate_and_reordered_nodes_change_nothing(state: State) -> None:
    root = state_root(JAM, leaf_items(state))
    request = StateRequest(HEADER, state[3][0], state[9][0], SIZE_MAX)
    answer = prove_state(items_of(state), request)
    doubled = replace(answer, nodes=tuple(reversed(answer.nodes)) + answer.nodes[:1])
    assert verify_state(root, request, doubled)[1] is verify_state(root, request, answer)[1]


def test_pairs_outside_the_request(state: State) -> None:
    root = state_root(JAM, leaf_items(state))
    wide = StateRequest(HEADER, LOWEST, HIGHEST, SIZE_MAX)
    narrow = StateRequest(HEADER, state[1][0], HIGHEST, SIZE_MAX)
    with pytest.raises(InvalidLeafError):
        verify_state(root, narrow, prove_state(items_of(state), wide))
    answer = prove_state(items_of(state), wide)
    with pytest.raises(LeafOrderError):
        verify_state(root, wide, replace(answer, run=leaf_run(list(reversed(list(answer.run))))))


def test_a_leaf_that_does_not_lie_where_its_path_leads() -> None:
    """A node that hashes right and is a leaf of elsewhere cannot be placed."""
    state = [(bytes((first,)) + bytes(30), b"v") for first in (0x00, 0x10, 0xF0)]
    request = StateRequest(HEADER, b"\x08" + bytes(30), b"\x09" + bytes(30), SIZE_MAX)
    answer = prove_state(items_of(state), request)
    verified, more = verify_state(state_root(JAM, leaf_items(state)), request, answer)
    assert (list(verified.run), more) == ([], False)
    with pytest.raises(ProofError):
        verify_state(state_root(JAM, leaf_items(state[1:])), request, answer)


@pytest.mark.parametrize("data", [b"", bytes(97), bytes(99), bytes(32) + b"\1" * 31 + bytes(35)])
def test_bytes_that_are_no_request(data: bytes) -> None:
    with pytest.raises(MalformedProofError):
        StateRequest.decode(data)


@pytest.mark.parametrize("pairs", [bytes(1), bytes(31), bytes(31) + b"\5abc", bytes(31) + b"\x80\0", bytes(33)])
def test_bytes_that_are_no_pairs(pairs: bytes) -> None:
    with pytest.raises(MalformedProofError):
        decode_pairs(pairs)


def test_more_nodes_than_two_paths() -> None:
    for nodes in (bytes(63), bytes(64 * 499)):
        with pytest.raises(MalformedProofError):
            StateAnswer.decode(nodes, b"")


def test_too_many_nodes_are_refused_however_they_came() -> None:
    """Fails if the bound is kept by the decoder alone."""
    request = StateRequest(HEADER, LOWEST, HIGHEST, SIZE_MAX)
    with pytest.raises(MalformedProofError):
        verify_state(bytes(32), request, StateAnswer((bytes(64),) * 500, leaf_run([])))


def test_a_leaf_below_a_branch_that_does_not_lead_to_it() -> None:
    """Fails if a leaf is believed to lie where it was found."""
    leaf = leaf_node(b"\xf0" + bytes(30), b"v")
    left = bytearray(blake2b_256(leaf))
    left[0] &= 0x7F
    branch = bytes(left) + blake2b_256(b"right")
    request = StateRequest(HEADER, b"\x08" + bytes(30), b"\x09" + bytes(30), SIZE_MAX)
    with pytest.raises(MalformedProofError):
        verify_state(blake2b_256(branch), request, StateAnswer((branch, leaf), leaf_run([])))


def test_a_range_that_is_not_open_cannot_be_answered() -> None:
    """Fails if a closed subtree is passed over where its leaves were asked for."""
    with pytest.raises(MalformedProofError):
        prove_state([(bytes(31), bytes(32), NODE, 0)], StateRequest(HEADER, LOWEST, HIGHEST, SIZE_MAX))
