"""Restores from a storage service: the first checkpoint that proves itself, or a word about each that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from flatdb import FlatDB
from proofs.hashing import sha512_256
from proofs.oasis.messages import ChunkMetadata, GetCheckpointsRequest, Metadata
from sidecar.errors import SourceUnavailableError
from sidecar.oasis_backend import OasisBackend
from sidecar.sources.oasis_grpc import OasisClient, OasisServer
from sidecar.sources.oasis_restore import restore_from_endpoint
from sync.errors import NoPeersLeftError
from sync.oasis.create import Chunking, create_checkpoint
from sync.oasis.restore import OasisRestore
from sync.oasis.restored import RestoredMirror
from sync.oasis.store import OasisStore
from tests.oasis_cases import numbered, root_of
from tests.sync.oasis.test_restore import chunk_of

PAIRS = numbered(300)
ROOT = root_of(PAIRS, version=9)
BAD = chunk_of([b"\2" + ROOT.hash])
BAD_METADATA = Metadata(ROOT, (sha512_256(BAD),))


class Endpoint:
    """Offers a checkpoint that proves nothing, then those of a store."""

    address = "endpoint"

    def __init__(self, store: OasisStore) -> None:
        self.backend = OasisBackend(store)

    async def get_checkpoints(self, request: GetCheckpointsRequest) -> list[Metadata]:
        return [BAD_METADATA, *self.backend.get_checkpoints(request)]

    async def get_checkpoint_chunk(self, request: ChunkMetadata, *, bytes_max: int) -> bytes:
        return BAD if request.digest == BAD_METADATA.chunks[0] else self.backend.get_checkpoint_chunk(request)


@pytest.fixture
def store(tmp_path: Path) -> OasisStore:
    found = OasisStore(tmp_path / "store")
    create_checkpoint(lambda: PAIRS, ROOT, found, chunking=Chunking(chunk_bytes=2000, threads=3))
    return found


async def test_over_the_wire(store: OasisStore, tmp_path: Path) -> None:
    server = OasisServer(OasisBackend(store))
    (address,) = await server.start("127.0.0.1:0")
    client = OasisClient(address)
    record = await restore_from_endpoint(client, ROOT, tmp_path / "db")
    await client.close()
    await server.stop(0)
    assert (record.height, record.root, record.verified) == (9, ROOT.hash, True)
    with FlatDB.open(tmp_path / "db") as db:
        assert list(db.scan()) == PAIRS


async def test_a_checkpoint_that_proves_nothing_is_given_up(store: OasisStore, tmp_path: Path) -> None:
    await restore_from_endpoint(Endpoint(store), ROOT, tmp_path / "db")
    with FlatDB.open(tmp_path / "db") as db:
        assert list(db.scan()) == PAIRS


async def test_none_is_left(tmp_path: Path) -> None:
    endpoint = Endpoint(OasisStore(tmp_path / "empty"))
    with pytest.raises(NoPeersLeftError) as caught:
        await restore_from_endpoint(endpoint, ROOT, tmp_path / "db")
    assert len(caught.value.peers) == 1
    with pytest.raises(NoPeersLeftError) as caught:
        await restore_from_endpoint(endpoint, root_of(PAIRS, version=10), tmp_path / "other")
    assert list(caught.value.peers) == ["endpoint"]


async def test_wrong_bytes_stop_it_and_lose_nothing(store: OasisStore, tmp_path: Path) -> None:
    class Damaged(Endpoint):
        async def get_checkpoints(self, request: GetCheckpointsRequest) -> list[Metadata]:
            return self.backend.get_checkpoints(request)

        async def get_checkpoint_chunk(self, request: ChunkMetadata, *, bytes_max: int) -> bytes:
            data = await super().get_checkpoint_chunk(request, bytes_max=bytes_max)
            return data if request.index < 2 else data[:-1]

    with pytest.raises(SourceUnavailableError):
        await restore_from_endpoint(Damaged(store), ROOT, tmp_path / "db")
    restore = OasisRestore(ROOT, store.metadata(ROOT))
    with RestoredMirror(tmp_path / "db", restore):
        assert not restore.missing & {0, 1}
