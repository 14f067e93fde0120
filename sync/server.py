"""The sync endpoint: published checkpoints, write logs and proofs over HTTP. All of aiohttp's server is here.

It decides nothing about state: it hands out what is published, to anyone, within limits. Every path ends in a digest or
a number that is parsed, and only parsed values go on, so no string from the wire becomes a path. Conditions and byte
ranges are judged by `wire.answer`, and then the file is handed to the kernel: aiohttp's own FileResponse would replace
the entity tag by one of file times. Disk and database work is done in threads, never on the loop.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeVar

from aiohttp import web

from flatdb.errors import FlatDBError
from flatdb.types import HEIGHT_MAX, KEY_BYTES_MAX
from sync import wire
from sync.checkpoint_store import CheckpointStore, parse_digest
from sync.errors import CheckpointError, CheckpointNotFoundError, UnprovableError
from sync.limits import Limits
from sync.mirror import Mirror
from sync.monitor import MONITOR_NONE, Monitor
from sync.openapi import openapi_document
from sync.prove import prove, prove_key
from sync.quota import OverQuotaError, Quota, client_of
from sync.stored import StoredObject, StoredObjects, in_memory
from sync.writelog_batches import WriteLogBatches

__all__ = ["MetricsSource", "ReadySource", "make_app", "serving"]

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MetricsSource = Callable[[], tuple[bytes, str]]  # the metrics, and their content type
ReadySource = Callable[[], str | None]  # why requests should go elsewhere for now, or None

_LIMITS: Final = web.AppKey("limits", Limits)

DISK_THREADS: Final = 8
PROOF_THREADS: Final = 2
SEND_BYTES: Final = 2**17
CONNECTIONS_PER_REQUEST: Final = 2
"""Connections that may be open for each request that may be in flight: some are idle between two requests."""
CLIENT_GONE: Final = 499
"""Never sent: how an answer is reported whose reader went away, or took too long."""
_PROBES: Final = (wire.HEALTH, wire.READY, wire.METRICS)
"""Answered whatever the load: an endpoint that is only busy must not be taken for dead."""


def make_app(
    store: CheckpointStore,
    *,
    mirror: Mirror | None = None,
    limits: Limits | None = None,
    monitor: Monitor = MONITOR_NONE,
    metrics: MetricsSource | None = None,
    ready: ReadySource = lambda: None,
) -> web.Application:
    """The endpoint over a store, and over a mirror's write logs if there is one. It owns neither.

    Reports `request_served` (route, method, status, bytes), `request_throttled` (limit) and `request_failed` (path,
    reason) to the monitor. `metrics` and `ready` are called on the loop and must not block.
    """
    endpoint = Endpoint(store, mirror, limits or store.limits, monitor, metrics, ready)
    app = web.Application(middlewares=[endpoint.guard], client_max_size=endpoint.limits.request_bytes_max)
    app.router.add_get(wire.CHECKPOINTS, endpoint.checkpoints)
    app.router.add_get(wire.MANIFEST, endpoint.manifest)
    app.router.add_get(wire.CHUNK, endpoint.chunk)
    app.router.add_get(wire.PROOF, endpoint.proof)
    app.router.add_get(wire.WRITE_LOGS, endpoint.write_logs)
    app.router.add_get(wire.HEALTH, endpoint.health)
    app.router.add_get(wire.READY, endpoint.readiness)
    app.router.add_get(wire.METRICS, endpoint.metrics)
    app.router.add_get(wire.OPENAPI, endpoint.openapi)
    app[_LIMITS] = endpoint.limits
    app.on_response_prepare.append(_sign)
    app.on_shutdown.append(endpoint.stop)
    app.on_cleanup.append(endpoint.close)
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Listen while the block runs; yields the base URL. Port 0 takes a free one.

    When the block ends nothing more is accepted, requests under way get `Limits.shutdown_timeout_s`, then are cut.

    Raises:
        OSError: the address cannot be listened on.
    """
    limits, loop = app[_LIMITS], asyncio.get_running_loop()
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=limits.stall_timeout_s,  # also for a connection whose first request never ends
        shutdown_timeout=limits.shutdown_timeout_s,
    )
    await runner.setup()
    assert runner.server is not None
    accept = partial(_accept, runner.server, limits)
    try:
        server = await loop.create_server(accept, host, port)
        try:
            name = server.sockets[0].getsockname()
            yield f"http://[{name[0]}]:{name[1]}" if ":" in name[0] else f"http://{name[0]}:{name[1]}"
        finally:
            server.close()
    finally:
        await runner.cleanup()


