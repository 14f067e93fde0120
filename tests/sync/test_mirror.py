"""Mirror: the scheme judges what the database takes, and roots are those of the leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flatdb import FlatDB, Identity, WriteLog
from flatdb.errors import DatabaseNotFoundError, InvalidWriteLogError
from proofs import UnknownSchemeError
from proofs.hashing import keccak256
from sync.errors import MirrorMismatchError
from sync.mirror import Mirror
from tests.faults import flip_bit
from tests.model import MODELS, slim_account, slot_value

ACCOUNT = b"\x11" * 32
OTHER = b"\x22" * 32
SLOTS = {b"\x01" * 32: slot_value(7), b"\x02" * 32: slot_value(300)}
CONTRACT = {ACCOUNT: slim_account(1, 5, SLOTS), **{ACCOUNT + slot: value for slot, value in SLOTS.items()}}


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with Mirror.create(tmp_path / "mirror", scheme="ethereum") as mirror:
        yield mirror
        assert list(mirror.check()) == []


def log(height: int, changes: dict[bytes, bytes | None], state: dict[bytes, bytes] | None = None) -> WriteLog:
    """Changes as a write log, claiming the root of `state` if one is given."""
    root = None if state is None else MODELS["ethereum"]().root(state)
    return WriteLog(height, root=root, writes=tuple(sorted(changes.items())))


def test_roots_are_those_of_the_leaves(mirror: Mirror) -> None:
    assert mirror.head is None
    assert mirror.claimed_root is None
    assert mirror.root().hash == MODELS["ethereum"]().empty_root
    record = mirror.apply(log(3, {**CONTRACT}, CONTRACT), verify=True)
    assert record.verified
    assert mirror.root() == mirror.claimed_root
    assert mirror.root().height == 3
    assert dict(mirror.scan()) == CONTRACT
    assert mirror.get(ACCOUNT) == CONTRACT[ACCOUNT]


def test_a_wrong_root_changes_nothing(mirror: Mirror) -> None:
    """Fails when `apply(verify=True)` commits before it compares."""
    mirror.apply(log(3, {**CONTRACT}, CONTRACT))
    lie = {OTHER: slim_account(9, 9, {})}
    with pytest.raises(MirrorMismatchError) as caught:
        mirror.apply(log(4, {OTHER: slim_account(1, 1, {})}, {**CONTRACT, **lie}), verify=True)
    assert caught.value.height == 4
    assert dict(mirror.scan()) == CONTRACT
    assert mirror.head is not None
    assert mirror.head.height == 3


def test_a_write_log_whose_leaves_contradict_each_other_changes_nothing(mirror: Mirror) -> None:
    with pytest.raises(InvalidWriteLogError):
        mirror.apply(log(1, {ACCOUNT: CONTRACT[ACCOUNT]}, CONTRACT), verify=True)
    assert mirror.head is None


def test_a_root_claimed_by_nobody_is_not_checked(mirror: Mirror) -> None:
    assert not mirror.apply(log(1, {**CONTRACT}), verify=True).verified
    assert mirror.claimed_root is None


def test_a_repeat_is_verified_once(mirror: Mirror) -> None:
    first = log(1, {**CONTRACT}, CONTRACT)
    assert mirror.apply(first, verify=True) == mirror.apply(first, verify=True)


@pytest.mark.parametrize("gone", [None, slim_account(2, 0, {})], ids=["deleted", "re-created without storage"])
def test_an_account_takes_its_storage_with_it(mirror: Mirror, gone: bytes | None) -> None:
    """Fails when the scheme's implied clears do not reach the database, before a reopening or after it."""
    mirror.apply(log(1, {**CONTRACT, OTHER: slim_account(0, 1, {})}))
    after = {OTHER: slim_account(0, 1, {})} | ({} if gone is None else {ACCOUNT: gone})
    mirror.close()
    with Mirror.open(mirror.db.path) as reopened:
        reopened.apply(log(2, {ACCOUNT: gone}, after), verify=True)
        assert dict(reopened.scan()) == after
    mirror.db = FlatDB.open(mirror.db.path)


