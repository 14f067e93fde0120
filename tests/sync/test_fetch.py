"""HTTPFetcher against a server that answers byte by byte what each test scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sync.errors import LimitExceededError, PeerError, PeerRefusedError, PeerUnavailableError
from sync.fetch import HTTPFetcher, base_url
from sync.limits import Limits
from sync.manifest import CodeEntry
from sync.peers import SlowPeerError
from sync.request import ChunkRequest, ListingRequest, ManifestRequest

LIMITS = Limits(stall_timeout_s=0.2, connect_timeout_s=1.0)
TAG = '"tag"'
BODY = bytes(range(200)) * 5

Script = list[bytes | float]
"""Bytes to send, and seconds to be silent for; then the connection is closed."""


class Server:
    """Answers each request with the next script; `requests` are the heads that came."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.requests: list[str] = []
        self.url = ""
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            for part in self.scripts.pop(0):
                if isinstance(part, bytes):
                    writer.write(part)
                    await writer.drain()
                elif await self._is_gone(reader, part):
                    break
        except ConnectionError:
            pass
        finally:
            writer.close()
            self.ended.set()

    async def _is_gone(self, reader: asyncio.StreamReader, silent_s: float) -> bool:
        """Say nothing for a while, or until the client hangs up."""
        try:
            await asyncio.wait_for(reader.read(), silent_s)
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[tuple[HTTPFetcher, Server]]:
    server = Server(*scripts)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    fetcher = HTTPFetcher(LIMITS)
    try:
        async with listening:
            yield fetcher, server
    finally:
        await fetcher.close()


def ok(body: bytes = BODY, *, status: str = "200 OK", size: int | None = None, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if size is None else size}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunk(server: Server, **changes: Any) -> ChunkRequest:
    entry = CodeEntry(bytes(32), 1, 1000, bytes(32))
    request = ChunkRequest(server.url, 0.0, 1000, 5.0, bytes(32), 0, entry, None)
    return replace(request, **changes)


async def fails(fetcher: HTTPFetcher, request: ChunkRequest) -> PeerError:
    with pytest.raises(PeerError) as caught:
        await fetcher.fetch(request)
    assert caught.value.peer == request.peer
    return caught.value


async def test_each_question_has_its_path() -> None:
    async with serving([ok()], [ok()], [ok()]) as (fetcher, server):
        digest = bytes([7]) * 32
        assert await fetcher.fetch(ListingRequest(server.url, 0.0, 1000, 5.0, 12)) == BODY
        await fetcher.fetch(ManifestRequest(server.url, 0.0, 1000, 5.0, digest))
        request = chunk(server)
        await fetcher.fetch(request)
        lines = [head.partition(" HTTP")[0] for head in server.requests]
        assert lines == [
            "GET /v1/checkpoints?height=12",
            f"GET /v1/checkpoints/{digest.hex()}",
            f"GET /v1/chunks/{request.entry.digest.hex()}",
        ]
        assert all("accept-encoding: identity" in head.lower() for head in server.requests)


async def test_the_answer_may_have_exactly_its_bound() -> None:
    async with serving([ok()]) as (fetcher, server):
        assert await fetcher.fetch(chunk(server, size_max=len(BODY))) == BODY


@pytest.mark.parametrize("announced", [True, False])
async def test_more_than_the_bound_is_not_read(announced: bool) -> None:
    """Announced: refused before a byte of it is read. Not announced: refused at the bound, and not at the end."""
    endless: Script = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", *([BODY] * 500), 60.0]
    script: Script = [ok(b"", size=10**12), 60.0] if announced else endless
    async with serving(script) as (fetcher, server):
        error = await fails(fetcher, chunk(server))
        assert isinstance(error, LimitExceededError)
        assert error.seen > 1000


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("404 Not Found", PeerRefusedError),
        ("429 Too Many Requests", PeerRefusedError),
        ("301 Moved", PeerRefusedError),
        ("206 Partial Content", PeerRefusedError),
        ("500 Oops", PeerUnavailableError),
        ("503 Busy", PeerUnavailableError),
    ],
)
async def test_statuses(status: str, kind: type[PeerError]) -> None:
    """A redirect is not followed: Location may name anything, this machine's own services too."""
    script: Script = [ok(status=status, Retry_After="5", Location="http://127.0.0.1:1/")]
    async with serving(script) as (fetcher, server):
        error = await fails(fetcher, chunk(server))
        assert isinstance(error, kind)
        if isinstance(error, PeerRefusedError):
            assert error.retry_after_s == 5.0
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "script",
    [
        [],
        [b"\x00\x01 nonsense\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
        [ok(size=2000)],
    ],
    ids=["closes", "nonsense", "long header", "negative size", "bad chunking", "breaks off"],
)
async def test_what_is_no_answer(script: Script) -> None:
    """Every foreign exception is this peer's error."""
    async with serving(script) as (fetcher, server):
        assert isinstance(await fails(fetcher, chunk(server, size_max=5000)), PeerUnavailableError)


async def test_nobody_listens() -> None:
    async with serving() as (fetcher, server):
        pass
    fetcher = HTTPFetcher(LIMITS)
    assert isinstance(await fails(fetcher, chunk(server)), PeerUnavailableError)
    await fetcher.close()
    await fetcher.close()


