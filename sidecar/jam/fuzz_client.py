"""The fuzz protocol's asking side: seed and cross-check a mirror from any conformance target, over its Unix socket.

`GetState` returns all leaves of a state and `StateRoot` what the target says it commits to; both are claims, and the
fold decides. Blocking; one question at a time, as the protocol has it.
"""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType

from flatdb import WriteLog
from proofs import ProofError, RootMismatchError, get_scheme, leaf_items, state_root
from sidecar.errors import InvalidImportError, SourceUnavailableError
from sidecar.jam.fuzz_message import (
    MESSAGE_BYTES_MAX,
    Failure,
    GetState,
    ImportBlock,
    Initialize,
    Message,
    PeerInfo,
    StateMessage,
    StateRoot,
    decode_message,
    encode_message,
    header_of,
)
from sidecar.jam.header import TINY, ChainSpec

__all__ = ["FuzzClient", "receive_message", "send_message"]

TIMEOUT_S = 60.0
_JAM = get_scheme("jam")


class FuzzClient:
    """A session with one target. A context manager.

    Raises (all methods): SourceUnavailableError: the target is gone or answers nonsense.
    """

    def __init__(self, path: Path, *, spec: ChainSpec = TINY, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._spec = spec
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise SourceUnavailableError(str(path), str(error)) from error

    def __enter__(self) -> FuzzClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def greet(self, info: PeerInfo) -> PeerInfo:
        """Say who we are, before anything else; learn who the target is."""
        answer = self._ask(info)
        if not isinstance(answer, PeerInfo):
            raise self._nonsense(answer)
        return answer

    def initialize(self, message: Initialize) -> bytes:
        """Have the target start from a state; returns the root that it computes."""
        return self._root_of(self._ask(message))

    def import_block(self, block: bytes) -> bytes | None:
        """Have the target import a block; returns its posterior root, or None: rejected."""
        answer = self._ask(ImportBlock(block))
        return None if isinstance(answer, Failure) else self._root_of(answer)

    def seed(self, header_hash: bytes, height: int, *, expected_root: bytes) -> WriteLog:
        """All leaves of a state, as the first write log of a mirror; they fold to `expected_root`.

        Raises:
            InvalidImportError: leaves that no JAM state holds.
            RootMismatchError: the target's leaves are not the state that it says.
        """
        answer = self._ask(GetState(header_hash))
        if not isinstance(answer, StateMessage):
            raise self._nonsense(answer)
        leaves = sorted(answer.leaves)
        try:
            for key, value in leaves:
                _JAM.check_leaf(key, value)
            computed = state_root(_JAM, leaf_items(leaves))
        except ProofError as error:
            raise InvalidImportError(f"state of {header_hash.hex()}", str(error)) from error
        if computed != expected_root:
            raise RootMismatchError(expected_root, computed)
        return WriteLog(height=height, root=computed, writes=tuple(leaves))

    def start(self, message: Initialize) -> WriteLog:
        """Initialize the target, and seed a mirror from what it then holds, at the slot of the header."""
        root = self.initialize(message)
        header = header_of(message, spec=self._spec)
        return self.seed(header.hash, header.slot, expected_root=root)

    def _ask(self, message: Message) -> Message:
        try:
            send_message(self._socket, message)
            return receive_message(self._socket, spec=self._spec)
        except (OSError, ProofError) as error:
            raise SourceUnavailableError(str(self._path), str(error)) from error

    def _root_of(self, answer: Message) -> bytes:
        if not isinstance(answer, StateRoot):
            raise self._nonsense(answer)
        return answer.root

    def _nonsense(self, answer: Message) -> SourceUnavailableError:
        return SourceUnavailableError(str(self._path), f"answers with {type(answer).__name__}")


def send_message(connection: socket.socket, message: Message) -> None:
    """One message with its length."""
    body = encode_message(message)
    connection.sendall(len(body).to_bytes(4, "little") + body)


def receive_message(connection: socket.socket, *, spec: ChainSpec = TINY) -> Message:
    """The next message.

    Raises:
        ConnectionError: the other side is gone, or announces more than MESSAGE_BYTES_MAX.
        MalformedProofError
    """
    size = int.from_bytes(_receive_exactly(connection, 4), "little")
    if size > MESSAGE_BYTES_MAX:
        raise ConnectionError(f"a message of {size} bytes; at most {MESSAGE_BYTES_MAX} are read")
    return decode_message(_receive_exactly(connection, size), spec=spec)


def _receive_exactly(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            raise ConnectionError("the connection ended")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
