"""The storage service against the node's own codec, client and server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from flatdb import WriteLog
from proofs import cbor
from proofs.oasis.fields import encode_fields
from proofs.oasis.messages import (
    STATE,
    ChunkMetadata,
    GetCheckpointsRequest,
    GetDiffRequest,
    GetPrefixesRequest,
    GetRequest,
    IterateRequest,
    Metadata,
    OasisRoot,
    ProofResponse,
    TreeID,
)
from proofs.oasis.reads import sync_get, sync_get_prefixes, sync_iterate
from sidecar.oasis_backend import OasisBackend
from sidecar.oasis_status import CHUNK_NOT_FOUND, WRITE_LOG_NOT_FOUND, OasisCallError
from sidecar.sources.oasis_grpc import OasisClient, OasisServer
from sync.oasis.create import Chunking, create_checkpoint
from sync.oasis.store import OasisStore
from tests.interop.program import Oasis, RefusedError
from tests.oasis_cases import NAMESPACE, random_state, root_of, tree_of

pytestmark = [pytest.mark.slow, pytest.mark.interop]
CHUNKING = Chunking(chunk_bytes=4096, threads=3)


async def test_our_client_at_a_node(oasis: Oasis, rng: random.Random, tmp_path: Path) -> None:
    pairs = random_state(rng, "uniform", 300)
    db = oasis("open", namespace=NAMESPACE, on_disk=True)["db"]
    roots = []
    old: bytes | None = None
    writes = [[*map(list, pairs)], [[pairs[0][0], None], [b"new", b""], [pairs[5][0], b"other"]]]
    for version, ops in enumerate(writes, 1):
        old = bytes.fromhex(oasis("commit", db=db, old_root=old, version=version, type=STATE, ops=ops)["root"])
        oasis("finalize", db=db, roots=[old])
        roots.append(OasisRoot.decode(old))
    client = OasisClient(oasis("serve", db=db, socket=tmp_path / "node.sock")["address"])
    root, tree = roots[0], tree_of(pairs)
    where = TreeID(root, root.hash)
    get, iterate = GetRequest(where, pairs[3][0], 1, True), IterateRequest(where, b"", 20)
    prefixes = GetPrefixesRequest(where, (b"\1", b"\2"), 100)
    assert await client.sync_get(get) == sync_get(tree, get)
    assert await client.sync_iterate(iterate) == sync_iterate(tree, iterate)
    assert await client.sync_get_prefixes(prefixes) == sync_get_prefixes(tree, prefixes)

    diff = await client.get_diff(GetDiffRequest(roots[0], roots[1]))
    assert sorted(diff) == sorted((key, value) for key, value in writes[1])
    with pytest.raises(OasisCallError) as caught:
        await client.get_diff(GetDiffRequest(roots[1], replace(roots[1], version=3, hash=bytes(32))))
    assert caught.value.module == WRITE_LOG_NOT_FOUND[0]

    assert await client.get_checkpoints(GetCheckpointsRequest(NAMESPACE)) == []
    with pytest.raises(OasisCallError) as caught:
        await client.get_checkpoint_chunk(ChunkMetadata(root, 0, bytes(32)), bytes_max=100)
    assert caught.value.kind == CHUNK_NOT_FOUND
    await client.close()


@pytest.fixture
async def address(tmp_path: Path, rng: random.Random) -> AsyncIterator[str]:
    backend = OasisBackend(checkpoint_of(tmp_path), lambda root: LOG if root == NEXT else None)
    backend.add_tree(ROOT, tree_of(PAIRS, stub_leaves=16))
    server = OasisServer(backend)
    (bound,) = await server.start(f"unix:{tmp_path}/ours.sock")
    yield bound
    await server.stop(0)


PAIRS = random_state(random.Random(3), "modules", 400)
ROOT = root_of(PAIRS, version=4)
NEXT = replace(ROOT, version=5, hash=b"n" * 32)
LOG = WriteLog(height=5, writes=tuple((b"%03d" % index, None if index % 3 else b"x" * index) for index in range(33)))


def checkpoint_of(tmp_path: Path) -> OasisStore:
    store = OasisStore(tmp_path / "store")
    create_checkpoint(lambda: PAIRS, ROOT, store, chunking=CHUNKING)
    return store


async def test_a_node_s_client_at_our_service(address: str, oasis: Oasis, tmp_path: Path) -> None:
    """Every method with the real codec, called from a thread while our loop answers."""

    async def call(method: str, request: bytes) -> dict[str, str]:
        return await asyncio.to_thread(oasis, "call", address=address, method=method, request=request)

    tree, where = tree_of(PAIRS), TreeID(ROOT, ROOT.hash)
    get, iterate = GetRequest(where, PAIRS[7][0], 1, True), IterateRequest(where, b"\1", 50, 1)
    prefixes = GetPrefixesRequest(where, (b"\1", b"\2"), 100)
    for method, request, proof in (
        ("SyncGet", get, sync_get(tree, get)),
        ("SyncIterate", iterate, sync_iterate(tree, iterate)),
        ("SyncGetPrefixes", prefixes, sync_get_prefixes(tree, prefixes)),
    ):
        assert (await call(method, request.encode()))["response"] == ProofResponse(proof).encode().hex()

    entries = (await call("GetDiff", GetDiffRequest(ROOT, NEXT).encode()))["writelog"]
    assert entries == [[key.hex(), None if value is None else value.hex()] for key, value in LOG.writes]

    store = OasisStore(tmp_path / "store")
    metadata = store.metadata(ROOT)
    listed = (await call("GetCheckpoints", GetCheckpointsRequest(NAMESPACE).encode()))["response"]
    assert listed == cbor.encode([encode_fields(Metadata.FIELDS, metadata)]).hex()
    nothing = await call("GetCheckpoints", GetCheckpointsRequest(NAMESPACE, 77).encode())
    assert nothing["response"] == "f6"
    for index in range(len(metadata.chunks)):
        chunk = metadata.chunk(index)
        assert (await call("GetCheckpointChunk", chunk.encode()))["chunk"] == store.chunk(chunk).hex()

    with pytest.raises(RefusedError, match="no chunk 0"):
        await call("GetCheckpointChunk", replace(metadata.chunk(0), digest=bytes(32)).encode())
    with pytest.raises(RefusedError, match="mkvs: root not found"):  # the node's own error, by our module and code
        await call("SyncGet", replace(get, tree=TreeID(NEXT, NEXT.hash)).encode())
