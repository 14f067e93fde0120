"""CE 129 end to end: asked and answered in memory and over TCP, judged by the asking side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Thread

import pytest

from proofs import ProofError
from proofs.ce129 import HIGHEST, LOWEST, StateRequest
from sidecar.errors import SourceUnavailableError
from sidecar.jam.state_request import Carrier, StateServer, answer_state, request_state, tcp_carrier
from sidecar.jam.trace import Step


@pytest.fixture
def answerer(step: Step) -> Carrier:
    assert step.header is not None
    kept = {step.header.hash: sorted(step.after.leaves.items())}
    return answer_state(kept.get)


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
