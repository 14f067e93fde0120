"""A conformance target that executes nothing: it answers from recorded steps.

Known blocks lead from their prior state to their posterior one; anything else is rejected. It passes a fuzzer's
recorded session, and stands in for a node wherever the fuzz protocol is spoken.
"""

from __future__ import annotations

import socketserver
from collections.abc import Iterable, Mapping
from pathlib import Path

from proofs import ProofError, get_scheme, leaf_items, state_root
from sidecar.jam.fuzz_client import receive_message, send_message
from sidecar.jam.fuzz_message import (
    Failure,
    GetState,
    ImportBlock,
    Initialize,
    Message,
    PeerInfo,
    StateMessage,
    StateRoot,
    header_of,
)
from sidecar.jam.trace import State, Step

__all__ = ["ReplayTarget", "TargetServer"]

_JAM = get_scheme("jam")
INFO = PeerInfo("leafmirror-replay", jam_version=(0, 7, 2), app_version=(0, 1, 0))


class ReplayTarget:
    """One session's state: the states reached so far by header hash, and which came last."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = {step.block: step for step in steps if not step.is_rejected}
        self._states: dict[bytes, State] = {}
        self._current: bytes | None = None

    def answer(self, message: Message) -> Message:
        """The answer to one message; what cannot be answered is a failure."""
        match message:
            case PeerInfo():
                return INFO
            case Initialize():
                leaves = dict(message.leaves)
                root = state_root(_JAM, leaf_items(sorted(leaves.items())))
                return self._reach(header_of(message).hash, State(root, leaves))
            case ImportBlock():
                return self._import(message)
            case GetState(header_hash) if header_hash in self._states:
                return StateMessage(sorted(self._states[header_hash].leaves.items()))
            case _:
                return Failure(b"not known here")

    def _import(self, message: ImportBlock) -> Message:
        step = self._steps.get(message.block)
        known: Mapping[bytes, State] = self._states
        if step is None or self._current is None or known[self._current].root != step.before.root:
            return Failure(b"no recorded step leads on from here")
        return self._reach(header_of(message).hash, step.after)

    def _reach(self, header_hash: bytes, state: State) -> StateRoot:
        self._states[header_hash] = state
        self._current = header_hash
        return StateRoot(state.root)


class TargetServer(socketserver.UnixStreamServer):
    """A target on a Unix socket, one session after the other, each from the beginning."""

    def __init__(self, path: Path, steps: Iterable[Step]) -> None:
        self.steps = tuple(steps)
        super().__init__(str(path), _Session)


class _Session(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, TargetServer)
        target = ReplayTarget(self.server.steps)
        try:
            while True:
                send_message(self.request, target.answer(receive_message(self.request)))
        except (OSError, ProofError):
            return  # The fuzzer left, or speaks another language: the session is over.
