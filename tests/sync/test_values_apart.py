"""Large values of a mirror whose leaves commit to their hashes: folded without them, sent and restored with them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from flatdb import Identity, WriteLog
from flatdb.store import VALUES, Store
from proofs import HashedValue, get_kernel, get_scheme, leaf_items, state_root
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointStore
from sync.errors import CheckpointMismatchError
from sync.limits import Limits
from sync.mirror import Mirror
from sync.restored import RestoredState
from sync.state_fold import fold_leaves
from sync.values_apart import APART_BYTES_MIN, values_apart

NAMES = ("nomt-blake3", "nomt-sha2")
"""The schemes whose leaves commit to hashes of values."""


def state(rng: random.Random) -> dict[bytes, bytes]:
    """Forty leaves, of which a third are large, some at the very bound."""
    sizes = (0, 8, APART_BYTES_MIN - 1, APART_BYTES_MIN, 5_000)
    return {rng.randbytes(32): rng.randbytes(rng.choice(sizes)) for _ in range(40)}


@pytest.fixture(params=NAMES)
def mirror(request: pytest.FixtureRequest, tmp_path: Path, rng: random.Random) -> Iterator[Mirror]:
    with Mirror.create(tmp_path / "mirror", scheme=request.param) as mirror:
        leaves = state(rng)
        root = state_root(mirror.scheme, leaf_items(sorted(leaves.items())))
        mirror.apply(WriteLog(1, root=root, writes=tuple(sorted(leaves.items()))), verify=True)
        yield mirror


def lose_values(path: Path) -> None:
    """What is left is the hashes."""
    with Store.open(path / "rocksdb") as store:
        batch = store.batch()
        batch.delete_range(VALUES, b"", None)
        store.commit(batch)


def test_only_schemes_that_hash_values_keep_them_apart() -> None:
    """Fails if a mirror whose root needs the values themselves keeps them apart."""
    for name in ("mkvs", "mpt", "ethereum", "jam", "solana-lattice"):
        assert values_apart(Identity(name)) is None
    for name in NAMES:
        rule = values_apart(Identity(name))
        assert rule is not None
        assert rule.hash is get_scheme(name).capabilities.value_hash


def test_roots_and_verification_read_no_large_value(mirror: Mirror, rng: random.Random) -> None:
    """Fails if `root` or `apply(verify=True)` reads one: there are none any more, and both are right all the same."""
    leaves, path, name = dict(mirror.scan()), mirror.db.path, mirror.scheme.name
    claimed = mirror.claimed_root
    mirror.close()
    lose_values(path)
    with Mirror.open(path) as opened:
        assert opened.root() == claimed
        writes = {rng.randbytes(32): rng.randbytes(size) for size in (8, 5_000)}
        root = state_root(get_scheme(name), leaf_items(sorted({**leaves, **writes}.items())))
        record = opened.apply(WriteLog(2, root=root, writes=tuple(sorted(writes.items()))), verify=True)
        assert record.verified
        assert {violation.where for violation in opened.check()} == {"value_hashes"}


def test_a_checkpoint_is_made_of_values(mirror: Mirror, tmp_path: Path) -> None:
    """Fails if a hash stands for a value in what is sent, or if creation believes a hash without its value."""
    root = mirror.root()
    store = CheckpointStore.folder(tmp_path / "store")
    with mirror.freeze() as view:
        info = create_checkpoint(view, root, store)
    assert info.leaf_count == 40
    path = mirror.db.path
    key = next(key for key, value in mirror.scan() if len(value) >= APART_BYTES_MIN)
    mirror.close()
    with Store.open(path / "rocksdb") as raw:
        batch = raw.batch()
        batch.put(VALUES, key, bytes(APART_BYTES_MIN))
        raw.commit(batch)
    with Mirror.open(path) as damaged, damaged.freeze() as view:
        assert damaged.root() == root
        with pytest.raises(CheckpointMismatchError):
            create_checkpoint(view, root, CheckpointStore.folder(tmp_path / "other"))


def test_what_is_restored_is_folded_with_its_values(mirror: Mirror, tmp_path: Path) -> None:
    """Fails if the last fold of a restore believes hashes that were written beside the values."""
    root = mirror.root()
    leaves = list(mirror.scan())
    restored = RestoredState(tmp_path / "restored", root, Limits(), get_kernel())
    restored._db.ingest(b"L chunk", leaves)
    fold = restored.fold(lambda _: None, lambda: False)
    assert fold is not None
    assert fold.root_hash == root.hash
    restored.close()
    lose_values(tmp_path / "restored")
    restored = RestoredState(tmp_path / "restored", root, Limits(), get_kernel())
    fold = restored.fold(lambda _: None, lambda: False)
    assert fold is not None
    assert fold.root_hash != root.hash
    restored.close()


def test_a_fold_takes_both_kinds_in_one_stream(rng: random.Random) -> None:
    for name in NAMES:
        scheme, leaves = get_scheme(name), sorted(state(rng).items())
        value_hash = scheme.capabilities.value_hash
        assert value_hash is not None
        hashed = [(key, HashedValue(value_hash(value)) if len(value) > 100 else value) for key, value in leaves]
        assert fold_leaves(scheme, hashed) == fold_leaves(scheme, leaves) == state_root(scheme, leaf_items(leaves))
