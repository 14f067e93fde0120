"""The endpoint over a real socket: every status it knows, what it counts, and what it will not do.

Every answer in this module is looked up in the OpenAPI document: a route or status that is not in it fails.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDictProxy

from flatdb import WriteLog, decode_json
from flatdb.types import StoreLimits
from flatdb.writelog import decode_cbor, encode_cbor
from proofs import get_scheme, verify_range
from sync import wire
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.limits import Limits
from sync.manifest import Cut
from sync.mirror import Mirror
from sync.monitor import NullMonitor
from sync.openapi import openapi_document
from sync.server import make_app, serving
from tests.faults import flip_bit
from tests.sync.states import checkpoint, state_of

DOCUMENT = openapi_document(Limits())


@dataclass
class Heard(NullMonitor):
    """A monitor that keeps its events."""

    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def event(self, name: str, **fields: object) -> None:
        self.events.append((name, fields))

    def of(self, name: str) -> list[dict[str, object]]:
        return [fields for known, fields in self.events if known == name]


@dataclass
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


@dataclass
class Endpoint:
    """A running endpoint and a client that leaves bytes as they are."""

    url: str
    client: aiohttp.ClientSession
    heard: Heard

    async def ask(self, path: str, method: str = "GET", data: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, self.url + path, headers=named, data=data) as response:
            answer = Answer(response.status, response.headers, await response.read())
        check_documented(path, method, answer)
        return answer


def check_documented(path: str, method: str, answer: Answer) -> None:
    for template, operations in DOCUMENT["paths"].items():
        if (
            re.fullmatch(template.replace("{digest}", "[^/?]+"), path.partition("?")[0])
            and method.lower() in operations
        ):
            responses = operations[method.lower()]["responses"]
            assert str(answer.status) in responses, f"{answer.status} of {method} {template} is not documented"
            if answer.status == 200:
                assert answer.headers["Content-Type"].partition(";")[0] in responses["200"]["content"]
            return
    assert answer.status in (404, 405), path


@asynccontextmanager
async def running(store: CheckpointStore, **options: Any) -> AsyncIterator[Endpoint]:
    heard = Heard()
    async with (
        serving(make_app(store, monitor=heard, **options), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(auto_decompress=False) as client,
    ):
        yield Endpoint(url, client, heard)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[CheckpointStore, CheckpointInfo]:
    return checkpoint("ethereum", tmp_path_factory.mktemp("store"), Cut(chunk_leaves=200))


@pytest.fixture
def store(published: tuple[CheckpointStore, CheckpointInfo]) -> CheckpointStore:
    return published[0]


@pytest.fixture
def info(published: tuple[CheckpointStore, CheckpointInfo]) -> CheckpointInfo:
    return published[1]


@pytest.fixture
async def endpoint(store: CheckpointStore) -> AsyncIterator[Endpoint]:
    async with running(store) as endpoint:
        yield endpoint


def chunk_of(store: CheckpointStore, info: CheckpointInfo) -> tuple[str, bytes]:
    digest = store.manifest(info.digest).leaf_chunks[0].digest
    return wire.chunk_path(digest), store.chunk(digest)


async def test_listing(endpoint: Endpoint, info: CheckpointInfo) -> None:
    answer = await endpoint.ask(wire.CHECKPOINTS)
    (listed,) = wire.decode_listing(answer.body, count_max=10)
    assert (listed.digest, listed.root) == (info.digest, info.root)
    assert (await endpoint.ask(f"{wire.CHECKPOINTS}?height={info.root.height}")).body == answer.body
    assert json.loads((await endpoint.ask(f"{wire.CHECKPOINTS}?height=1")).body) == {"checkpoints": []}
    assert (await endpoint.ask(wire.CHECKPOINTS, If_None_Match=answer.headers["ETag"])).status == 304


async def test_manifest_and_chunk(endpoint: Endpoint, store: CheckpointStore, info: CheckpointInfo) -> None:
    manifest = await endpoint.ask(wire.manifest_path(info.digest))
    assert manifest.body == store.manifest(info.digest).encoded
    path, stored = chunk_of(store, info)
    chunk = await endpoint.ask(path)
    assert (chunk.status, chunk.body) == (200, stored)
    assert chunk.headers["Cache-Control"] == wire.FOREVER
    assert chunk.headers[wire.CODEC_HEADER] == wire.CHUNK_CODEC
    assert "Content-Encoding" not in chunk.headers
    digest, codec, stored_digest = chunk.headers["ETag"].strip('"').split(".")
    assert path.endswith(digest)
    assert (codec, len(stored_digest)) == (wire.CHUNK_CODEC, 32)


async def test_head_is_get_without_body(endpoint: Endpoint, store: CheckpointStore, info: CheckpointInfo) -> None:
    path, _ = chunk_of(store, info)
    for asked in (path, wire.CHECKPOINTS, wire.manifest_path(info.digest), wire.HEALTH, wire.OPENAPI):
        get, head = await endpoint.ask(asked), await endpoint.ask(asked, "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert {**head.headers, "Date": ""} == {**get.headers, "Date": ""}


@pytest.mark.parametrize(
    ("headers", "status", "part"),
    [
        ({"Range": "bytes=0-0"}, 206, slice(0, 1)),
        ({"Range": "bytes=7-99"}, 206, slice(7, 100)),
        ({"Range": "bytes=100-"}, 206, slice(100, None)),
        ({"Range": "bytes=-9"}, 206, slice(-9, None)),
        ({"Range": "bytes=99999999-"}, 416, slice(0, 0)),
        ({"Range": "bytes=0-1,5-6"}, 200, slice(None)),
        ({"Range": "bytes=5-9", "If_Range": '"other"'}, 200, slice(None)),
        ({"If_Match": '"other"'}, 412, slice(0, 0)),
        ({"If_Match": "*"}, 200, slice(None)),
        ({"If_None_Match": "*"}, 304, slice(0, 0)),
        ({"If_None_Match": '"other"'}, 200, slice(None)),
    ],
)
async def test_conditions_and_ranges(
    endpoint: Endpoint, store: CheckpointStore, info: CheckpointInfo, headers: dict[str, str], status: int, part: slice
) -> None:
    """The same answers as `wire.answer` gives, with the right bytes behind them."""
    path, stored = chunk_of(store, info)
    answer = await endpoint.ask(path, **headers)
    assert (answer.status, answer.body) == (status, stored[part])
    if status in (206, 416):
        assert answer.headers["Content-Range"].endswith(f"/{len(stored)}")
    assert answer.headers["ETag"] == (await endpoint.ask(path)).headers["ETag"]


async def test_a_range_goes_on_under_the_same_tag(
    endpoint: Endpoint, store: CheckpointStore, info: CheckpointInfo
) -> None:
    path, stored = chunk_of(store, info)
    tag = (await endpoint.ask(path)).headers["ETag"]
    rest = await endpoint.ask(path, Range="bytes=50-", If_Range=tag)
    assert (rest.status, rest.body) == (206, stored[50:])
    assert (await endpoint.ask(path, If_Match=tag)).status == 200
    assert (await endpoint.ask(path, If_None_Match=f'"x", {tag}')).status == 304


NOT_DIGESTS = (
    *("0" * 63, "0" * 65, "A" * 64, "g" * 64, "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "x" * 900),
    *("staging", "%2fetc%2fpasswd", "0" * 64 + "%00", "\u0660" * 64),
)


@pytest.mark.parametrize("name", NOT_DIGESTS)
async def test_nothing_but_a_digest_is_looked_up(
    endpoint: Endpoint, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if a string from the wire reaches the store. Tried: with `bytes.fromhex` for `parse_digest`."""

    def never(*arguments: object, **options: object) -> None:
        raise AssertionError("the store was asked")

    for method in ("chunk_path", "chunk", "manifest_path", "manifest"):
        monkeypatch.setattr(CheckpointStore, method, never)
    for path in ("/v1/chunks/", "/v1/checkpoints/"):
        assert (await endpoint.ask(path + name)).status == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (wire.chunk_path(bytes(32)), 404),
        (wire.manifest_path(bytes(32)), 404),
        (f"{wire.proof_path(bytes(32))}?key=00", 404),
        ("/v1/nothing", 404),
        ("/", 404),
        (wire.METRICS, 404),
        (f"{wire.WRITE_LOGS}?from=1", 404),
        (f"{wire.CHECKPOINTS}?height=-1", 400),
        (f"{wire.CHECKPOINTS}?height=1e3", 400),
        (f"{wire.CHECKPOINTS}?height={2**63}", 400),
        (f"{wire.CHECKPOINTS}?height=" + "9" * 4000, 400),
    ],
)
async def test_refusals(endpoint: Endpoint, path: str, status: int) -> None:
    answer = await endpoint.ask(path)
    assert answer.status == status
    assert json.loads(answer.body)["status"] == status


