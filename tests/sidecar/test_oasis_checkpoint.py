"""A round's checkpoints from a mirror and the round's own write log."""

from __future__ import annotations

from pathlib import Path

import pytest

from flatdb import FlatDB, Identity, WriteLog, save_write_logs
from flatdb.errors import InvalidWriteLogError
from proofs.oasis.messages import IO, STATE
from sidecar.oasis_checkpoint import create_oasis_checkpoints, oasis_root, read_io_log
from sync.errors import CheckpointMismatchError
from sync.oasis.create import Chunking
from sync.oasis.restore import read_checkpoint
from sync.oasis.store import OasisStore
from sync.root import Root
from tests.oasis_cases import NAMESPACE, numbered, root_of

PAIRS = numbered(300)
ROOT = root_of(PAIRS, version=9)
IO_LOG = WriteLog(height=9, writes=((b"in", b"1"), (b"none", None), (b"out", b"2")))
IO_LEAVES = [(b"in", b"1"), (b"out", b"2")]
CHUNKING = Chunking(chunk_bytes=1000)


def test_both_checkpoints_of_a_round(tmp_path: Path) -> None:
    store = OasisStore(tmp_path / "store")
    with FlatDB.create(tmp_path / "db", Identity("mkvs", "state", NAMESPACE)) as db:
        db.apply(WriteLog(height=9, root=ROOT.hash, writes=tuple(PAIRS)))
        with db.freeze() as view:
            create_oasis_checkpoints(store, state=(view, ROOT), io=(IO_LOG, NAMESPACE), chunking=CHUNKING)
    io_root = root_of(IO_LEAVES, version=9, root_type=IO)
    assert {metadata.root for metadata in store.list(9)} == {ROOT, io_root}
    for root, leaves in ((ROOT, PAIRS), (io_root, IO_LEAVES)):
        assert sorted({pair for chunk in read_checkpoint(store, root) for pair in chunk.leaves}) == leaves


def test_an_io_root_that_is_claimed_is_checked(tmp_path: Path) -> None:
    store = OasisStore(tmp_path)
    wrong = WriteLog(height=9, root=bytes(32), writes=IO_LOG.writes)
    with pytest.raises(CheckpointMismatchError):
        create_oasis_checkpoints(store, state=None, io=(wrong, NAMESPACE), chunking=CHUNKING)
    with pytest.raises(ValueError, match="one version"):
        create_oasis_checkpoints(store, state=None, io=None, chunking=CHUNKING)
    right = WriteLog(height=9, root=root_of(IO_LEAVES).hash, writes=IO_LOG.writes)
    (metadata,) = create_oasis_checkpoints(store, state=None, io=(right, NAMESPACE), chunking=CHUNKING)
    assert metadata.root.root_type == IO


def test_the_write_log_of_a_round(tmp_path: Path) -> None:
    file = tmp_path / "io.ndjson"
    save_write_logs(file, [IO_LOG])
    assert read_io_log(file, 9) == IO_LOG
    with pytest.raises(InvalidWriteLogError):
        read_io_log(file, 8)
    for logs in ([], [IO_LOG, IO_LOG], [WriteLog(height=9, clear=(b"p",))]):
        save_write_logs(file, logs)
        with pytest.raises(InvalidWriteLogError):
            read_io_log(file, 9)


def test_roots_of_ours_and_of_the_chain() -> None:
    assert oasis_root(Root("mkvs", "state", NAMESPACE, 9, ROOT.hash)) == ROOT
    assert oasis_root(Root("mkvs", "", NAMESPACE, 9, ROOT.hash)).root_type == STATE
    assert oasis_root(Root("mkvs", "io", NAMESPACE, 9, ROOT.hash)).root_type == IO
    for scheme, namespace in (("jam", NAMESPACE), ("mkvs", b"")):
        with pytest.raises(ValueError, match="oasis-1"):
            oasis_root(Root(scheme, "", namespace, 9, ROOT.hash))
