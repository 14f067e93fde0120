"""The storage service over a real socket: both ends, the wire's pieces, and errors that keep their kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from flatdb import WriteLog
from proofs import cbor
from proofs.oasis.messages import (
    ChunkMetadata,
    GetCheckpointsRequest,
    GetDiffRequest,
    GetPrefixesRequest,
    GetRequest,
    IterateRequest,
    SyncChunk,
    SyncOptions,
    TreeID,
)
from proofs.oasis.reads import sync_get, sync_get_prefixes, sync_iterate
from proofs.oasis.runtime import AnnotatedBlock, Block, GetBlockRequest
from sidecar.errors import SourceUnavailableError
from sidecar.oasis_backend import OasisBackend
from sidecar.oasis_status import CHUNK_NOT_FOUND, ROOT_NOT_FOUND, UNSUPPORTED, OasisCallError
from sidecar.sources.oasis_grpc import (
    DIFF_ENTRIES,
    RUNTIME,
    SLICE_BYTES,
    STORAGE,
    OasisClient,
    OasisServer,
    diff_pieces,
)
from sync.oasis.create import create_checkpoint
from sync.oasis.store import OasisStore
from tests.oasis_cases import NAMESPACE, root_of, tree_of
from tests.proofs.oasis.test_runtime import ZERO

PAIRS = [(b"key %d" % index, bytes([index % 251]) * 200) for index in range(100, 900)]
ROOT = root_of(PAIRS, version=5)
WHERE = TreeID(ROOT, ROOT.hash)
NEXT = replace(ROOT, version=6, hash=b"n" * 32)
LOG = WriteLog(height=6, writes=tuple((b"%02d" % index, None if index % 7 else b"") for index in range(25)))


@pytest.fixture
def store(tmp_path: Path) -> OasisStore:
    found = OasisStore(tmp_path / "store")
    create_checkpoint(lambda: PAIRS, ROOT, found)
    return found


@pytest.fixture
async def addresses(tmp_path: Path, store: OasisStore) -> AsyncIterator[list[str]]:
    backend = OasisBackend(store, lambda root: LOG if root == NEXT else None)
    backend.add_tree(ROOT, tree_of(PAIRS))
    server = OasisServer(backend)
    yield await server.start(f"unix:{tmp_path}/node.sock", "127.0.0.1:0")
    await server.stop(0)


@pytest.fixture(params=[0, 1], ids=["unix", "tcp"])
async def client(request: pytest.FixtureRequest, addresses: list[str]) -> AsyncIterator[OasisClient]:
    found = OasisClient(addresses[request.param])
    yield found
    await found.close()


async def test_every_method(client: OasisClient, store: OasisStore) -> None:
    tree = tree_of(PAIRS)
    get = GetRequest(WHERE, b"key 500", 1, True)
    iterate, prefixes = IterateRequest(WHERE, b"key 3", 40), GetPrefixesRequest(WHERE, (b"key 8",), 1000)
    assert await client.sync_get(get) == sync_get(tree, get)
    assert await client.sync_iterate(iterate) == sync_iterate(tree, iterate)
    assert await client.sync_get_prefixes(prefixes) == sync_get_prefixes(tree, prefixes)
    assert await client.get_diff(GetDiffRequest(ROOT, NEXT)) == list(LOG.writes)
    (metadata,) = await client.get_checkpoints(GetCheckpointsRequest(NAMESPACE))
    assert metadata == store.metadata(ROOT)
    assert await client.get_checkpoints(GetCheckpointsRequest(NAMESPACE, 7)) == []
    chunk = metadata.chunk(0)
    data = store.chunk(chunk)
    assert len(data) < SLICE_BYTES or len(data) % SLICE_BYTES
    assert await client.get_checkpoint_chunk(chunk, bytes_max=len(data)) == data


async def test_errors_keep_their_kind(client: OasisClient, store: OasisStore) -> None:
    elsewhere = TreeID(NEXT, NEXT.hash)
    with pytest.raises(OasisCallError) as caught:
        await client.sync_get(GetRequest(elsewhere, b"k"))
    assert caught.value.kind == ROOT_NOT_FOUND
    with pytest.raises(OasisCallError) as caught:
        await client.get_checkpoint_chunk(replace(store.metadata(ROOT).chunk(0), index=9), bytes_max=1)
    assert caught.value.kind == CHUNK_NOT_FOUND
    with pytest.raises(OasisCallError) as caught:
        await client.sync_iterate(IterateRequest(WHERE, b"", 0), service=RUNTIME)
    assert caught.value.kind == UNSUPPORTED


async def test_a_chunk_past_the_bound_is_refused(client: OasisClient, store: OasisStore) -> None:
    with pytest.raises(OasisCallError):
        await client.get_checkpoint_chunk(store.metadata(ROOT).chunk(0), bytes_max=10)


async def test_requests_that_are_none(addresses: list[str]) -> None:
    async with aio.insecure_channel(addresses[0]) as channel:
        with pytest.raises(aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{STORAGE}/SyncGet")(b"\xf6")
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(aio.AioRpcError) as caught:
            async for _ in channel.unary_stream(f"/{STORAGE}/GetDiff")(b""):
                pass
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_nobody_there(tmp_path: Path) -> None:
    client = OasisClient(f"unix:{tmp_path}/none.sock")
    with pytest.raises(SourceUnavailableError):
        await client.get_checkpoints(GetCheckpointsRequest(NAMESPACE))
    await client.close()


async def test_an_address_that_cannot_be_had(store: OasisStore, tmp_path: Path) -> None:
    server = OasisServer(OasisBackend(store))
    with pytest.raises(SourceUnavailableError):
        await server.start(f"unix:{tmp_path}/no/such/folder/node.sock")
    await server.stop(0)


def request(**options: Any) -> GetDiffRequest:
    return GetDiffRequest(ROOT, NEXT, SyncOptions(**options))


@pytest.mark.parametrize("count", [0, 1, DIFF_ENTRIES, 25])
def test_pieces_of_a_diff(count: int) -> None:
    log = list(LOG.writes[:count])
    pieces = diff_pieces(log, request())
    assert [entry for piece in pieces for entry in piece.write_log or ()] == log
    assert [piece.final for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(piece.write_log or ()) <= DIFF_ENTRIES for piece in pieces)


def test_a_diff_from_an_offset_and_to_a_limit() -> None:
    log = list(LOG.writes)
    offset = log[4][0]
    assert diff_pieces(log, request(offset_key=offset))[0].write_log == tuple(log[5:15])
    assert diff_pieces(log, request(offset_key=b"none")) == [SyncChunk(True, None)]
    cut = diff_pieces(log, request(limit=12))
    assert [entry for piece in cut for entry in piece.write_log or ()] == log[:12]
    assert not cut[-1].final
    assert diff_pieces(log, request(limit=26))[-1].final


BLOCK = Block(replace(ZERO, namespace=NAMESPACE, round=9))


class Node:
    """A node that answers with given bytes, by method."""

    def __init__(self) -> None:
        self.unary = {
            f"/{RUNTIME}/GetBlock": BLOCK.encode(),
            f"/{RUNTIME}/GetLastRetainedBlock": BLOCK.encode(),
            f"/{STORAGE}/GetCheckpoints": b"\x01",
            f"/{STORAGE}/SyncGet": b"\xa0",
        }
        self.streams = {
            f"/{RUNTIME}/WatchBlocks": [AnnotatedBlock(BLOCK, 3).encode()],
            f"/{STORAGE}/GetDiff": [SyncChunk(False, ((b"k", None),)).encode()],
            f"/{STORAGE}/GetCheckpointChunk": [cbor.encode("text")],
        }

    def service(self, call: grpc.HandlerCallDetails) -> Any:
        async def answer(_data: bytes, _context: object) -> bytes:
            return self.unary[call.method]

        async def stream(_data: bytes, _context: object) -> AsyncIterator[bytes]:
            for message in self.streams[call.method]:
                yield message

        if call.method in self.unary:
            return grpc.unary_unary_rpc_method_handler(answer)
        return grpc.unary_stream_rpc_method_handler(stream)


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[OasisClient]:
    """A client of a node that answers, and of which much is no answer."""
    server, node = aio.server(), Node()

    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
            return node.service(handler_call_details)

    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port(f"unix:{tmp_path}/odd.sock")
    await server.start()
    client = OasisClient(f"unix:{tmp_path}/odd.sock")
    yield client
    await client.close()
    await server.stop(0)


async def test_blocks_of_a_runtime(odd: OasisClient) -> None:
    assert [block async for block in odd.watch_blocks(NAMESPACE)] == [AnnotatedBlock(BLOCK, 3)]
    assert await odd.get_block(GetBlockRequest(NAMESPACE, 9)) == BLOCK
    assert await odd.get_last_retained_block(NAMESPACE) == BLOCK


async def test_answers_that_are_none(odd: OasisClient) -> None:
    with pytest.raises(OasisCallError):
        await odd.sync_get(GetRequest(WHERE, b"k"))
    with pytest.raises(OasisCallError):
        await odd.get_checkpoints(GetCheckpointsRequest(NAMESPACE))
    with pytest.raises(OasisCallError):
        await odd.get_checkpoint_chunk(ChunkMetadata(ROOT, 0, bytes(32)), bytes_max=100)
    with pytest.raises(SourceUnavailableError):  # ended without its final piece
        await odd.get_diff(GetDiffRequest(ROOT, NEXT))
    assert await odd.get_diff(GetDiffRequest(ROOT, NEXT, SyncOptions(limit=1))) == [(b"k", None)]
