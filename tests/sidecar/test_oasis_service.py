"""The storage service of a mirror, in a process of its own and in this one."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from flatdb import WriteLog
from proofs.oasis.messages import GetDiffRequest, GetRequest, OasisRoot, TreeID
from proofs.oasis.proof import verify
from sidecar.cli import main
from sidecar.oasis_status import WRITE_LOG_NOT_FOUND, OasisCallError
from sidecar.sources.oasis_grpc import OasisClient
from sidecar.sources.oasis_service import mirror_backend
from sync.mirror import Mirror
from sync.oasis.store import OasisStore
from tests.oasis_cases import NAMESPACE, numbered, root_of

OLD, NEW = numbered(40), numbered(50)
ROOTS = root_of(OLD, version=1), root_of(NEW, version=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "mirror"
    with Mirror.create(found, scheme="mkvs", kind="state", namespace=NAMESPACE) as mirror:
        mirror.apply(WriteLog(height=1, root=ROOTS[0].hash, writes=tuple(OLD)))
        added = tuple(pair for pair in NEW if pair not in OLD)
        mirror.apply(WriteLog(height=2, parent_root=ROOTS[0].hash, root=ROOTS[1].hash, writes=added))
    return found


def test_a_mirror_s_answers(path: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        backend = mirror_backend(OasisStore(tmp_path), stack.enter_context(Mirror.open(path, read_only=True)), stack)
        proof = backend.sync_get(GetRequest(TreeID(ROOTS[1], ROOTS[1].hash), b"key 45"))
        assert verify(ROOTS[1].hash, proof).get(b"key 45") == b"value 45"
        assert backend.get_diff(GetDiffRequest(*ROOTS)) == [pair for pair in NEW if pair not in OLD]
        other = replace(ROOTS[1], namespace=bytes(32))
        with pytest.raises(OasisCallError) as caught:
            backend.get_diff(GetDiffRequest(replace(ROOTS[0], namespace=bytes(32)), other))
        assert caught.value.kind == WRITE_LOG_NOT_FOUND


def test_a_mirror_without_a_root(tmp_path: Path) -> None:
    Mirror.create(tmp_path / "mirror", scheme="mkvs", kind="state", namespace=NAMESPACE).close()
    listen = f"unix:{tmp_path}/node.sock"
    arguments = ["serve-oasis", "--store", str(tmp_path), "--mirror", str(tmp_path / "mirror"), "--listen", listen]
    assert main(arguments) == 2


def test_an_address_that_cannot_be_had(tmp_path: Path) -> None:
    assert main(["serve-oasis", "--store", str(tmp_path), "--listen", f"unix:{tmp_path}/no/node.sock"]) == 3


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_until_it_is_told_to_stop(path: Path, tmp_path: Path, signum: int, code: int) -> None:
    command = [sys.executable, "-m", "leafmirror", "serve-oasis", "--store", tmp_path, "--mirror", path, "--json"]
    listen = ["--listen", f"unix:{tmp_path}/node.sock", "--listen", "127.0.0.1:0"]
    with subprocess.Popen([*command, *listen], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())["addresses"]
        assert len(addresses) == 2
        for address in addresses:
            assert asyncio.run(ask(address, ROOTS[1])) == b"value 7"
        process.send_signal(signum)
        assert process.wait(timeout=30) == code


async def ask(address: str, root: OasisRoot) -> bytes | None:
    client = OasisClient(address)
    proof = await client.sync_get(GetRequest(TreeID(root, root.hash), b"key 7"))
    await client.close()
    return verify(root.hash, proof).get(b"key 7")