async def test_only_get_and_head(endpoint: Endpoint) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = await endpoint.ask(wire.CHECKPOINTS, method)
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]


async def test_bodies_are_refused(endpoint: Endpoint) -> None:
    assert (await endpoint.ask(wire.CHECKPOINTS, data=b"x" * 100)).status == 413


# Proofs.


async def test_proofs(endpoint: Endpoint, info: CheckpointInfo) -> None:
    """What comes back is judged by the only verifier there is."""
    scheme, state = get_scheme("ethereum"), state_of("ethereum").state
    keys = sorted(state)
    for query in (f"key={keys[5].hex()}", f"key=0x{'f1' * 32}", f"start={keys[9].hex()}&end={keys[40].hex()}"):
        answer = await endpoint.ask(f"{wire.proof_path(info.digest)}?{query}")
        proof, run = wire.decode_proof(answer.body, limits=Limits())
        verified = verify_range(scheme, info.root.hash, proof, run)
        assert all(state[key] == value for key, value in verified.run)
    verified_keys = list(verified.run.keys)
    assert set(keys[9:40]) <= set(verified_keys)


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?key=0", 400), ("?key=zz", 400), ("?key=00&start=00", 400), ("?start=02&end=01", 422)],
)
async def test_proof_refusals(endpoint: Endpoint, info: CheckpointInfo, query: str, status: int) -> None:
    assert (await endpoint.ask(wire.proof_path(info.digest) + query)).status == status


