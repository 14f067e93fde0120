"""Restores over real sockets: an honest endpoint, one whose disk rots, one that never answers, and kill -9."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flatdb import FlatDB
from flatdb.errors import IncompleteDatabaseError
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.limits import Limits
from sync.manifest import Cut
from sync.mirror import Mirror
from sync.peers import Verdict
from sync.restore import Report, Restore
from sync.restore import restore as restore_blocking
from sync.server import make_app, serving
from tests.faults import flip_bit, kill_after_lines
from tests.sync.states import checkpoint, state_of

LIMITS = Limits(stall_timeout_s=1.0, hedge_after_s=0.2, attempts_max=3)

CHILD = """
import asyncio, pathlib, sys
from sync.limits import Limits
from sync.restore import Restore
from sync.root import Root

async def main(root, to, chunk_count, peer):
    limits = Limits(chunks_in_flight_max=4)
    stored = 0
    async with Restore([peer], Root.parse(root), pathlib.Path(to), limits=limits) as running:
        async for event in running:
            stored += type(event).__name__ == "ChunkStored"
            if stored >= int(chunk_count):
                print(stored)
                sys.stdin.read()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def published(tmp_path: Path) -> tuple[CheckpointStore, CheckpointInfo]:
    return checkpoint("ethereum", tmp_path / "store", Cut(chunk_leaves=48))


@asynccontextmanager
async def silent_peer() -> AsyncIterator[str]:
    """Accepts connections and says nothing until they are closed."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def rotten_copy(store: CheckpointStore, folder: Path) -> CheckpointStore:
    """The same checkpoints; every chunk file has a flipped bit."""
    copy, info = checkpoint("ethereum", folder, Cut(chunk_leaves=48))
    assert copy.digests() == store.digests()
    for entry in copy.manifest(info.digest).leaf_chunks:
        path = copy.chunk_path(entry.digest)
        assert path is not None
        flip_bit(path, -1)
    return copy


async def restore(peers: list[str], info: CheckpointInfo, to: Path) -> Report:
    async with Restore(peers, info.root, to, limits=LIMITS) as running:
        async for _ in running:
            pass
    return running.report


def check(to: Path, info: CheckpointInfo) -> None:
    with Mirror.open(to) as mirror:
        assert dict(mirror.scan()) == dict(state_of("ethereum").state)
        assert mirror.claimed_root == info.root
        assert not list(mirror.check())


async def test_bad_peers_are_named(published: tuple[CheckpointStore, CheckpointInfo], tmp_path: Path) -> None:
    store, info = published
    rotten = rotten_copy(store, tmp_path / "rotten")
    async with (
        serving(make_app(rotten), "127.0.0.1", 0) as rotten_url,
        serving(make_app(store), "127.0.0.1", 0) as honest_url,
        silent_peer() as silent_url,
    ):
        report = await restore([silent_url, rotten_url, honest_url], info, tmp_path / "db")
    await asyncio.to_thread(check, tmp_path / "db", info)
    silent, bad, honest = report.peers
    assert silent.verdict in (Verdict.UNAVAILABLE, Verdict.IDLE)
    assert (bad.verdict, bad.chunks) == (Verdict.MISBEHAVED, 0)
    assert (honest.verdict, honest.chunks) == (Verdict.GOOD, info.chunk_count)


@pytest.mark.parametrize("chunk_count", [1, 7, pytest.param(15, marks=pytest.mark.slow)])
async def test_kill_9_loses_only_what_was_in_flight(
    published: tuple[CheckpointStore, CheckpointInfo], tmp_path: Path, chunk_count: int
) -> None:
    """Killed twice after so many chunks, with others in flight; then finished here, and every leaf compared.

    Tried: with the record written before the leaves, the final fold finds leaves missing.
    """
    store, info = published
    to = tmp_path / "db"
    async with serving(make_app(store), "127.0.0.1", 0) as url:
        for _ in range(2):
            arguments = (str(info.root), str(to), str(chunk_count), url)
            await asyncio.to_thread(kill_after_lines, CHILD, *arguments, line_count=1)
            with pytest.raises(IncompleteDatabaseError):
                FlatDB.open(to)
        report = await restore([url], info, to)
    await asyncio.to_thread(check, to, info)
    assert report.ranges_before >= 2 * chunk_count
    assert report.chunks_stored == info.chunk_count - report.ranges_before


async def test_the_blocking_call(published: tuple[CheckpointStore, CheckpointInfo], tmp_path: Path) -> None:
    """`restore` is the same restore, for callers without a loop; it refuses names that are no peers at once."""
    store, info = published
    async with serving(make_app(store), "127.0.0.1", 0) as url:
        report = await asyncio.to_thread(restore_blocking, [url], info.root, tmp_path / "db", limits=LIMITS)
    await asyncio.to_thread(check, tmp_path / "db", info)
    assert report.chunks_stored == info.chunk_count
    for peers in ([], ["localhost:80"], [url, url]):
        with pytest.raises(ValueError):
            restore_blocking(peers, info.root, tmp_path / "other")
    assert not (tmp_path / "other").exists()
