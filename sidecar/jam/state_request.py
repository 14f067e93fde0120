"""CE 129 over any stream: who answers, who asks, and one carrier over plain TCP.

JAMNP-S gives each request a stream of its own: a byte for the kind, length-prefixed messages, and an end in each
direction. That is one exchange of bytes, so a carrier is a function from all bytes of the question to all bytes of the
answer; an answerer is such a function already, which makes the in-memory carrier. JAM's own carrier is QUIC with
certificates of validators; whoever has one wraps it the same way. An empty answer is a rejection.
"""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Callable, Iterator, Mapping, Sequence

from proofs import (
    IncompleteRangeError,
    Item,
    LeafRun,
    MalformedProofError,
    ProofError,
    VerifiedRange,
    get_scheme,
    leaf_items,
)
from proofs.ce129 import HIGHEST, LOWEST, REQUEST_BYTES, StateAnswer, StateRequest, prove_state, verify_state
from proofs.range_proof import expand_left, expand_right
from sidecar.errors import SourceUnavailableError
from sync.checkpoint_store import CheckpointStore
from sync.cut import LEAF_BYTES, RUN_BYTES
from sync.errors import UnprovableError
from sync.manifest import Manifest
from sync.prove import prove

__all__ = ["Carrier", "StateServer", "answer_state", "checkpoint_states", "fetch_state", "request_state", "tcp_carrier"]

STREAM_KIND = 129
_JAM = get_scheme("jam")
LENGTH_BYTES = 4
ANSWER_BYTES_MAX = 64 * 2**20
"""A peer may send one value beyond the size that was asked for; no honest state has a larger one."""
FETCH_BYTES_MAX = 4 * 2**20
"""Bytes of nodes and pairs asked for at a time."""
TIMEOUT_S = 30.0
_QUESTION_BYTES = 1 + LENGTH_BYTES + REQUEST_BYTES

Carrier = Callable[[bytes], bytes]
"""All bytes of one stream's question to all bytes of its answer."""
States = Callable[[StateRequest], Sequence[Item] | None]
"""What a request is proven from (see `proofs.ce129.prove_state`), or None: the block's posterior state is not kept."""


def answer_state(states: States) -> Carrier:
    """An answerer for the states that are kept; anything malformed or unknown is rejected."""

    def answer(question: bytes) -> bytes:
        try:
            if question[:1] != bytes((STREAM_KIND,)):
                return b""
            request = StateRequest.decode(_split(question[1:], 1)[0])
        except ProofError:
            return b""
        try:
            items = states(request)
        except UnprovableError:
            return b""
        return b"" if items is None else b"".join(map(_frame, prove_state(items, request).encode()))

    return answer


def checkpoint_states(store: CheckpointStore, digests: Mapping[bytes, bytes]) -> States:
    """States out of published checkpoints: header hash of a block -> digest of its posterior state's manifest.

    Reads the chunks that the request can fill, and the spine around them; nothing is folded anew.
    """

    def items_of(request: StateRequest) -> Sequence[Item] | None:
        digest = digests.get(request.header_hash)
        if digest is None:
            return None
        end = _end_within(store.manifest(digest), request)
        proof, run = prove(store, digest, request.start, end)
        return [*expand_left(_JAM, proof), *leaf_items(run), *expand_right(_JAM, proof)]

    return items_of


def _end_within(manifest: Manifest, request: StateRequest) -> bytes | None:
    """Where to stop reading: behind the chunk in which `size_max` is reached, or behind the range asked for."""
    size = 0
    for index, entry in enumerate(manifest.leaf_chunks):
        end = manifest.end(index)
        if end is not None and end <= request.start:
            continue
        # Keys and values alone: what a pair has besides, and the nodes, only make fewer of them fit.
        size += entry.run_size - RUN_BYTES - LEAF_BYTES * entry.leaf_count if entry.start > request.start else 0
        if end is None or end > request.end:
            break
        if size > request.size_max:
            return end
    return request.end + b"\0"


def request_state(carrier: Carrier, root_hash: bytes, request: StateRequest) -> tuple[VerifiedRange, bool]:
    """Ask, and judge the answer against a trusted root; says whether there is, or may be, more up to `request.end`.

    Raises:
        ProofError: the answer is malformed or false, or the request was rejected.
        SourceUnavailableError: from the carrier.
    """
    answer = carrier(bytes((STREAM_KIND,)) + _frame(request.encode()))
    nodes, pairs = _split(answer, 2)
    return verify_state(root_hash, request, StateAnswer.decode(nodes, pairs))


def fetch_state(
    carrier: Carrier, root_hash: bytes, header_hash: bytes, *, size_max: int = FETCH_BYTES_MAX
) -> Iterator[LeafRun]:
    """The whole state of a block, answer by answer, each proven before it is handed out.

    Raises:
        As `request_state`.
    """
    start, more = LOWEST, True
    while more:
        verified, more = request_state(carrier, root_hash, StateRequest(header_hash, start, HIGHEST, size_max))
        yield verified.run
        if more:
            # With no bound to stop at, whoever has more to send sends at least one pair.
            if not verified.run:
                raise IncompleteRangeError(start, "an answer without leaves although there are more")
            start = (int.from_bytes(verified.run.keys[-1]) + 1).to_bytes(len(LOWEST))


def tcp_carrier(host: str, port: int, *, timeout_s: float = TIMEOUT_S) -> Carrier:
    """One connection an exchange."""

    def exchange(question: bytes) -> bytes:
        try:
            with socket.create_connection((host, port), timeout=timeout_s) as connection:
                connection.sendall(question)
                connection.shutdown(socket.SHUT_WR)
                return _receive(connection, ANSWER_BYTES_MAX)
        except OSError as error:
            raise SourceUnavailableError(f"{host}:{port}", str(error)) from error

    return exchange


class StateServer(socketserver.ThreadingTCPServer):
    """Answers on a TCP port (0: any free one, see `server_address`). Use as a context manager and `serve_forever`."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, answer: Carrier, *, timeout_s: float = TIMEOUT_S) -> None:
        self.answer = answer
        self.timeout_s = timeout_s
        super().__init__((host, port), _Connection)


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, StateServer)
        self.request.settimeout(self.server.timeout_s)
        try:
            self.request.sendall(self.server.answer(_receive(self.request, _QUESTION_BYTES)))
        except OSError:
            return  # The peer went away or sent too much: there is nobody to tell.


def _receive(connection: socket.socket, bytes_max: int) -> bytes:
    """Everything up to the end of the stream.

    Raises:
        OSError: more than `bytes_max`, or the connection broke.
    """
    parts, size = [], 0
    while part := connection.recv(1 << 16):
        size += len(part)
        if size > bytes_max:
            raise OSError(f"sent more than {bytes_max} bytes")
        parts.append(part)
    return b"".join(parts)


def _frame(message: bytes) -> bytes:
    return len(message).to_bytes(LENGTH_BYTES, "little") + message


def _split(data: bytes, count: int) -> list[bytes]:
    """Exactly `count` length-prefixed messages.

    Raises:
        MalformedProofError
    """
    messages, at = [], 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + LENGTH_BYTES], "little")
        at += LENGTH_BYTES + size
        if at > len(data):
            raise MalformedProofError("the stream was rejected, or ends inside a message", len(data))
        messages.append(data[at - size : at])
    if at != len(data):
        raise MalformedProofError("bytes follow the last message", at)
    return messages