# Write logs.


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    mirror = Mirror.create(tmp_path / "mirror", scheme="mkvs")
    for height in range(10, 30):
        mirror.apply(WriteLog(height, writes=((b"key", bytes([height]) * 100),)))
    return mirror


async def test_write_logs(store: CheckpointStore, mirror: Mirror) -> None:
    with mirror:
        async with running(store, mirror=mirror) as endpoint:
            lines = (await endpoint.ask(f"{wire.WRITE_LOGS}?from=15")).body.splitlines(keepends=True)
            logs = [decode_json(line, StoreLimits()) for line in lines]
            assert logs == list(mirror.db.write_logs(15))
            assert len((await endpoint.ask(f"{wire.WRITE_LOGS}?from=15&count=3")).body.splitlines()) == 3
            assert len((await endpoint.ask(wire.WRITE_LOGS)).body.splitlines()) == 20
            assert (await endpoint.ask(f"{wire.WRITE_LOGS}?from=30")).body == b""
            assert (await endpoint.ask(wire.WRITE_LOGS, "HEAD")).body == b""
            as_cbor = await endpoint.ask(f"{wire.WRITE_LOGS}?from=29", Accept=wire.CBOR_SEQUENCE)
            assert decode_cbor(as_cbor.body, StoreLimits()) == logs[-1]
            assert as_cbor.body == encode_cbor(logs[-1])
            assert (await endpoint.ask(f"{wire.WRITE_LOGS}?count=99999")).status == 400


async def test_write_logs_are_bounded(store: CheckpointStore, mirror: Mirror) -> None:
    """Fails if a limit on count or bytes is not kept, or if one large write log cannot be had at all."""
    with mirror:
        async with running(store, mirror=mirror, limits=Limits(write_logs_bytes_max=700)) as endpoint:
            assert len((await endpoint.ask(wire.WRITE_LOGS)).body.splitlines()) == 3
        async with running(store, mirror=mirror, limits=Limits(write_logs_bytes_max=1)) as endpoint:
            assert len((await endpoint.ask(wire.WRITE_LOGS)).body.splitlines()) == 1
        async with running(store, mirror=mirror, limits=Limits(write_logs_max=5)) as endpoint:
            assert len((await endpoint.ask(wire.WRITE_LOGS)).body.splitlines()) == 5


