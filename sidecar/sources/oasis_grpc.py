"""The node's storage service over gRPC, both ends: CBOR instead of protobuf, on a Unix socket or on TCP.

The only file that imports grpc; its errors stop here. Messages are encoded by us and passed as bytes, so a client needs
no codec: a node forces its own. A diff comes in pieces of ten entries, a chunk in slices of 32 KiB.
Source: oasis-core `go/common/grpc`, `go/storage/api/grpc`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn, TypeVar

import grpc
from grpc import aio

from proofs import cbor
from proofs.errors import MalformedProofError
from proofs.oasis.fields import encode_fields
from proofs.oasis.messages import (
    MESSAGE_BYTES_MAX,
    ChunkMetadata,
    GetCheckpointsRequest,
    GetDiffRequest,
    GetPrefixesRequest,
    GetRequest,
    IterateRequest,
    LogEntry,
    Message,
    Metadata,
    Proof,
    ProofResponse,
    SyncChunk,
)
from proofs.oasis.runtime import AnnotatedBlock, Block, GetBlockRequest
from sidecar.errors import SourceUnavailableError
from sidecar.oasis_backend import OasisBackend
from sidecar.oasis_status import DETAILS_KEY, UNSUPPORTED, OasisCallError, decode_status, encode_status

DIFF_ENTRIES: Final = 10
SLICE_BYTES: Final = 32 << 10
STORAGE: Final = "oasis-core.Storage"
RUNTIME: Final = "oasis-core.RuntimeClient"

_OPTIONS: Final = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.so_reuseport", 0),
]
M = TypeVar("M", bound=Message)
Context = aio.ServicerContext[bytes, bytes]


class OasisServer:
    """The storage service, answering from a backend. Start it once; stop it before the loop ends."""

    def __init__(self, backend: OasisBackend) -> None:
        self._backend = backend
        self._server = aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_service(backend),))

    async def start(self, *addresses: str) -> list[str]:
        """Listen on `unix:PATH` and `HOST:PORT`; give back the addresses, with the ports that 0 became.

        Raises:
            SourceUnavailableError: an address that cannot be had.
        """
        bound = []
        for address in addresses:
            try:
                port = self._server.add_insecure_port(address)
            except RuntimeError as error:
                raise SourceUnavailableError(address, str(error)) from error
            bound.append(address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}")
        await self._server.start()
        return bound

    async def stop(self, grace_s: float = 1.0) -> None:
        await self._server.stop(grace_s)


def _service(backend: OasisBackend) -> grpc.GenericRpcHandler:
    """The six methods. Proofs and files are made in a thread: the loop keeps answering."""

    async def proof(read: Callable[[M], Proof], request: M) -> bytes:
        return ProofResponse(await asyncio.to_thread(read, request)).encode()

    async def checkpoints(request: GetCheckpointsRequest) -> bytes:
        found = await asyncio.to_thread(backend.get_checkpoints, request)
        return cbor.encode([encode_fields(Metadata.FIELDS, one) for one in found] or None)

    async def diff(request: GetDiffRequest) -> AsyncIterator[bytes]:
        for piece in diff_pieces(await asyncio.to_thread(backend.get_diff, request), request):
            yield piece.encode()

    async def chunk(request: ChunkMetadata) -> AsyncIterator[bytes]:
        data = await asyncio.to_thread(backend.get_checkpoint_chunk, request)
        for start in range(0, len(data), SLICE_BYTES):
            yield cbor.encode(data[start : start + SLICE_BYTES])

    methods = {
        "SyncGet": _unary(GetRequest, lambda request: proof(backend.sync_get, request)),
        "SyncGetPrefixes": _unary(GetPrefixesRequest, lambda request: proof(backend.sync_get_prefixes, request)),
        "SyncIterate": _unary(IterateRequest, lambda request: proof(backend.sync_iterate, request)),
        "GetCheckpoints": _unary(GetCheckpointsRequest, checkpoints),
        "GetDiff": _stream(GetDiffRequest, diff),
        "GetCheckpointChunk": _stream(ChunkMetadata, chunk),
    }
    handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(STORAGE, methods)
    return handler


def diff_pieces(log: list[LogEntry], request: GetDiffRequest) -> list[SyncChunk]:
    """A diff as it is sent: behind the offset key, at most so many entries, the last piece final unless cut short."""
    offset, limit = request.options.offset_key, request.options.limit
    if offset:
        keys = [key for key, _ in log]
        log = log[keys.index(offset) + 1 :] if offset in keys else []
    whole = not limit or len(log) < limit
    log = log if whole else log[:limit]
    pieces = [SyncChunk(False, tuple(log[at : at + DIFF_ENTRIES])) for at in range(0, len(log), DIFF_ENTRIES)]
    return [*pieces, SyncChunk(True, None)] if whole else pieces


def _unary(kind: type[M], answer: Callable[[M], Awaitable[bytes]]) -> Any:
    async def handle(data: bytes, context: Context) -> bytes:
        try:
            return await answer(kind.decode(data, strict=False))
        except (OasisCallError, MalformedProofError) as error:
            await _refuse(context, error)

    return grpc.unary_unary_rpc_method_handler(handle)


def _stream(kind: type[M], answer: Callable[[M], AsyncIterator[bytes]]) -> Any:
    async def handle(data: bytes, context: Context) -> AsyncIterator[bytes]:
        try:
            async for message in answer(kind.decode(data, strict=False)):
                yield message
        except (OasisCallError, MalformedProofError) as error:
            await _refuse(context, error)

    return grpc.unary_stream_rpc_method_handler(handle)


async def _refuse(context: Context, error: OasisCallError | MalformedProofError) -> NoReturn:
    """Answer with the node's own kind of error."""
    if isinstance(error, MalformedProofError):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.reason)
    details = encode_status(error.kind, error.reason)
    await context.abort(grpc.StatusCode.UNKNOWN, error.reason, ((DETAILS_KEY, details),))


