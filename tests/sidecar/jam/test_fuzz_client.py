"""A mirror seeded and cross-checked over the fuzz protocol's Unix socket, from a target that replays recorded steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from proofs import RootMismatchError, leaf_items, state_root
from proofs.schemes.jam import JAM
from sidecar.errors import SourceUnavailableError
from sidecar.jam.fuzz_client import FuzzClient
from sidecar.jam.fuzz_message import Failure, ImportBlock, Initialize, PeerInfo, StateRoot
from sidecar.jam.header import decode_header
from sidecar.jam.replay_target import INFO, ReplayTarget, TargetServer
from sidecar.jam.trace import State, Step

US = PeerInfo("test", (0, 7, 2), (0, 0, 0))


@pytest.fixture
def client(step: Step, tmp_path: Path) -> Iterator[FuzzClient]:
    with TargetServer(tmp_path / "socket", [step]) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with FuzzClient(tmp_path / "socket", timeout_s=5) as connected:
            yield connected
        server.shutdown()
        thread.join()


def beginning(step: Step) -> Initialize:
    """The step's prior state, under some header: its parent's is not recorded."""
    return Initialize(step.block[: decode_header(step.block)[1]], sorted(step.before.leaves.items()))


def test_a_session(client: FuzzClient, step: Step) -> None:
    assert step.header is not None
    assert client.greet(US) == INFO
    seeded = client.start(beginning(step))
    assert (seeded.height, seeded.root) == (step.slot, step.before.root)
    assert dict(seeded.writes) == step.before.leaves
    assert client.import_block(b"never recorded" + bytes(400)) is None
    assert client.import_block(step.block) == step.after.root
    assert client.import_block(step.block) is None
    after = client.seed(step.header.hash, step.slot, expected_root=step.after.root)
    assert state_root(JAM(), leaf_items((k, v) for k, v in after.writes if v is not None)) == step.after.root


def test_a_state_with_another_root_is_refused(client: FuzzClient, step: Step) -> None:
    client.start(beginning(step))
    assert step.header is not None
    with pytest.raises(RootMismatchError):
        client.seed(step.header.hash, step.slot, expected_root=bytes(32))


def test_an_unknown_state_is_no_state(client: FuzzClient) -> None:
    with pytest.raises(SourceUnavailableError):
        client.seed(bytes(32), 1, expected_root=bytes(32))


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError):
        FuzzClient(tmp_path / "nowhere")


def test_a_rejected_step_is_never_replayed(step: Step) -> None:
    rejected = replace(step, after=State(step.before.root, step.before.leaves))
    assert rejected.is_rejected
    target = ReplayTarget([rejected])
    assert target.answer(beginning(step)) == StateRoot(step.before.root)
    assert isinstance(target.answer(ImportBlock(step.block)), Failure)
