"""CE 129 end to end: asked and answered in memory and over TCP, judged by the asking side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from proofs import ProofError, leaf_items
from proofs.ce129 import HIGHEST, LOWEST, StateRequest
from sidecar.errors import SourceUnavailableError
from sidecar.jam.state_request import (
    Carrier,
    StateServer,
    answer_state,
    checkpoint_states,
    request_state,
    tcp_carrier,
)
from sidecar.jam.trace import Step
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointStore
from sync.manifest import SUBTREE, Cut
from sync.root import Root
from tests.sync.states import MemoryView


@pytest.fixture
def answerer(step: Step) -> Carrier:
    assert step.header is not None
    header, items = step.header, list(leaf_items(sorted(step.after.leaves.items())))
    return answer_state(lambda request: items if request.header_hash == header.hash else None)


@pytest.fixture(params=["memory", "tcp"])
def carrier(request: pytest.FixtureRequest, answerer: Carrier) -> Iterator[Carrier]:
    if request.param == "memory":
        yield answerer
        return
    with StateServer("127.0.0.1", 0, answerer, timeout_s=5) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        host, port = server.server_address[:2]
        yield tcp_carrier(str(host), int(port), timeout_s=5)
        server.shutdown()
        thread.join()


def test_a_walk_gives_the_whole_state(carrier: Carrier, step: Step) -> None:
    assert step.header is not None
    start, more, leaves = LOWEST, True, []
    while more:
        request = StateRequest(step.header.hash, start, HIGHEST, 20_000)
        verified, more = request_state(carrier, step.after.root, request)
        leaves += list(verified.run)
        start = (int.from_bytes(verified.run.keys[-1]) + 1).to_bytes(31)
    assert dict(leaves) == step.after.leaves
    assert len(leaves) == 92


@pytest.mark.parametrize("cut", [Cut(chunk_leaves=5), Cut(SUBTREE, chunk_leaves=8), Cut(chunk_leaves=1000)])
def test_a_checkpoint_answers_as_the_whole_state_does(
    answerer: Carrier, step: Step, tmp_path: Path, rng: Random, cut: Cut
) -> None:
    """Byte for byte, for any range and size, out of a few chunks and the spine."""
    assert step.header is not None
    store = CheckpointStore.folder(tmp_path)
    root = Root("jam", "", b"", step.slot, step.after.root)
    info = create_checkpoint(MemoryView(step.after.leaves), root, store, cut=cut)
    carrier = answer_state(checkpoint_states(store, {step.header.hash: info.digest}))
    keys = sorted(step.after.leaves)
    for _ in range(40):
        start, end = sorted(rng.choice((rng.randbytes(31), rng.choice(keys))) for _ in range(2))
        request = StateRequest(step.header.hash, start, end, rng.choice((0, 900, 5000, 2**32 - 1)))
        question = b"\x81" + (98).to_bytes(4, "little") + request.encode()
        assert carrier(question) == answerer(question)
        request_state(carrier, step.after.root, request)


def test_an_unknown_block_is_rejected(carrier: Carrier, step: Step) -> None:
    with pytest.raises(ProofError):
        request_state(carrier, step.after.root, StateRequest(bytes(32), LOWEST, HIGHEST, 1000))


@pytest.mark.parametrize("question", [b"", b"\x80", b"\x81", b"\x81" + bytes(4), b"\x81\x62\0\0\0" + bytes(97)])
def test_a_malformed_question_is_rejected(answerer: Carrier, question: bytes) -> None:
    assert answerer(question) == b""


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: answer[:-1],
        lambda answer: answer + b"\0",
        lambda answer: answer[:100] + bytes((answer[100] ^ 1,)) + answer[101:],
        lambda answer: answer[:-40] + bytes((answer[-40] ^ 1,)) + answer[-39:],
        lambda answer: b"\xff\xff\xff\xff" + answer[4:],
    ],
    ids=["cut", "longer", "node", "value", "length"],
)
def test_a_spoilt_answer_is_refused(answerer: Carrier, step: Step, spoil: Callable[[bytes], bytes]) -> None:
    assert step.header is not None
    request = StateRequest(step.header.hash, LOWEST, HIGHEST, 20_000)
    with pytest.raises(ProofError):
        request_state(lambda question: spoil(answerer(question)), step.after.root, request)


def test_nobody_listens() -> None:
    with StateServer("127.0.0.1", 0, lambda question: b"") as server:
        port = server.server_address[1]
    with pytest.raises(SourceUnavailableError):
        tcp_carrier("127.0.0.1", int(port), timeout_s=1)(b"")
