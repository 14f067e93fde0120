"""Deletions as Ethereum makes them, from py-evm's blocks through `Mirror.apply` to a verified checkpoint.

Every height is applied with verification, so that a leaf too many or too few stops the test at the height that
brought it. Breaks that were tried, and what they fail with here:

- `Ethereum.implied_clears` answers nothing, only deleted accounts, or only empty storage roots; `FlatDB.preview`
  merges the write log as it was given; `_expand` forgets the clears that the log itself names: InvalidWriteLogError
  (slots that are not their account's, or nobody's) for `implied`, while `listed` passes.
- `prefix_end` ends in the middle of an account's slots: the same.
- `FlatDB._put_changes` clears after it puts: the verified fold is right and the database is not, so that the leaves
  differ at the first account without storage that is written.
- `overlay` drops puts under a cleared prefix: MirrorMismatchError.
- `Mirror._verify` does not compare: the refusals below are missed.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from flatdb import WriteLog
from flatdb.errors import InvalidWriteLogError
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointStore
from sync.errors import MirrorMismatchError
from sync.manifest import Cut
from sync.mirror import Mirror
from sync.verify import verify_checkpoint
from tests.ethereum_chain import CANCUN_COUNT, EMPTY_ACCOUNTS, SHANGHAI_LAST, Height, Manner, make_chain, write_log
from tests.model import keccak256

CHECKPOINT_EVERY = 6


@pytest.fixture(scope="module")
def chain() -> list[Height]:
    return make_chain()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with Mirror.create(tmp_path / "mirror", scheme="ethereum") as mirror:
        yield mirror
        assert list(mirror.check()) == []


def logs(chain: list[Height], manner: Manner) -> list[WriteLog]:
    return [write_log(before, after, manner) for before, after in zip([None, *chain], chain, strict=False)]


@pytest.mark.parametrize("manner", ["listed", "implied"])
def test_every_height_is_the_chains(chain: list[Height], mirror: Mirror, tmp_path: Path, manner: Manner) -> None:
    """The roots of py-evm and the leaves of py-trie, however little the write log says; fails for every break above."""
    store = CheckpointStore.folder(tmp_path / "store")
    for height, log in zip(chain, logs(chain, manner), strict=True):
        assert mirror.apply(log, verify=True).verified
        assert dict(mirror.scan()) == height.state, height.number
        assert mirror.root().hash == height.root
        if height.number % CHECKPOINT_EVERY == 0:
            check_checkpoint(mirror, store, height)


def check_checkpoint(mirror: Mirror, store: CheckpointStore, height: Height) -> None:
    """With the code of every live account, though its write log was long ago: fails if `apply` keeps no code."""
    root = mirror.claimed_root
    assert root is not None
    assert root.hash == height.root
    with mirror.freeze() as view:
        info = create_checkpoint(view, root, store, cut=Cut(chunk_leaves=16))
    assert info.leaf_count == len(height.state)
    assert list(verify_checkpoint(store, info.digest)) == []


def test_heights_are_applied_alike_without_verification(chain: list[Height], mirror: Mirror) -> None:
    """What a sidecar does between two verifications: nothing but the last root may have been looked at."""
    for log in logs(chain, "implied"):
        mirror.apply(log)
    assert mirror.root().hash == chain[-1].root
    assert dict(mirror.scan()) == chain[-1].state


def test_a_forgotten_clear_is_refused(chain: list[Height], mirror: Mirror) -> None:
    """A write log that re-creates a contract and forgets to say so leaves old slots: it may not pass.

    Fails if `apply` looks at less than all leaves of the pending height, or writes before it has looked.
    """
    refused = 0
    for height, log in zip(chain, logs(chain, "implied"), strict=True):
        before = dict(mirror.scan())
        if any(key.startswith(log.clear) for key in before.keys() - height.state.keys()):
            with pytest.raises((MirrorMismatchError, InvalidWriteLogError)):
                mirror.apply(replace(log, clear=()), verify=True)
            assert dict(mirror.scan()) == before
            refused += 1
        mirror.apply(log, verify=True)
        assert mirror.head is not None
        assert mirror.head.height == height.number
    assert refused


def test_a_destruction_that_cancun_forbids_is_refused(chain: list[Height], mirror: Mirror) -> None:
    """A node that still destroys under Cancun's rules has another root than the chain, whatever its log implies."""
    asked = 0
    for before, after, log in zip([chain[0], *chain], chain, logs(chain, "implied"), strict=False):
        for owner in sorted(after.asked & before.state.keys() & after.state.keys() - after.destroyed):
            writes = {key: value for key, value in log.writes if key[:32] != owner} | {owner: None}
            with pytest.raises((MirrorMismatchError, InvalidWriteLogError)):
                mirror.apply(replace(log, writes=tuple(sorted(writes.items()))), verify=True)
            asked += 1
        mirror.apply(log)
    assert asked


def test_the_chain_holds_every_kind_of_deletion(chain: list[Height]) -> None:
    """Fails if the generated chain loses one of the cases that the tests above are about."""
    counts = dict.fromkeys(KINDS, 0)
    gone: set[bytes] = set()
    for before, after in pairwise(chain):
        for kind in kinds(before, after):
            counts[kind] += 1
        counts["comes back at a later height"] += len(gone & after.state.keys())
        gone = (gone | after.destroyed) - after.state.keys()
    assert all(counts.values()), counts
    assert len(chain) == 1 + SHANGHAI_LAST + CANCUN_COUNT


KINDS = (
    "destroyed with its slots",
    "destroyed without slots",
    "destroyed and re-created with other slots",
    "re-created with leaves that it had before",
    "destroyed and re-created without storage",
    "destroyed, and an account without code in its place",
    "made and destroyed within the height",
    "some slots zeroed",
    "all slots zeroed",
    "an empty account touched",
    "asked for destruction under Cancun, and stayed",
    "destroyed under Cancun",
    "comes back at a later height",
)


def kinds(before: Height, after: Height) -> Iterator[str]:
    """What happened to accounts between two heights."""
    for owner in after.destroyed:
        old, new = before.slots(owner), after.slots(owner)
        if owner not in after.state:
            if owner not in before.state:
                yield "made and destroyed within the height"
                if after.number > SHANGHAI_LAST:
                    yield "destroyed under Cancun"
            else:
                yield "destroyed with its slots" if old else "destroyed without slots"
        elif old and new:
            if old.keys() - new.keys():
                yield "destroyed and re-created with other slots"
            if old.items() & new.items():
                yield "re-created with leaves that it had before"
        elif old:
            yield "destroyed and re-created without storage"
            if after.state[owner].endswith(b"\x80\x80"):
                yield "destroyed, and an account without code in its place"
    for owner in (key for key in before.state.keys() & after.state.keys() - after.destroyed if len(key) == 32):
        if before.slots(owner).keys() - after.slots(owner).keys():
            yield "some slots zeroed" if after.slots(owner) else "all slots zeroed"
        if owner in after.asked:
            yield "asked for destruction under Cancun, and stayed"
    if any(keccak256(address) in before.state.keys() - after.state.keys() for address in EMPTY_ACCOUNTS):
        yield "an empty account touched"