# Probes.


async def test_probes(store: CheckpointStore) -> None:
    reasons: list[str | None] = [None, "the disk is full"]
    metrics = (b"leafmirror_up 1\n", "text/plain; version=0.0.4")
    async with running(store, ready=lambda: reasons.pop(0), metrics=lambda: metrics) as endpoint:
        assert json.loads((await endpoint.ask(wire.HEALTH)).body) == {"alive": True}
        assert json.loads((await endpoint.ask(wire.READY)).body) == {"ready": True}
        unready = await endpoint.ask(wire.READY)
        assert unready.status == 503
        assert json.loads(unready.body)["reason"] == "the disk is full"
        assert (await endpoint.ask(wire.METRICS)).body == metrics[0]


async def test_every_answer_is_reported(endpoint: Endpoint, store: CheckpointStore, info: CheckpointInfo) -> None:
    """Labels are routes and never paths. Fails if a digest turns up in one."""
    path, stored = chunk_of(store, info)
    await endpoint.ask(path)
    await endpoint.ask("/nowhere")
    served = endpoint.heard.of("request_served")
    assert served[0] == {"route": wire.CHUNK, "method": "GET", "status": 200, "bytes": len(stored)}
    assert (served[1]["route"], served[1]["status"]) == ("none", 404)


async def test_openapi_names_every_route(endpoint: Endpoint, store: CheckpointStore) -> None:
    """Fails if a route is not documented, or a documented one is not there."""
    document = json.loads((await endpoint.ask(wire.OPENAPI)).body)
    routes: dict[str, set[str]] = {}
    for route in make_app(store).router.routes():
        assert route.resource is not None
        routes.setdefault(route.resource.canonical, set()).add(route.method.lower())
    assert {path: set(operations) for path, operations in document["paths"].items()} == routes


# Limits.


async def test_too_many_requests_of_one_client(store: CheckpointStore, mirror: Mirror) -> None:
    """A request that is under way is held open; the next one is told when to come back; probes are answered."""
    entered, leave = asyncio.Event(), asyncio.Event()
    slow = CheckpointStore.folder(store.staging.parent)
    slow.list = _held(entered, leave)  # type: ignore[method-assign,assignment]
    with mirror:
        async with running(slow, mirror=mirror, limits=Limits(requests_per_client_max=1)) as endpoint:
            first = asyncio.create_task(endpoint.ask(wire.CHECKPOINTS))
            await entered.wait()
            second = await endpoint.ask(wire.WRITE_LOGS)
            assert second.status == 429
            assert int(second.headers["Retry-After"]) >= 1
            assert (await endpoint.ask(wire.HEALTH)).status == 200
            leave.set()
            assert (await first).status == 200
            assert (await endpoint.ask(wire.WRITE_LOGS)).status == 200
            assert endpoint.heard.of("request_throttled") == [{"limit": "requests_per_client_max"}]


async def test_too_many_bytes_of_one_client(store: CheckpointStore, info: CheckpointInfo) -> None:
    path, _ = chunk_of(store, info)
    async with running(store, limits=Limits(client_bytes_per_s_max=100)) as endpoint:
        assert (await endpoint.ask(path)).status == 200
        refused = await endpoint.ask(path)
        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) > 1


