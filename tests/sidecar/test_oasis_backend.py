"""Answers of the storage service: what is known, and the node's own errors for what is not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from flatdb import FlatDB, Identity, WriteLog
from proofs.oasis.messages import (
    GetCheckpointsRequest,
    GetDiffRequest,
    GetPrefixesRequest,
    GetRequest,
    IterateRequest,
    OasisRoot,
    TreeID,
)
from proofs.oasis.proof import verify
from proofs.oasis.reads import sync_get, sync_get_prefixes, sync_iterate
from sidecar.oasis_backend import PREFIXES_MAX, TREES_KEPT, OasisBackend
from sidecar.oasis_status import (
    CHUNK_NOT_FOUND,
    LIMIT_REACHED,
    MUST_FOLLOW,
    ROOT_NOT_FOUND,
    UNSUPPORTED,
    WRITE_LOG_NOT_FOUND,
    OasisCallError,
)
from sync.oasis.create import create_checkpoint
from sync.oasis.store import OasisStore
from tests.oasis_cases import NAMESPACE, numbered, root_of, tree_of

PAIRS = numbered(3000)
ROOT = root_of(PAIRS, version=5)
WHERE = TreeID(ROOT, ROOT.hash)


@pytest.fixture
def store(tmp_path: Path) -> OasisStore:
    return OasisStore(tmp_path / "store")


def test_reads_from_a_mirror(tmp_path: Path, store: OasisStore) -> None:
    """The spine reads back what it folded away; answers are those of the whole tree."""
    backend, whole = OasisBackend(store), tree_of(PAIRS)
    with FlatDB.create(tmp_path / "db", Identity("mkvs", "state", NAMESPACE)) as db:
        db.apply(WriteLog(height=5, root=ROOT.hash, writes=tuple(PAIRS)))
        with db.freeze() as view:
            backend.add_state(ROOT, view)
            for version in (0, 1):
                get = GetRequest(WHERE, b"key 77", version, True)
                iterate = IterateRequest(WHERE, b"key 99", 20, version)
                prefixes = GetPrefixesRequest(WHERE, (b"key 12", b"key 29"), 2000, version)
                assert backend.sync_get(get) == sync_get(whole, get)
                assert backend.sync_iterate(iterate) == sync_iterate(whole, iterate)
                assert backend.sync_get_prefixes(prefixes) == sync_get_prefixes(whole, prefixes)
            assert verify(ROOT.hash, backend.sync_get(GetRequest(WHERE, b"key 5"))).get(b"key 5") == b"value 5"
        with db.freeze() as view, pytest.raises(OasisCallError) as caught:
            backend.add_state(replace(ROOT, hash=bytes(32)), view)
    assert caught.value.kind == ROOT_NOT_FOUND


def test_reads_elsewhere(store: OasisStore) -> None:
    backend = OasisBackend(store)
    backend.add_tree(ROOT, tree_of(PAIRS))
    other = TreeID(replace(ROOT, version=6), ROOT.hash)
    with pytest.raises(OasisCallError) as caught:
        backend.sync_get(GetRequest(other, b"k"))
    assert caught.value.kind == ROOT_NOT_FOUND
    with pytest.raises(OasisCallError) as caught:
        backend.sync_get(GetRequest(WHERE, b"k", 2))
    assert caught.value.kind == UNSUPPORTED
    for version in range(6, 6 + TREES_KEPT):
        backend.add_tree(replace(ROOT, version=version), tree_of(PAIRS))
    with pytest.raises(OasisCallError):
        backend.sync_get(GetRequest(WHERE, b"k"))


def test_questions_that_are_too_large(store: OasisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = OasisBackend(store)
    backend.add_tree(ROOT, tree_of(PAIRS))
    monkeypatch.setattr("proofs.oasis.reads.MESSAGE_BYTES_MAX", 1000)
    for ask in (
        lambda: backend.sync_iterate(IterateRequest(WHERE, b"", 500)),
        lambda: backend.sync_get_prefixes(GetPrefixesRequest(WHERE, (b"k",) * (PREFIXES_MAX + 1), 1)),
    ):
        with pytest.raises(OasisCallError) as caught:
            ask()
        assert caught.value.kind == LIMIT_REACHED


def test_threads_take_turns(store: OasisStore) -> None:
    backend = OasisBackend(store)
    tree = tree_of(PAIRS, stub_leaves=16)
    backend.add_tree(ROOT, tree)
    whole = tree_of(PAIRS)
    requests = [GetRequest(WHERE, key) for key, _ in PAIRS[::10]]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(backend.sync_get, requests)) == [sync_get(whole, request) for request in requests]


def test_diffs(store: OasisStore) -> None:
    new = OasisRoot(NAMESPACE, 6, ROOT.root_type, b"n" * 32)
    logs = {
        new: WriteLog(height=6, parent_root=ROOT.hash, root=new.hash, writes=((b"a", None), (b"b", b""))),
        replace(new, hash=b"c" * 32): WriteLog(height=6, clear=(b"p",)),
        replace(new, hash=b"p" * 32): WriteLog(height=6, parent_root=bytes(32)),
    }
    backend = OasisBackend(store, logs.get)
    assert backend.get_diff(GetDiffRequest(ROOT, new)) == [(b"a", None), (b"b", b"")]
    assert backend.get_diff(GetDiffRequest(ROOT, replace(ROOT, version=6))) == []
    for end, kind in (
        (replace(new, version=8), MUST_FOLLOW),
        (replace(new, hash=bytes(32)), WRITE_LOG_NOT_FOUND),
        (replace(new, hash=b"c" * 32), WRITE_LOG_NOT_FOUND),
        (replace(new, hash=b"p" * 32), WRITE_LOG_NOT_FOUND),
    ):
        with pytest.raises(OasisCallError) as caught:
            backend.get_diff(GetDiffRequest(ROOT, end))
        assert caught.value.kind == kind


def test_checkpoints(store: OasisStore) -> None:
    metadata = create_checkpoint(lambda: PAIRS, ROOT, store)
    backend = OasisBackend(store)
    assert backend.get_checkpoints(GetCheckpointsRequest(NAMESPACE)) == [metadata]
    assert backend.get_checkpoints(GetCheckpointsRequest(NAMESPACE, 5)) == [metadata]
    assert backend.get_checkpoints(GetCheckpointsRequest(NAMESPACE, 6)) == []
    assert backend.get_checkpoints(GetCheckpointsRequest(bytes(32))) == []
    assert backend.get_checkpoints(GetCheckpointsRequest(NAMESPACE, version=2)) == []
    assert backend.get_checkpoint_chunk(metadata.chunk(0)) == store.chunk(metadata.chunk(0))
    with pytest.raises(OasisCallError) as caught:
        backend.get_checkpoint_chunk(replace(metadata.chunk(0), digest=bytes(32)))
    assert caught.value.kind == CHUNK_NOT_FOUND