@pytest.mark.parametrize(
    "write_log",
    [
        WriteLog(1, writes=((b"\1" * 31, b"\1"),)),
        WriteLog(1, writes=((ACCOUNT, b"\xc0"),)),
        WriteLog(1, writes=((ACCOUNT + OTHER, b"\x80"),)),
        WriteLog(1, code=((keccak256(b"code"), b"other"),)),
        WriteLog(1, writes=((OTHER, None), (ACCOUNT, None))),
    ],
    ids=["key size", "slim form", "zero slot", "other code", "order"],
)
def test_what_the_scheme_does_not_allow_changes_nothing(mirror: Mirror, write_log: WriteLog) -> None:
    with pytest.raises(InvalidWriteLogError):
        mirror.apply(write_log)
    assert mirror.head is None


def test_code_is_kept_beside_the_leaves(mirror: Mirror) -> None:
    mirror.apply(WriteLog(1, code=((keccak256(b"code"), b"code"),)))
    with mirror.freeze() as view:
        assert view.blob(keccak256(b"code")) == b"code"


def test_code_means_nothing_to_a_scheme_without_it(tmp_path: Path) -> None:
    with Mirror.create(tmp_path / "m", scheme="mkvs", kind="state", namespace=b"\1") as mirror:
        with pytest.raises(InvalidWriteLogError):
            mirror.apply(WriteLog(1, code=((keccak256(b"code"), b"code"),)))
        mirror.flush()
        assert (mirror.root().kind, mirror.root().namespace) == ("state", b"\1")


def test_unknown_schemes_and_impossible_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownSchemeError):
        Mirror.create(tmp_path / "a", scheme="patricia")
    with pytest.raises(ValueError):
        Mirror.create(tmp_path / "b", scheme="mkvs", kind="no such kind")
    with pytest.raises(DatabaseNotFoundError):
        Mirror.open(tmp_path / "c")
    FlatDB.create(tmp_path / "d", Identity("patricia")).close()
    for _ in range(2):  # the second one fails when the first has kept the lock
        with pytest.raises(UnknownSchemeError):
            Mirror.open(tmp_path / "d")


def test_check_reports_leaves_that_the_scheme_does_not_allow(tmp_path: Path) -> None:
    """Fails when `check` trusts the database, or stops at the first finding."""
    with FlatDB.create(tmp_path / "m", Identity("ethereum")) as db:
        db.apply(WriteLog(1, root=bytes(32), writes=((b"\1", b"\1"), (b"\2", b"\2"))))
    with Mirror.open(tmp_path / "m", read_only=True) as mirror:
        assert len(list(mirror.check())) == 3
    with FlatDB.create(tmp_path / "n", Identity("mkvs")) as db:
        db.apply(WriteLog(1, root=bytes(32), writes=((b"\1", b"\1"),)))
    with Mirror.open(tmp_path / "n") as mirror:
        assert [violation.where for violation in mirror.check()] == ["leaves"]


def test_check_reports_damaged_blocks_and_goes_on(tmp_path: Path) -> None:
    """Fails when a scan that ends at a damaged block ends the check with an exception."""
    with Mirror.create(tmp_path / "m", scheme="mkvs") as mirror:
        writes = tuple((at.to_bytes(4, "big"), b"value" * 20) for at in range(5000))
        mirror.apply(WriteLog(1, root=bytes(32), writes=writes))
        mirror.flush()
    tables = sorted((tmp_path / "m").rglob("*.sst"), key=lambda path: path.stat().st_size)
    flip_bit(tables[-1], 1000)
    with Mirror.open(tmp_path / "m", read_only=True) as mirror:
        assert [violation.where for violation in mirror.check()]