async def _raw(endpoint: Endpoint, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = endpoint.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    return reader, writer


async def test_a_connection_that_says_nothing_is_cut(store: CheckpointStore) -> None:
    """Fails if a client may hold a connection with half a request line. Tried: with a `keepalive_timeout` of 0."""
    async with running(store, limits=Limits(stall_timeout_s=0.05)) as endpoint:
        for beginning in (b"", b"GET /v1/checkp"):
            reader, writer = await _raw(endpoint, beginning)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()


async def test_a_client_that_does_not_read_is_cut(tmp_path: Path) -> None:
    """Fails if a client that takes nothing keeps its place for ever. Tried: without the timeout in `_patiently`."""
    mirror = Mirror.create(tmp_path / "mirror", scheme="mkvs")
    with mirror:
        for height in range(40):
            mirror.apply(WriteLog(height, writes=((b"key", bytes([height]) * 2**20),)))
        limits = Limits(stall_timeout_s=0.05, peer_bytes_per_s_min=2**30, requests_per_client_max=1)
        async with running(CheckpointStore.folder(tmp_path / "store"), mirror=mirror, limits=limits) as endpoint:
            _, writer = await _raw(endpoint, b"GET /v1/write-logs HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(10):
                while 499 not in [fields["status"] for fields in endpoint.heard.of("request_served")]:
                    await endpoint.ask(wire.HEALTH)
            assert (await endpoint.ask(wire.WRITE_LOGS + "?from=99")).status == 200
            writer.close()


async def test_connections_are_bounded(store: CheckpointStore) -> None:
    async with running(store, limits=Limits(requests_max=1)) as endpoint:
        held = [await _raw(endpoint, b"") for _ in range(2)]
        reader, writer = await _raw(endpoint, b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        for _, other in [*held, (reader, writer)]:
            other.close()


async def test_it_stops_gracefully(store: CheckpointStore) -> None:
    """A request under way is finished; meanwhile the endpoint says that it is not ready; then nobody is there."""
    entered, leave = asyncio.Event(), asyncio.Event()
    slow = CheckpointStore.folder(store.staging.parent)
    slow.list = _held(entered, leave)  # type: ignore[method-assign,assignment]
    stop, stopped = asyncio.Event(), asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with serving(make_app(slow), "127.0.0.1", 0) as url:
            urls.append(url)
            stopped.set()
            await stop.wait()

    server = asyncio.create_task(serve())
    await stopped.wait()
    async with aiohttp.ClientSession() as client:
        under_way = asyncio.create_task(client.get(urls[0] + wire.CHECKPOINTS))
        await entered.wait()
        stop.set()
        await _until_refused(client, urls[0])
        leave.set()
        response = await under_way
        assert (response.status, await response.json()) == (200, {"checkpoints": []})
        await server


async def _until_refused(client: aiohttp.ClientSession, url: str) -> None:
    with suppress(aiohttp.ClientConnectionError):
        while True:
            (await client.get(url + wire.HEALTH)).release()


def _held(entered: asyncio.Event, leave: asyncio.Event) -> Any:
    """A listing that says when it is asked for, and waits until it may answer."""
    loop = asyncio.get_running_loop()

    def listing(**options: object) -> tuple[CheckpointInfo, ...]:
        loop.call_soon_threadsafe(entered.set)
        asyncio.run_coroutine_threadsafe(leave.wait(), loop).result()
        return ()

    return listing


# What the disk does.


async def test_a_rotten_manifest_is_not_sent(tmp_path: Path) -> None:
    """Whoever sent it would be taken for a liar: it is 503, and reported."""
    store, info = checkpoint("mpt", tmp_path / "store")
    path = store.manifest_path(info.digest)
    assert path is not None
    flip_bit(path, -1)
    async with running(CheckpointStore.folder(tmp_path / "store")) as endpoint:
        assert (await endpoint.ask(wire.manifest_path(info.digest))).status == 503
        assert endpoint.heard.of("request_failed")


async def test_a_store_without_local_files(store: CheckpointStore, info: CheckpointInfo) -> None:
    """An object store gives bytes; the answers are the same, tags included."""
    remote = CheckpointStore(_Remote(store.objects), store.staging)
    path, _ = chunk_of(store, info)
    async with running(store) as local, running(remote) as endpoint:
        for asked in (path, wire.manifest_path(info.digest)):
            for headers in ({}, {"Range": "bytes=3-500"}):
                ours, theirs = await local.ask(asked, **headers), await endpoint.ask(asked, **headers)
                assert ours.body == theirs.body
                assert ours.headers["ETag"] == theirs.headers["ETag"]
        assert (await endpoint.ask(wire.chunk_path(bytes(32)))).status == 404


class _Remote:
    """An object store whose objects are no local files."""

    def __init__(self, objects: Any) -> None:
        self._objects = objects

    def path(self, name: str) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)