class OasisClient:
    """Calls to a node, or to a service of ours. Nothing that it gives back is verified."""

    def __init__(self, address: str, *, timeout_s: float = 60.0) -> None:
        """`address`: `unix:PATH` or `HOST:PORT`. `timeout_s`: for one call; a stream of blocks has no end."""
        self.address = address
        self._timeout_s = timeout_s
        self._channel = aio.insecure_channel(address, options=_OPTIONS)

    async def close(self) -> None:
        await self._channel.close()

    async def sync_get(self, request: GetRequest, *, service: str = STORAGE) -> Proof:
        return await self._proof(service, "SyncGet", request)

    async def sync_get_prefixes(self, request: GetPrefixesRequest, *, service: str = STORAGE) -> Proof:
        return await self._proof(service, "SyncGetPrefixes", request)

    async def sync_iterate(self, request: IterateRequest, *, service: str = STORAGE) -> Proof:
        """With `service=RUNTIME` the method that production nodes have as well."""
        return await self._proof(service, "SyncIterate", request)

    async def get_diff(self, request: GetDiffRequest) -> list[LogEntry]:
        """All entries.

        Raises:
            OasisCallError: among others, where a node does not offer this method (`is_missing`).
        """
        log: list[LogEntry] = []
        final = False
        async for data in self._stream(f"/{STORAGE}/GetDiff", request.encode(), self._timeout_s):
            piece = self._decode(SyncChunk, data)
            log.extend(piece.write_log or ())
            final = piece.final
        if not final and not request.options.limit:
            raise SourceUnavailableError(self.address, "a diff ended early")
        return log

    async def get_checkpoints(self, request: GetCheckpointsRequest) -> list[Metadata]:
        data = await self._call(f"/{STORAGE}/GetCheckpoints", request.encode())
        try:
            return [Metadata.from_plain(one) for one in cbor.decode(data, size_max=MESSAGE_BYTES_MAX) or ()]
        except (MalformedProofError, TypeError) as error:
            raise OasisCallError(self.address, ("", 0), f"not a list of checkpoints: {error}") from error

    async def get_checkpoint_chunk(self, request: ChunkMetadata, *, bytes_max: int) -> bytes:
        """A chunk's file of at most `bytes_max`."""
        out = bytearray()
        async for data in self._stream(f"/{STORAGE}/GetCheckpointChunk", request.encode(), self._timeout_s):
            part = cbor.decode(data, size_max=MESSAGE_BYTES_MAX)
            if not isinstance(part, bytes) or len(out) + len(part) > bytes_max:
                raise OasisCallError(self.address, ("", 0), f"a chunk is bytes, at most {bytes_max}")
            out += part
        return bytes(out)

    async def watch_blocks(self, runtime_id: bytes) -> AsyncIterator[AnnotatedBlock]:
        """The newest block at once, then every block once its round is in the node's storage."""
        async for data in self._stream(f"/{RUNTIME}/WatchBlocks", cbor.encode(runtime_id), None):
            yield self._decode(AnnotatedBlock, data)

    async def get_block(self, request: GetBlockRequest) -> Block:
        return self._decode(Block, await self._call(f"/{RUNTIME}/GetBlock", request.encode()))

    async def get_last_retained_block(self, runtime_id: bytes) -> Block:
        return self._decode(Block, await self._call(f"/{RUNTIME}/GetLastRetainedBlock", cbor.encode(runtime_id)))

    async def _proof(self, service: str, method: str, request: Message) -> Proof:
        name = method if service == STORAGE else f"State{method}"
        return self._decode(ProofResponse, await self._call(f"/{service}/{name}", request.encode())).proof

    async def _call(self, method: str, request: bytes) -> bytes:
        try:
            call = self._channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
            answer: bytes = await call(request, timeout=self._timeout_s)
        except aio.AioRpcError as error:
            self._raise(error)
        return answer

    async def _stream(self, method: str, request: bytes, timeout_s: float | None) -> AsyncIterator[bytes]:
        try:
            call = self._channel.unary_stream(method, request_serializer=bytes, response_deserializer=bytes)
            async for message in call(request, timeout=timeout_s):
                yield message
        except aio.AioRpcError as error:
            self._raise(error)

    def _decode(self, kind: type[M], data: bytes) -> M:
        try:
            return kind.decode(data, strict=False)
        except MalformedProofError as error:
            raise OasisCallError(self.address, ("", 0), f"not a {kind.__name__}: {error.reason}") from error

    def _raise(self, error: aio.AioRpcError) -> NoReturn:
        reason = f"{error.code().name.lower()}: {error.details()}"
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise SourceUnavailableError(self.address, reason) from error
        kind = UNSUPPORTED if error.code() is grpc.StatusCode.UNIMPLEMENTED else ("", 0)
        for key, value in error.trailing_metadata() or ():
            if key == DETAILS_KEY:
                kind = decode_status(value if isinstance(value, bytes) else value.encode())
        raise OasisCallError(self.address, kind, reason) from error