async def test_a_stall_is_noticed() -> None:
    async with serving([ok(BODY[:10], size=1000), 60.0]) as (fetcher, server):
        error = await fails(fetcher, chunk(server))
        assert type(error) is PeerUnavailableError


async def test_a_trickle_is_noticed() -> None:
    """Each byte comes in time; the whole does not."""
    trickle: Script = [ok(b"", size=1000), *([b"x", 0.02] * 100)]
    async with serving(trickle) as (fetcher, server):
        assert isinstance(await fails(fetcher, chunk(server, deadline_s=0.3)), SlowPeerError)


async def test_it_never_decompresses() -> None:
    """Fails if an encoded body is expanded: a few bytes could be anything once expanded."""
    async with serving([ok(b"\x1f\x8b junk", Content_Encoding="gzip")]) as (fetcher, server):
        assert isinstance(await fails(fetcher, chunk(server)), PeerUnavailableError)


# A body that broke off.


def broken(tag: str = TAG) -> Script:
    return [ok(BODY[:300], size=1000, ETag=tag)]


def rest(*, start: int = 300, tag: str = TAG, said: str | None = None) -> Script:
    content_range = said or f"bytes {start}-999/1000"
    return [ok(BODY[start:], status="206 Partial Content", ETag=tag, Content_Range=content_range)]


async def test_it_is_continued_at_the_same_peer_under_the_same_tag() -> None:
    async with serving(broken(), rest()) as (fetcher, server):
        await fails(fetcher, chunk(server))
        assert await fetcher.fetch(chunk(server)) == BODY
        assert "Range: bytes=300-" in server.requests[1]
        assert f"If-Range: {TAG}" in server.requests[1]


async def test_other_bytes_begin_anew() -> None:
    """The peer has other stored bytes by now and sends all of them: nothing of the first is kept."""
    async with serving([ok(b"x" * 300, size=1000, ETag=TAG)], [ok(BODY, ETag='"new"')]) as (fetcher, server):
        await fails(fetcher, chunk(server))
        assert await fetcher.fetch(chunk(server)) == BODY


@pytest.mark.parametrize(
    "second",
    [
        rest(tag='"other"'),
        rest(start=301),
        rest(said="bytes 0-699/700"),
        rest(said="nonsense"),
        [ok(b"", status="416 Range Not Satisfiable")],
    ],
    ids=["other tag", "gap", "overlap", "nonsense", "refused"],
)
async def test_a_wrong_continuation_is_thrown_away(second: Script) -> None:
    """And the third attempt begins at the first byte."""
    async with serving(broken(), second, [ok()]) as (fetcher, server):
        for _ in range(2):
            await fails(fetcher, chunk(server))
        assert await fetcher.fetch(chunk(server)) == BODY
        assert "Range" not in server.requests[2]


@pytest.mark.parametrize("tag", ["", 'W/"weak"', '"' + "x" * 300 + '"'], ids=["none", "weak", "long"])
async def test_without_a_strong_tag_nothing_is_kept(tag: str) -> None:
    async with serving(broken(tag), [ok()]) as (fetcher, server):
        await fails(fetcher, chunk(server))
        assert await fetcher.fetch(chunk(server)) == BODY
        assert "Range" not in server.requests[1]


async def test_a_continuation_is_bounded_too() -> None:
    async with serving(broken(), rest()) as (fetcher, server):
        await fails(fetcher, chunk(server))
        assert isinstance(await fails(fetcher, chunk(server, size_max=999)), LimitExceededError)


async def test_parts_are_bounded() -> None:
    """Fails if a peer can make us keep any number of beginnings."""
    scripts = [broken() for _ in range(5)]
    async with serving(*scripts) as (fetcher, server):
        fetcher._limits = replace(LIMITS, chunks_in_flight_max=3)
        for n in range(5):
            entry = CodeEntry(bytes(32), 1, 1000, bytes([n]) * 32)
            await fails(fetcher, chunk(server, entry=entry))
        assert len(fetcher._parts) == 3


async def test_cancelling_closes_the_connection() -> None:
    """The server reads the end of the connection long before its minute is over."""
    async with serving([ok(BODY[:10], size=1000), 60.0]) as (fetcher, server):
        task = asyncio.create_task(fetcher.fetch(chunk(server)))
        while not server.requests:
            await asyncio.wait([task], timeout=0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await server.ended.wait()


@pytest.mark.parametrize("peer", ["http://h", "https://h:1/prefix/", "http://[::1]:80"])
def test_base_urls(peer: str) -> None:
    assert base_url(peer) == peer.rstrip("/")


@pytest.mark.parametrize(
    "peer", ["", "host:80", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h#x", "file:///etc/passwd"]
)
def test_urls_that_name_no_peer(peer: str) -> None:
    with pytest.raises(ValueError):
        base_url(peer)


async def test_a_refused_connection_is_told_without_tls() -> None:
    """Fails if the reason speaks of TLS where there is none, as aiohttp's own does."""
    fetcher = HTTPFetcher(Limits())
    try:
        with pytest.raises(PeerUnavailableError) as caught:
            await fetcher.fetch(ListingRequest("http://127.0.0.1:1", 0.0, 1000, 5.0, 12))
    finally:
        await fetcher.close()
    assert "ssl" not in caught.value.reason
