"""Checkpoints: equal to the recorded ones in every byte, published whole or not at all."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from proofs import get_kernel
from proofs.errors import LeafOrderError, MalformedProofError
from proofs.oasis.messages import IO, STATE, Metadata, OasisRoot
from sync.errors import CheckpointMismatchError
from sync.oasis.create import Chunking, create_checkpoint, create_round, io_leaves
from sync.oasis.store import OasisStore
from tests.oasis_cases import NAMESPACE, Pair, apply_ops, numbered, reference_cases, regression, root_of, vectors


def test_recorded_checkpoints(data: Path, tmp_path: Path) -> None:
    seen = 0
    for case in reference_cases(data):
        pairs = apply_ops(case["ops"])
        root = OasisRoot.decode(bytes.fromhex(case["root_cbor"]))
        for number, recorded in enumerate(case["checkpoints"]):
            store = OasisStore(tmp_path / case["name"] / str(number))
            chunking = Chunking(chunk_bytes=recorded["size"], threads=recorded["threads"])
            metadata = create_checkpoint(lambda pairs=pairs: pairs, root, store, chunking=chunking)  # type: ignore[misc]
            assert metadata.encode().hex() == recorded["meta"], (case["name"], recorded["size"], recorded["threads"])
            assert metadata.encoded_hash.hex() == recorded["encoded_hash"]
            for index, chunk in enumerate(recorded.get("chunks", [])):
                assert store.chunk(metadata.chunk(index)).hex() == chunk
                seen += 1
    assert seen > 200


def test_unit_test_checkpoints(data: Path, tmp_path: Path) -> None:
    states = {
        "decimal": numbered(1000, "{}", "{}"),
        "oversized": [(bytes([index]) * 100, bytes([index]) * 1000) for index in range(100)],
        None: regression(data)[0],
    }
    for name, vector in vectors(data).items():
        if vector["kind"] != "checkpoint":
            continue
        inputs, expected = vector["inputs"], vector["expected"]
        pairs = states[inputs.get("generator")]
        root = root_of(pairs, version=inputs["version"], root_type=inputs["root_type"])
        chunking = Chunking(chunk_bytes=inputs["chunk_size"], threads=inputs["threads"])
        metadata = create_checkpoint(lambda pairs=pairs: pairs, root, OasisStore(tmp_path / name), chunking=chunking)  # type: ignore[misc]
        got = {
            "chunk_digests": [digest.hex() for digest in metadata.chunks],
            "chunk_count": len(metadata.chunks),
            "metadata_encoded_hash": metadata.encoded_hash.hex(),
        }
        assert expected.items() <= got.items(), name


def test_spilled_columns_make_the_same_checkpoint(rng: random.Random, tmp_path: Path) -> None:
    pairs = numbered(3000)
    root = root_of(pairs)
    made = [
        create_checkpoint(
            lambda: pairs,
            root,
            OasisStore(tmp_path / str(spill)),
            chunking=Chunking(chunk_bytes=4096, threads=12, spill_bytes=spill),
        )
        for spill in (0, 1 << 20)
    ]
    assert made[0] == made[1]


def test_a_round_is_published_whole(tmp_path: Path) -> None:
    state, io = numbered(50), io_leaves(((b"b", b"2"), (b"gone", None), (b"a", b"")))
    assert io == [(b"a", b""), (b"b", b"2")]
    roots = root_of(state, version=7), root_of(io, version=7, root_type=IO)
    store = OasisStore(tmp_path)
    made = create_round([(lambda: io, roots[1]), (lambda: state, roots[0])], store)
    assert {metadata.root for metadata in made} == set(roots)
    assert sorted(store.list(7), key=Metadata.encode) == sorted(made, key=Metadata.encode)


def test_a_round_with_a_wrong_part_is_not_published_at_all(tmp_path: Path) -> None:
    state, io = numbered(50), numbered(5)
    roots = root_of(state, version=7), root_of(numbered(6), version=7, root_type=IO)
    store = OasisStore(tmp_path)
    with pytest.raises(CheckpointMismatchError) as caught:
        create_round([(lambda: state, roots[0]), (lambda: io, roots[1])], store)
    assert (caught.value.expected, caught.value.computed) == (roots[1].hash, root_of(io).hash)
    assert store.list() == []
    assert not list((tmp_path / ".staging").iterdir())


def test_two_empty_roots_share_a_directory(tmp_path: Path) -> None:
    roots = root_of([], root_type=IO), root_of([], root_type=STATE)
    (metadata,) = create_round([(list, root) for root in roots], OasisStore(tmp_path))
    assert metadata.root == roots[0]


def test_roots_of_two_rounds_are_not_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one version"):
        create_round([(list, root_of([], version=version)) for version in (1, 2)], OasisStore(tmp_path))


PAIRS = numbered(10)
CHANGES: dict[str, list[Pair]] = {
    "one less": PAIRS[:-1],
    "one more": [*PAIRS, (b"z", b"")],
    "another key size": [*PAIRS[:-1], (b"z", b"value 9")],
    "another value size": [*PAIRS[:-1], (PAIRS[-1][0], b"")],
    "another order": [PAIRS[1], PAIRS[0], *PAIRS[2:]],
}


@pytest.mark.parametrize("kernel", ["reference", None])
@pytest.mark.parametrize("name", CHANGES)
def test_leaves_that_change_between_reads_are_noticed(name: str, kernel: str | None, tmp_path: Path) -> None:
    store, reads = OasisStore(tmp_path), iter((PAIRS, CHANGES[name]))
    with pytest.raises(MalformedProofError):
        create_checkpoint(lambda: next(reads), root_of(PAIRS), store, kernel=get_kernel(kernel))
    assert store.list() == []


def test_leaves_out_of_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LeafOrderError):
        create_checkpoint(lambda: PAIRS[::-1], root_of(PAIRS), OasisStore(tmp_path))


@pytest.mark.parametrize(
    "wrong", [{"chunk_bytes": -1}, {"chunk_bytes": 1 << 64}, {"threads": 1 << 16}, {"spill_bytes": -1}]
)
def test_parameters_out_of_bounds(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="bits"):
        Chunking(**wrong)


def test_equal_content_has_one_hash_and_many_roots() -> None:
    root = root_of(PAIRS)
    assert root_of(PAIRS, version=9, root_type=IO).hash == root.hash
    assert replace(root, version=9).encoded_hash != root.encoded_hash
    assert root.namespace == NAMESPACE
