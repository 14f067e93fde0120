"""Fetcher: the one way in which a restore reaches a peer, and its implementation over HTTP (all of aiohttp's client).

Decides how a request becomes bytes, and what a failure means: every foreign exception becomes a PeerError. Nothing that
arrives is believed or even decoded here; size and time are bounded, and that is all.

A body that breaks off is kept, and continued at the same peer under the same entity tag: two peers may store one chunk
in different bytes, and parts of two would make neither.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

import aiohttp

from sync.errors import LimitExceededError, PeerError, PeerUnavailableError
from sync.limits import Limits
from sync.peers import SlowPeerError
from sync.request import ChunkRequest, ListingRequest, ManifestRequest, Request
from sync.wire import CHECKPOINTS, chunk_path, manifest_path, parse_content_range, refusal

__all__ = ["Fetcher", "HTTPFetcher", "base_url"]

READ_BYTES: Final = 2**17
_PARTIAL: Final = 206


class Fetcher(Protocol):
    """Puts requests to peers. Any number may be under way at once."""

    async def fetch(self, request: Request) -> bytes:
        """The untrusted answer: at most `request.size_max` bytes, within `request.deadline_s`. May be cancelled.

        Raises:
            PeerUnavailableError, PeerRefusedError, LimitExceededError: and nothing else.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class _Part:
    """The beginning of a body that broke off, and the tag that it had."""

    tag: str
    data: bytes


class HTTPFetcher:
    """Peers named by base URLs: `http://host:port` or `https://host/prefix`. Belongs to one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: OrderedDict[tuple[str, str], _Part] = OrderedDict()
        self._client: aiohttp.ClientSession | None = None

    async def fetch(self, request: Request) -> bytes:
        path = _path(request)
        part = self._parts.pop((request.peer, path), None)
        received = bytearray(part.data if part else b"")
        async with (
            _translated(request, received),
            asyncio.timeout(request.deadline_s),
            self._get(request, path, part) as response,
        ):
            tag = _check(request, response, part, received)
            try:
                await _read(request, response, received)
            except (aiohttp.ClientError, OSError, TimeoutError, asyncio.CancelledError):
                self._keep(request, path, tag, received)
                raise
        return bytes(received)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @asynccontextmanager
    async def _get(self, request: Request, path: str, part: _Part | None) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Range": f"bytes={len(part.data)}-", "If-Range": part.tag} if part else {}
        if self._client is None:
            self._client = _client(self._limits)
        async with self._client.get(base_url(request.peer) + path, headers=headers, allow_redirects=False) as response:
            yield response

    def _keep(self, request: Request, path: str, tag: str | None, received: bytearray) -> None:
        """Remember a body that broke off, if its tag says exactly which bytes it has; the oldest make room."""
        if tag is None or not received:
            return
        self._parts[request.peer, path] = _Part(tag, bytes(received))
        while len(self._parts) > self._limits.chunks_in_flight_max:
            self._parts.popitem(last=False)


def base_url(peer: str) -> str:
    """A peer's name as the URL in front of every path.

    Raises:
        ValueError: it is not an http or https URL, or holds what does not belong there.
    """
    parts = urlsplit(peer)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{peer!r} is not the base URL of a peer, such as http://host:port")
    return peer.rstrip("/")


def _client(limits: Limits) -> aiohttp.ClientSession:
    """Never decompresses, follows nothing, keeps no cookies; a silent connection ends after the stall timeout."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity", "User-Agent": "leafmirror"},
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect_timeout_s, sock_read=limits.stall_timeout_s
        ),
        connector=aiohttp.TCPConnector(
            limit=limits.peers_max * limits.requests_per_peer_max, limit_per_host=limits.requests_per_peer_max
        ),
    )


def _path(request: Request) -> str:
    match request:
        case ListingRequest(height=height):
            return CHECKPOINTS if height is None else f"{CHECKPOINTS}?height={height}"
        case ManifestRequest():
            return manifest_path(request.digest)
        case ChunkRequest():
            return chunk_path(request.entry.digest)


def _check(request: Request, response: aiohttp.ClientResponse, part: _Part | None, received: bytearray) -> str | None:
    """Judge status and headers before any of the body is read. Returns the tag under which it may be continued."""
    tag = _strong_tag(response.headers)
    if response.status == _PARTIAL and part is not None:
        start, count, _ = parse_content_range(response.headers.get("Content-Range", ""))
        if tag != part.tag or start != len(received):
            raise PeerUnavailableError(request.peer, "continued a body with another one")
    elif response.status == 200:
        received.clear()
        count = response.content_length or 0
    else:
        raise refusal(request.peer, response.status, retry_after=response.headers.get("Retry-After"))
    if "Content-Encoding" in response.headers:
        raise PeerUnavailableError(request.peer, "encoded a body that has a codec of its own")
    if len(received) + count > request.size_max:
        raise LimitExceededError(request.peer, "size_max", len(received) + count)
    return tag


async def _read(request: Request, response: aiohttp.ClientResponse, received: bytearray) -> None:
    async for piece in response.content.iter_chunked(READ_BYTES):
        received += piece
        if len(received) > request.size_max:
            raise LimitExceededError(request.peer, "size_max", len(received))


def _strong_tag(headers: Mapping[str, str]) -> str | None:
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') and len(tag) <= 256 else None


@asynccontextmanager
async def _translated(request: Request, received: bytearray) -> AsyncIterator[None]:
    """Everything that can go wrong between here and the peer, as an error of that peer."""
    peer = request.peer
    try:
        yield
    except PeerError:
        raise
    except aiohttp.ServerTimeoutError as error:
        raise PeerUnavailableError(peer, f"stalled after {len(received)} bytes") from error
    except TimeoutError as error:
        reason = f"only {len(received)} bytes in {request.deadline_s:.0f} s"
        raise SlowPeerError(peer, reason) from error
    except aiohttp.ClientPayloadError as error:
        raise PeerUnavailableError(peer, f"broke off after {len(received)} bytes") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise PeerUnavailableError(peer, str(error) or type(error).__name__) from error
