"""NOMT's path proofs and multi-proofs: recorded ones, random states against the state itself, and damaged ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import MalformedProofError, ProofError, get_scheme, leaf_items, state_root
from proofs.nomt_proof import MultiProof, PathProof, Terminal, VerifiedPaths, prove_path, verify_path, verify_paths
from proofs.schemes.nomt import NOMT, TERMINATOR
from tests.properties.scheme_states import STATES, keys_of

SCHEME = get_scheme("nomt-blake3")
assert isinstance(SCHEME, NOMT)

State = list[tuple[bytes, bytes]]


@pytest.fixture
def recorded(data: Path) -> Any:
    return json.loads((data / "nomt" / "proofs_selfmade.json").read_text())


@pytest.fixture
def state(data: Path) -> State:
    accounts = json.loads((data / "nomt" / "account_paths_0_999.json").read_text())[:200]
    return sorted((bytes.fromhex(key), (1000).to_bytes(8, "little")) for key in accounts)


def test_recorded_paths(recorded: Any, state: State) -> None:
    root, proofs = bytes.fromhex(recorded["root"]), []
    for case in recorded["path_proofs"]:
        key = bytes.fromhex(case["key"])
        proof = prove_path(SCHEME, leaf_items(state), key)
        assert [sibling.hex() for sibling in proof.siblings] == case["siblings"]
        if case["terminal"] is None:
            assert proof.terminal.value_hash is None
        else:
            assert proof.terminal == Terminal(*map(bytes.fromhex, case["terminal"]))
        assert (verify_path(SCHEME, root, proof).value_hash(key) is not None) == (key in dict(state))
        proofs.append(proof)
    joined = MultiProof.join(sorted(proofs, key=lambda proof: proof.terminal.key))
    assert [sibling.hex() for sibling in joined.siblings] == recorded["multi_proof"]["siblings"]
    assert [depth for _, depth in joined.paths] == [path["depth"] for path in recorded["multi_proof"]["paths"]]
    verify_paths(SCHEME, root, joined)


@given(STATES["nomt-blake3"], keys_of(32))
def test_a_path_shows_presence_and_absence(state: State, key: bytes) -> None:
    root = state_root(SCHEME, leaf_items(state))
    for asked in (key, *(known for known, _ in state)):
        proof = prove_path(SCHEME, leaf_items(state), asked)
        assert PathProof.decode(proof.encode()) == proof
        value = dict(state).get(asked)
        verified = verify_path(SCHEME, root, proof)
        assert verified.value_hash(asked) == (None if value is None else SCHEME.digest(value))
        assert verified.holds(asked, b"no such value") is False


@given(STATES["nomt-blake3"], st.lists(keys_of(32), max_size=4), st.integers(0, 2**32))
def test_many_paths_show_what_each_shows(state: State, keys: list[bytes], seed: int) -> None:
    """And what they do not show is unknown, never absent."""
    root = state_root(SCHEME, leaf_items(state))
    proofs = {proof.terminal.key: proof for proof in (prove_path(SCHEME, leaf_items(state), key) for key in keys)}
    joined = MultiProof.join([proof for _, proof in sorted(proofs.items())])
    assert MultiProof.decode(joined.encode()) == joined
    if not keys and state:
        with pytest.raises(ProofError):
            verify_paths(SCHEME, root, joined)
        return
    verified = verify_paths(SCHEME, root, joined)
    for key in [*keys, *(known for known, _ in state)]:
        try:
            value_hash = verified.value_hash(key)
        except KeyError:
            assert key not in keys
            continue
        value = dict(state).get(key)
        assert value_hash == (None if value is None else SCHEME.digest(value))


@given(STATES["nomt-blake3"].filter(bool), keys_of(32), st.integers(0, 2**32))
def test_a_changed_proof_is_refused(state: State, key: bytes, seed: int) -> None:
    rng = Random(seed)
    root = state_root(SCHEME, leaf_items(state))
    proof = prove_path(SCHEME, leaf_items(state), key)
    siblings = proof.siblings
    changed = [
        replace(proof, siblings=(*siblings, TERMINATOR)),
        replace(proof, siblings=(*siblings, bytes(31) + b"\1")),
    ]
    if siblings:
        at = rng.randrange(len(siblings))
        other = bytes((siblings[at][0] ^ 1 << rng.randrange(8),)) + siblings[at][1:]
        changed.append(replace(proof, siblings=(*siblings[:at], other, *siblings[at + 1 :])))
        changed.append(replace(proof, siblings=siblings[:-1]))
    if proof.terminal.value_hash is None:
        changed.append(replace(proof, terminal=Terminal(key, bytes(32))))
    else:
        changed.append(replace(proof, terminal=Terminal(proof.terminal.key, None)))
        changed.append(replace(proof, terminal=Terminal(proof.terminal.key, bytes(32))))
    for bad in changed:
        with pytest.raises(ProofError):
            verify_path(SCHEME, root, bad)


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param(MultiProof(((Terminal(bytes(32), None), 1), (Terminal(bytes(32), None), 1)), ()), id="same-path"),
        pytest.param(MultiProof(((Terminal(b"\xff" * 32, None), 1), (Terminal(bytes(32), None), 1)), ()), id="order"),
        pytest.param(MultiProof(((Terminal(bytes(32), None), 3),), ()), id="missing-siblings"),
        pytest.param(MultiProof((), (b"\1" * 32,)), id="left-over"),
        pytest.param(
            MultiProof(((Terminal(bytes(32), None), 2), (Terminal(bytes(31) + b"\1", None), 2)), (TERMINATOR,) * 255),
            id="path-ends-above-its-parting",
        ),
    ],
)
def test_a_malformed_multi_proof(proof: MultiProof) -> None:
    with pytest.raises(MalformedProofError):
        verify_paths(SCHEME, bytes(32), proof)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\2" + bytes(64), id="unknown-terminal"),
        pytest.param(b"\0" + bytes(64) + b"\xff\xff\xff\xff", id="too-many-siblings"),
        pytest.param(b"\1" + bytes(32) + b"\1\1" + bytes(8) + bytes(4), id="depth-257"),
        pytest.param(b"\1" + bytes(32) + b"\1\0" + bytes(8) + bytes(4), id="depth-without-siblings"),
        pytest.param(b"\1" + bytes(32) + b"\0\0" + b"\1" + bytes(7) + bytes(4), id="node-index"),
        pytest.param(b"\0" + bytes(64) + bytes(4) + b"\0", id="trailing-byte"),
    ],
)
def test_bytes_that_are_no_path_proof(data: bytes) -> None:
    with pytest.raises(MalformedProofError):
        PathProof.decode(data)


def test_a_multi_proof_that_announces_too_much() -> None:
    for data in (b"\xff" * 4, b"\0" * 4 + b"\xff" * 4, b"\0" * 9):
        with pytest.raises(MalformedProofError):
            MultiProof.decode(data)


def test_a_path_whose_depth_is_not_that_of_its_terminal() -> None:
    """Fails if the two depths that the encoding holds may differ."""
    honest = MultiProof(((Terminal(bytes(32), None), 3),), (b"\1" * 32,) * 3).encode()
    assert MultiProof.decode(honest).encode() == honest
    at = honest.rindex((3).to_bytes(8, "little"), 0, len(honest) - 3 * 32)
    with pytest.raises(MalformedProofError):
        MultiProof.decode(honest[:at] + (4).to_bytes(8, "little") + honest[at + 8 :])


def test_only_the_verifier_makes_verified_paths() -> None:
    """Fails if a claim can pass for a verdict."""
    with pytest.raises(TypeError):
        VerifiedPaths(SCHEME, bytes(32), [], _verifier=object())


def test_the_same_path_twice_cannot_be_joined() -> None:
    """Fails if paths that never part are taken to part somewhere."""
    leaves = [(bytes((first,)) + bytes(31), b"v") for first in (0x00, 0x80)]
    proof = prove_path(SCHEME, leaf_items(leaves), leaves[0][0])
    with pytest.raises(MalformedProofError):
        MultiProof.join([proof, proof])