class Endpoint:
    """The handlers of one application, and what they share. Belongs to its loop."""

    def __init__(
        self,
        store: CheckpointStore,
        mirror: Mirror | None,
        limits: Limits,
        monitor: Monitor,
        metrics: MetricsSource | None,
        ready: ReadySource,
    ) -> None:
        self.limits = limits
        self._store = store
        self._objects = StoredObjects(store)
        self._mirror = mirror
        self._monitor = monitor
        self._metrics = metrics
        self._ready = ready
        self._quota: Quota | None = None
        self._stopping = False
        self._disk = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="endpoint-disk")
        self._prover = ThreadPoolExecutor(PROOF_THREADS, thread_name_prefix="endpoint-proof")

    async def stop(self, app: web.Application) -> None:
        """Say so to whoever asks whether to send requests here."""
        self._stopping = True

    async def close(self, app: web.Application) -> None:
        self._disk.shutdown(wait=False, cancel_futures=True)
        self._prover.shutdown(wait=False, cancel_futures=True)

    # Around every request

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Quota, errors as JSON, and one event for each answer."""
        try:
            response = await self._answer(request, handler)
        except ConnectionError:
            response = web.Response(status=CLIENT_GONE)  # for the event below; nobody is there to read it
        resource = request.match_info.route.resource
        self._monitor.event(
            "request_served",
            route="none" if resource is None else resource.canonical,
            method=request.method,
            status=response.status,
            bytes=_sent(request, response),
        )
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.can_read_body:
                return _problem(413, "requests have no body", {"Connection": "close"})
            if request.path in _PROBES:
                return await handler(request)
            return await self._within_quota(request, handler)
        except OverQuotaError as error:
            self._monitor.event("request_throttled", limit=error.limit)
            return _problem(429, str(error), {"Retry-After": str(math.ceil(error.retry_after_s))})
        except web.HTTPException as error:
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            return _problem(error.status, error.reason, allow)
        except wire.InvalidQueryError as error:
            return _problem(400, str(error))
        except CheckpointNotFoundError as error:
            return _problem(404, str(error))
        except UnprovableError as error:
            return _problem(422, str(error))
        except (CheckpointError, FlatDBError) as error:
            self._monitor.event("request_failed", path=request.path, reason=str(error))
            return _problem(503, "what this endpoint holds cannot be read")

    async def _within_quota(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        now = asyncio.get_running_loop().time()
        if self._quota is None:
            self._quota = Quota(self.limits, now)
        client = client_of(request.remote)
        self._quota.enter(client, now)
        try:
            return await handler(request)
        finally:
            self._quota.leave(client)

    # Routes

    async def checkpoints(self, request: web.Request) -> web.StreamResponse:
        height = wire.query_number(request.query, "height", largest=HEIGHT_MAX)
        listed = await self._on(self._disk, partial(self._store.list, monitor=self._monitor))
        chosen = [info for info in listed if height in (None, info.root.height)]
        newest = sorted(chosen, key=lambda info: info.root.height)[-self.limits.checkpoints_listed_max :]
        return await self._send(request, in_memory(wire.encode_listing(newest)), wire.JSON, wire.MOMENT)

    async def manifest(self, request: web.Request) -> web.StreamResponse:
        found = await self._on(self._disk, partial(self._objects.manifest, _digest(request)))
        return await self._send(request, found, wire.CBOR, wire.FOREVER)

    async def chunk(self, request: web.Request) -> web.StreamResponse:
        found = await self._on(self._disk, partial(self._objects.chunk, _digest(request)))
        return await self._send(request, found, wire.BYTES, wire.FOREVER)

    async def proof(self, request: web.Request) -> web.StreamResponse:
        digest = _digest(request)
        key, start, end = (
            wire.query_key(request.query, name, key_bytes_max=KEY_BYTES_MAX) for name in ("key", "start", "end")
        )
        if (key is None) == (start is None and end is None):
            raise wire.InvalidQueryError("ask for a key, or for a range from start to end")
        if key is not None:
            work = partial(prove_key, self._store, digest, key, monitor=self._monitor)
        else:
            work = partial(prove, self._store, digest, start or b"", end, monitor=self._monitor)
        proof, run = await self._on(self._prover, work)
        return await self._send(request, in_memory(wire.encode_proof(proof, run)), wire.CBOR, wire.FOREVER)

    async def write_logs(self, request: web.Request) -> web.StreamResponse:
        if self._mirror is None:
            raise web.HTTPNotFound(reason="no mirror is served here")
        height = wire.query_number(request.query, "from", largest=HEIGHT_MAX) or 0
        count = wire.query_number(request.query, "count", largest=self.limits.write_logs_max)
        as_cbor = wire.CBOR_SEQUENCE in request.headers.get("Accept", "")
        left = self.limits.write_logs_max if count is None else count
        batches = WriteLogBatches(self._mirror.db, height, left, as_cbor=as_cbor, limits=self.limits)
        response = web.StreamResponse(headers={"Cache-Control": wire.MOMENT, "Vary": "Accept"})
        response.content_type = wire.CBOR_SEQUENCE if as_cbor else wire.NDJSON
        await self._stream(request, response, batches)
        return response

    async def health(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"alive": True})

    async def readiness(self, request: web.Request) -> web.StreamResponse:
        reason = "it is stopping" if self._stopping else self._ready()
        if reason is None:
            return web.json_response({"ready": True})
        return web.json_response({"ready": False, "reason": reason}, status=503)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        if self._metrics is None:
            raise web.HTTPNotFound(reason="this endpoint keeps no metrics")
        body, content_type = self._metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        document = json.dumps(openapi_document(self.limits)).encode()
        return await self._send(request, in_memory(document), wire.JSON, wire.MOMENT)

    # Sending

    async def _send(
        self, request: web.Request, found: StoredObject, content_type: str, cache: str
    ) -> web.StreamResponse:
        """Answer with these bytes, or the part of them that the request's conditions leave. Closes the file."""
        with found.file:
            part = wire.answer(request.method, request.headers, tag=found.tag, size=found.size)
            headers = {"ETag": found.tag, "Cache-Control": cache, "Accept-Ranges": "bytes"}
            if found.codec:
                headers[wire.CODEC_HEADER] = found.codec
            if part.status in (206, 416):
                headers["Content-Range"] = wire.content_range(part, found.size)
            response = web.StreamResponse(status=part.status, headers=headers)
            response.content_type = content_type
            if part.status != 304:
                response.content_length = part.count
            with_body = request.method == "GET" and part.count > 0
            self._charge(request, part.count if with_body else 0)
            async with self._patiently(request, part.count):
                await response.prepare(request)
                if with_body:
                    await self._send_part(request, response, found, part)
                await response.write_eof()
        return response

    async def _send_part(
        self, request: web.Request, response: web.StreamResponse, found: StoredObject, part: wire.Answer
    ) -> None:
        transport = request.transport
        if found.is_local and transport is not None:
            sent = await asyncio.get_running_loop().sendfile(transport, found.file, part.start, part.count)
            if sent != part.count:
                transport.abort()
            return
        found.file.seek(part.start)
        left = part.count
        while left and (piece := found.file.read(min(left, SEND_BYTES))):
            await response.write(piece)
            left -= len(piece)

    async def _stream(self, request: web.Request, response: web.StreamResponse, batches: WriteLogBatches) -> None:
        batch = await self._on(self._disk, batches.next)  # before the status is sent, because it may fail
        async with self._patiently(request, 0):
            await response.prepare(request)
        while batch and request.method == "GET":
            self._charge(request, len(batch))
            async with self._patiently(request, len(batch)):
                await response.write(batch)
            batch = await self._on(self._disk, batches.next)
        await response.write_eof()

    @asynccontextmanager
    async def _patiently(self, request: web.Request, size: int) -> AsyncIterator[None]:
        """Time for `size` bytes at the slowest rate that is allowed; then the connection is cut."""
        try:
            async with asyncio.timeout(self.limits.stall_timeout_s + size / self.limits.peer_bytes_per_s_min):
                yield
        except TimeoutError as error:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the client reads too slowly") from error

    def _charge(self, request: web.Request, size: int) -> None:
        assert self._quota is not None
        self._quota.charge(client_of(request.remote), size)

    async def _on(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)


class _Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _accept(server: web.Server, limits: Limits) -> asyncio.BaseProtocol:
    """A new connection, refused beyond a bound."""
    if len(server.connections) >= CONNECTIONS_PER_REQUEST * limits.requests_max:
        return _Refused()
    return server()


def _sent(request: web.Request, response: web.StreamResponse) -> int:
    """Bytes of the body. The kernel sends files, so aiohttp counts those that have no announced size only."""
    if request.method == "HEAD" or response.status == 304:
        return 0
    return response.body_length if response.content_length is None else response.content_length


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    """Say what answers, not which versions of what it is built of."""
    response.headers["Server"] = "leafmirror"


def _digest(request: web.Request) -> bytes:
    try:
        return parse_digest(request.match_info["digest"])
    except ValueError as error:
        raise web.HTTPNotFound(reason=str(error)) from error


def _problem(status: int, reason: str, headers: Mapping[str, str] | None = None) -> web.StreamResponse:
    return web.json_response({"status": status, "reason": reason}, status=status, headers=headers)
