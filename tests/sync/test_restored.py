"""RestoredState: ranges as names, the fold over the database's own disk, and who may work on it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdb import FlatDB
from flatdb.errors import DatabaseCorruptError, IncompleteDatabaseError
from proofs import get_kernel, leaf_run
from proofs.schemes.solana import AccountLeaf
from sync.errors import RestoreConflictError
from sync.held import HeldRange
from sync.judge import VerifiedChunk
from sync.limits import Limits
from sync.manifest import LeafEntry
from sync.restored import RestoredState, decode_range, encode_range, restore_key, touching
from sync.root import Root
from tests.sync.states import root_of, state_of

ROOT = root_of("mkvs", state_of("mkvs").state)


def begin(path: Path, root: Root = ROOT) -> RestoredState:
    return RestoredState(path, root, Limits(), get_kernel())


@given(st.binary(max_size=300), st.none() | st.binary(max_size=300))
def test_ranges_there_and_back(start: bytes, end: bytes | None) -> None:
    """Fails if "no end" and an empty end are one, or if two ranges share a name."""
    assert decode_range(encode_range(start, end)) == (start, end)


def test_the_longest_keys_fit_a_name(tmp_path: Path) -> None:
    longest = HeldRange(b"\xfe" * 8191, b"\xff" * 8191)
    state = begin(tmp_path / "db")
    state._db.ingest(b"L" + encode_range(longest.start, longest.end), [])
    state._db.ingest(b"C" + bytes(32), [])
    assert state.ranges() == [longest]
    state.close()


def test_every_field_of_the_root_is_in_the_key() -> None:
    others = [
        Root("mpt", ROOT.kind, ROOT.namespace, ROOT.height, ROOT.hash),
        Root("mkvs", "io", ROOT.namespace, ROOT.height, ROOT.hash),
        Root("mkvs", ROOT.kind, b"n", ROOT.height, ROOT.hash),
        Root("mkvs", ROOT.kind, ROOT.namespace, ROOT.height + 1, ROOT.hash),
        Root("mkvs", ROOT.kind, ROOT.namespace, ROOT.height, bytes(32)),
    ]
    assert len({restore_key(root) for root in (ROOT, *others)}) == 6


def test_two_restores_of_one_directory(tmp_path: Path) -> None:
    """A second process, or a second call, is told that somebody works here."""
    first = begin(tmp_path / "db")
    with pytest.raises(RestoreConflictError):
        begin(tmp_path / "db")
    first.close()
    begin(tmp_path / "db").close()


bounds = st.lists(st.integers(0, 30), min_size=2, max_size=12, unique=True).map(sorted)


@given(st.data())
def test_only_chunks_that_touch_are_written_as_one(data: st.DataObject) -> None:
    """Fails if a gap is bridged: the table would reach over leaves that another one brings."""
    edges = data.draw(bounds)
    ranges = [(bytes([a]), bytes([b]) if b < 30 else None) for a, b in pairwise(edges)]
    kept = [one for one in ranges if data.draw(st.booleans())]
    chunks = [SimpleNamespace(request=SimpleNamespace(entry=SimpleNamespace(start=a), end=b)) for a, b in kept]
    shuffled = data.draw(st.permutations(chunks))
    groups = [[(one.request.entry.start, one.request.end) for one in group] for group in touching(shuffled)]
    assert [one for group in groups for one in group] == kept
    assert all(a[1] == b[0] for group in groups for a, b in pairwise(group))
    assert all(a[-1][1] != b[0][0] for a, b in pairwise(groups))


def leaves(tmp_path: Path) -> RestoredState:
    state = begin(tmp_path / "db")
    state._db.ingest(b"L" + encode_range(b"", None), sorted(state_of("mkvs").state.items()))
    return state


def test_what_an_earlier_run_has_staged_gives_way_too(tmp_path: Path) -> None:
    """Fails if a restore that goes on knows no ranges but those that it has staged itself."""
    root = root_of("solana-lattice", {})
    key, account = bytes(31) + b"\1", AccountLeaf(1, bytes(32), False, b"").encode()
    first = begin(tmp_path / "db", root)
    first.store([staged(b"", None, [(key, account)])])
    first.close()
    second = begin(tmp_path / "db", root)
    second.store([staged(b"\1", None, [])])  # displaces all that the first one staged
    assert second.ranges() == [HeldRange(b"\1", None, bytes(31) + b"\1")]
    assert list(second._db.scan()) == []
    second.close()


def staged(start: bytes, end: bytes | None, leaves: list[tuple[bytes, bytes]]) -> VerifiedChunk:
    entry = LeafEntry(start, len(leaves), 4, bytes(31) + bytes((len(leaves) + 1,)), 0, bytes(32))
    request = SimpleNamespace(entry=entry, end=end)
    return cast(VerifiedChunk, SimpleNamespace(request=request, run=leaf_run(leaves), is_code=False))


def test_the_fold_is_that_of_the_database(tmp_path: Path) -> None:
    state = leaves(tmp_path)
    heard: list[int] = []
    fold = state.fold(heard.append, lambda: False)
    assert fold is not None
    assert (fold.root_hash, fold.leaf_count) == (ROOT.hash, len(state_of("mkvs").state))
    state.close()
    with pytest.raises(IncompleteDatabaseError):
        FlatDB.open(tmp_path / "db")
    begin(tmp_path / "db").seal()
    with FlatDB.open(tmp_path / "db") as db:
        assert db.head is not None
        assert (db.head.height, db.head.root, db.head.verified) == (ROOT.height, ROOT.hash, True)
        assert not list(db.check())


def test_a_fold_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = leaves(tmp_path)
    monkeypatch.setattr("sync.state_fold.RUN_LEAVES", 100)
    heard: list[int] = []
    assert state.fold(heard.append, lambda: len(heard) == 3) is None
    assert heard == [100, 100, 100]
    state.close()


def test_leaves_that_no_state_holds_are_damage(tmp_path: Path) -> None:
    state = RestoredState(tmp_path / "db", root_of("ethereum", {}), Limits(), get_kernel())
    state._db.ingest(b"L" + encode_range(b"", None), [(b"\1" * 32, b"no account")])
    with pytest.raises(DatabaseCorruptError):
        state.fold(lambda count: None, lambda: False)
    state.close()
