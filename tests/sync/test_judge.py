"""Judge: the same bytes under every lie about them, and whose fault each is."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from proofs import LeafRun, get_kernel
from proofs.hashing import keccak256
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.chunk import encode_run_part
from sync.chunk_name import CODE_CHUNK
from sync.errors import InvalidChunkError, InvalidManifestError, PeerMisbehavedError, PeerUnavailableError
from sync.judge import ForgedChunkError, ForgedManifestError, Judge, VerifiedChunk
from sync.limits import Limits
from sync.manifest import CodeEntry, Cut, LeafEntry, Manifest
from sync.request import ChunkRequest, ListingRequest, ManifestRequest
from sync.wire import encode_listing
from tests.simnet import flip, forge
from tests.sync.states import SCHEMES, checkpoint

NO_CODE: frozenset[bytes] = frozenset()


@pytest.fixture(scope="module", params=SCHEMES)
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CheckpointStore, CheckpointInfo]:
    return checkpoint(request.param, tmp_path_factory.mktemp("store"), Cut(chunk_leaves=300))


@pytest.fixture
def store(published: tuple[CheckpointStore, CheckpointInfo]) -> CheckpointStore:
    return published[0]


@pytest.fixture
def info(published: tuple[CheckpointStore, CheckpointInfo]) -> CheckpointInfo:
    return published[1]


@pytest.fixture
def judge(info: CheckpointInfo) -> Judge:
    return Judge(info.root, Limits(), get_kernel())


def chunk_request(manifest: Manifest, index: int) -> ChunkRequest:
    entry: LeafEntry | CodeEntry = (*manifest.leaf_chunks, *manifest.code_chunks)[index]
    end = manifest.end(index) if isinstance(entry, LeafEntry) else None
    return ChunkRequest("p", 0.0, 2**20, 1.0, manifest.digest, index, entry, end)


def manifest_request(digest: bytes) -> ManifestRequest:
    return ManifestRequest("p", 0.0, 2**20, 1.0, digest)


def test_honest_answers(store: CheckpointStore, info: CheckpointInfo, judge: Judge) -> None:
    listing = judge.judge(ListingRequest("p", 0.0, 9, 1.0, 7), encode_listing([info]), code=NO_CODE)
    assert isinstance(listing.content, tuple)
    assert listing.content[0].digest == info.digest
    manifest = store.manifest(info.digest)
    assert judge.judge(manifest_request(info.digest), manifest.encoded, code=NO_CODE).content == manifest
    for index, entry in enumerate(manifest.leaf_chunks):
        chunk = VerifiedChunk(judge.judge(chunk_request(manifest, index), store.chunk(entry.digest), code=NO_CODE))
        assert len(chunk.run) == entry.leaf_count
        assert not chunk.is_code


def test_nonsense_proves_nothing(judge: Judge) -> None:
    with pytest.raises(PeerUnavailableError):
        judge.judge(ListingRequest("p", 0.0, 9, 1.0, 7), b"<html>", code=NO_CODE)


def test_other_manifest_bytes_are_the_senders_fault(store: CheckpointStore, info: CheckpointInfo, judge: Judge) -> None:
    encoded = store.manifest(info.digest).encoded
    with pytest.raises(InvalidManifestError) as caught:
        judge.judge(manifest_request(info.digest), flip(encoded, 50), code=NO_CODE)
    assert type(caught.value) is InvalidManifestError


@pytest.mark.parametrize("kind", ["kind", "namespace", "height", "hash", "scheme", "code", "bounds", "junk"])
def test_a_manifest_of_anything_else_is_forged(
    store: CheckpointStore, info: CheckpointInfo, judge: Judge, kind: str
) -> None:
    """No field of the Root comes from a peer. Tried: comparing only the root hashes lets four of these pass."""
    honest = store.manifest(info.digest)
    root = info.root
    forged = {
        "kind": lambda: replace(honest, root=replace(root, kind="io")),
        "namespace": lambda: replace(honest, root=replace(root, namespace=b"x")),
        "height": lambda: replace(honest, root=replace(root, height=root.height + 1)),
        "hash": lambda: replace(honest, root=replace(root, hash=bytes(32))),
        "scheme": lambda: replace(honest, root=replace(root, scheme="mpt" if root.scheme != "mpt" else "mkvs")),
        "code": lambda: replace(honest, code_chunks=(CodeEntry(b"z" * 32, 0, 4, bytes(32)),)),
        "bounds": lambda: replace(honest, leaf_chunks=honest.leaf_chunks[1:]),
        "junk": lambda: None,
    }[kind]()
    data = b"\x80" if forged is None else forged.encoded
    with pytest.raises(ForgedManifestError):
        judge.judge(manifest_request(sha256(data).digest()), data, code=NO_CODE)


def test_code_where_no_leaf_names_any_is_forged(store: CheckpointStore, info: CheckpointInfo, judge: Judge) -> None:
    if info.root.scheme == "ethereum":
        pytest.skip("leaves of ethereum name code")
    run = LeafRun([keccak256(b"c")], [b"c"]).encode()
    entry = CodeEntry(keccak256(b"c"), 1, len(run), sha256(run).digest())
    data = replace(store.manifest(info.digest), code_chunks=(entry,)).encoded
    with pytest.raises(ForgedManifestError):
        judge.judge(manifest_request(sha256(data).digest()), data, code=NO_CODE)


@pytest.mark.parametrize("at", [0, 1, 2, 4, 8, 40, -1])
def test_any_flipped_bit_is_the_senders_fault(
    store: CheckpointStore, info: CheckpointInfo, judge: Judge, at: int
) -> None:
    request = chunk_request(store.manifest(info.digest), 1)
    with pytest.raises(InvalidChunkError) as caught:
        judge.judge(request, flip(store.chunk(request.entry.digest), at), code=NO_CODE)
    assert type(caught.value) is InvalidChunkError
    assert caught.value.index == 1


def test_a_consistent_lie_is_the_manifests_fault(store: CheckpointStore, info: CheckpointInfo, judge: Judge) -> None:
    manifest, objects = forge(store, info.digest, proof=lambda data: flip(data, -1))
    request = chunk_request(manifest, 1)
    with pytest.raises(ForgedChunkError):
        judge.judge(request, objects[request.entry.digest], code=NO_CODE)


def test_a_chunk_of_another_range_is_the_manifests_fault(
    store: CheckpointStore, info: CheckpointInfo, judge: Judge
) -> None:
    """The chunk proves its own range; the manifest says that it ends elsewhere."""
    honest = chunk_request(store.manifest(info.digest), 1)
    with pytest.raises(ForgedChunkError):
        judge.judge(replace(honest, end=b"\xff"), store.chunk(honest.entry.digest), code=NO_CODE)


BLOBS = sorted((keccak256(blob), blob) for blob in (b"one", b"two", b"three"))


@pytest.mark.parametrize(
    ("blobs", "named", "error"),
    [
        (BLOBS, BLOBS, None),
        (BLOBS, BLOBS[:2], ForgedChunkError),
        ([(BLOBS[0][0], b"other"), *BLOBS[1:]], BLOBS, ForgedChunkError),
    ],
)
def test_code(
    judge: Judge,
    info: CheckpointInfo,
    blobs: list[tuple[bytes, bytes]],
    named: list[tuple[bytes, bytes]],
    error: type[PeerMisbehavedError] | None,
) -> None:
    """Exactly the code that leaves name, each under its own hash."""
    if info.root.scheme != "ethereum":
        pytest.skip(f"leaves of {info.root.scheme} name no code")
    run = LeafRun([key for key, _ in blobs], [blob for _, blob in blobs]).encode()
    entry = CodeEntry(blobs[0][0], len(blobs), len(run), sha256(run).digest())
    request = ChunkRequest("p", 0.0, 999, 1.0, bytes(32), 0, entry, None)
    code = frozenset(code_hash for code_hash, _ in named)
    if error is None:
        assert VerifiedChunk(judge.judge(request, encode_run_part(CODE_CHUNK, run), code=code)).is_code
    else:
        with pytest.raises(error):
            judge.judge(request, encode_run_part(CODE_CHUNK, run), code=code)
