"""Oasis messages: byte for byte as the Go types write them, and strict about what is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs import cbor
from proofs.errors import MalformedProofError
from proofs.hashing import sha512_256
from proofs.oasis.messages import (
    EMPTY_HASH,
    IO,
    ChunkMetadata,
    GetCheckpointsRequest,
    GetDiffRequest,
    GetPrefixesRequest,
    GetRequest,
    IterateRequest,
    Message,
    Metadata,
    OasisRoot,
    Proof,
    ProofResponse,
    SyncChunk,
    SyncOptions,
    TreeID,
    decode_write_log,
    encode_write_log,
)
from tests.oasis_cases import NAMESPACE, reference_cases, vectors

ROOT = OasisRoot(NAMESPACE, 300, IO, sha512_256(b"x"))
TREE = TreeID(ROOT, ROOT.hash)
DIGEST = sha512_256(b"d")
MESSAGES: dict[str, Message] = {
    "root": ROOT,
    "metadata": Metadata(ROOT, (DIGEST,)),
    "chunk_metadata": ChunkMetadata(ROOT, 5, DIGEST),
    "get_checkpoints_request": GetCheckpointsRequest(NAMESPACE),
    "get_checkpoints_request_rootver": GetCheckpointsRequest(NAMESPACE, 7),
    "get_request_v0": GetRequest(TREE, b"k"),
    "get_request_v1_sib": GetRequest(TREE, b"k", 1, True),
    "get_prefixes_request": GetPrefixesRequest(TREE, (b"a", b"b"), 10),
    "iterate_request": IterateRequest(TREE, b"k", 10, 1),
    "proof_empty_root_v0": Proof(0, (None,), EMPTY_HASH),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_encodings_are_those_of_the_reference(name: str, data: Path) -> None:
    expected = bytes.fromhex(vectors(data)[f"cbor-{name}"]["expected"]["hex"])
    message = MESSAGES[name]
    assert message.encode() == expected
    assert type(message).decode(expected) == message


@pytest.mark.parametrize(
    ("name", "log"), [("nil", None), ("empty", ()), ("insert_delete_empty", ((b"a", b"v"), (b"b", None), (b"", b"")))]
)
def test_write_logs_are_those_of_the_reference(
    name: str, log: tuple[tuple[bytes, bytes | None], ...], data: Path
) -> None:
    expected = bytes.fromhex(vectors(data)[f"cbor-writelog_{name}"]["expected"]["hex"])
    assert encode_write_log(log) == expected
    assert decode_write_log(expected) == log


def test_roots_and_checkpoints_hash_as_the_reference_does(data: Path) -> None:
    for case in reference_cases(data):
        root = OasisRoot.decode(bytes.fromhex(case["root_cbor"]))
        assert (root.namespace.hex(), root.version, root.root_type) == (case["ns"], case["version"], case["type"])
        assert root.encoded_hash.hex() == case["root_encoded_hash"]
        for checkpoint in case["checkpoints"]:
            metadata = Metadata.decode(bytes.fromhex(checkpoint["meta"]))
            metadata.check()
            assert metadata.encoded_hash.hex() == checkpoint["encoded_hash"]


def test_a_chunk_is_asked_for_by_its_digest() -> None:
    assert Metadata(ROOT, (EMPTY_HASH, DIGEST)).chunk(1) == ChunkMetadata(ROOT, 1, DIGEST)


def test_every_message_comes_back() -> None:
    others = [
        ProofResponse(Proof(1, (None, b"\2" + DIGEST), DIGEST)),
        GetDiffRequest(ROOT, ROOT),
        GetDiffRequest(ROOT, ROOT, SyncOptions(3, b"k")),
        SyncChunk(True, None),
        SyncChunk(False, ((b"k", None),)),
    ]
    for message in [*MESSAGES.values(), *others]:
        assert type(message).decode(message.encode()) == message


def test_a_diff_goes_from_a_root_to_the_same_version_or_the_next() -> None:
    def at(version: int, root_type: int = IO) -> OasisRoot:
        return OasisRoot(NAMESPACE, version, root_type, DIGEST)

    assert at(300).follows(ROOT)
    assert at(301).follows(ROOT)
    assert not at(302).follows(ROOT)
    assert not at(299).follows(ROOT)
    assert not at(300, 1).follows(ROOT)


def plain(message: Message) -> dict[str, object]:
    value: dict[str, object] = cbor.decode(message.encode(), size_max=1000)
    return value


BROKEN_ROOTS = {
    "a field too few": {"version": ...},
    "a field too many": {"extra": 1},
    "a short hash": {"hash": bytes(31)},
    "text for bytes": {"hash": "x" * 32},
    "a negative version": {"version": -1},
    "a version past 64 bits": {"version": 1 << 64},
    "true for a number": {"version": True},
    "a reserved flag": {"ns": b"\x20" + bytes(31)},
}


@pytest.mark.parametrize("name", BROKEN_ROOTS)
def test_a_broken_message_is_refused(name: str) -> None:
    changed = {key: value for key, value in (plain(ROOT) | BROKEN_ROOTS[name]).items() if value is not ...}
    with pytest.raises(MalformedProofError):
        OasisRoot.decode(cbor.encode(changed))


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (Proof(0, (None,), EMPTY_HASH), {"entries": b""}),
        (Proof(0, (None,), EMPTY_HASH), {"v": 0}),
        (SyncChunk(True, None), {"final": 1}),
        (SyncChunk(True, None), {"writelog": [[b"k"]]}),
        (SyncChunk(True, None), {"writelog": [[b"k", 1]]}),
        (GetDiffRequest(ROOT, ROOT), {"end_root": []}),
    ],
)
def test_a_broken_field_is_refused(message: Message, changes: dict[str, object]) -> None:
    with pytest.raises(MalformedProofError):
        type(message).decode(cbor.encode(plain(message) | changes))


def test_arrays_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proofs.oasis.fields.ARRAY_COUNT_MAX", 1)
    with pytest.raises(MalformedProofError):
        Proof.decode(Proof(0, (None, None), EMPTY_HASH).encode())


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data + b"\0",
        lambda data: data[:-1],
        lambda data: b"\xbf" + data[1:] + b"\xff",
        lambda data: b"\xc1" + data,
    ],
)
def test_other_encodings_are_refused(damage: object) -> None:
    with pytest.raises(MalformedProofError):
        OasisRoot.decode(damage(ROOT.encode()))  # type: ignore[operator]


def test_a_call_may_carry_fields_that_we_do_not_know() -> None:
    data = cbor.encode(plain(GetCheckpointsRequest(NAMESPACE)) | {"later": 1})
    assert GetCheckpointsRequest.decode(data, strict=False) == GetCheckpointsRequest(NAMESPACE)
    with pytest.raises(MalformedProofError):
        GetCheckpointsRequest.decode(data)


def test_go_writes_nil_slices_as_null() -> None:
    data = cbor.encode(plain(GetPrefixesRequest(TREE, (), 1)) | {"prefixes": None})
    assert GetPrefixesRequest.decode(data, strict=False).prefixes == ()


@pytest.mark.parametrize(
    "metadata",
    [Metadata(ROOT, (DIGEST,), 2), Metadata(ROOT, ()), Metadata(OasisRoot(NAMESPACE, 1, 3, DIGEST), (DIGEST,))],
)
def test_checkpoints_that_no_node_accepts(metadata: Metadata) -> None:
    with pytest.raises(MalformedProofError):
        metadata.check()
