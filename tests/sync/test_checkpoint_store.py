"""The store: whole checkpoints or none, found by digest alone, leftovers gone at the next creation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointInfo, CheckpointStore, parse_digest
from sync.errors import (
    CheckpointCorruptError,
    CheckpointExistsError,
    CheckpointNotFoundError,
    StoreLockedError,
)
from sync.limits import Limits
from sync.manifest import RANGE, SUBTREE, Cut, chunk_entries
from sync.verify import verify_checkpoint
from tests.faults import SimulatedCrash, crash_before, flip_bit
from tests.sync.states import HEIGHT, MemoryView, checkpoint, root_of

VIEW = MemoryView({bytes((at,)): b"v" for at in range(60)})
CUT = Cut(RANGE, 10)


def create(store: CheckpointStore, height: int = HEIGHT, cut: Cut = CUT, kind: str = "") -> CheckpointInfo:
    """The same small state under another label or cut."""
    root = replace(root_of("mkvs", VIEW.state), height=height, kind=kind)
    return create_checkpoint(VIEW, root, store, cut=cut)


def files(store: CheckpointStore) -> set[str]:
    """Every file of the store but its lock."""
    folder = store.staging.parent
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != "lock"}


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore.folder(tmp_path / "store")


def test_a_store_that_is_not_there_is_empty(store: CheckpointStore) -> None:
    assert store.digests() == ()
    assert store.list() == ()
    assert not store.staging.parent.exists()
    with pytest.raises(CheckpointNotFoundError):
        store.manifest(bytes(32))


def test_checkpoints_are_found_by_digest_and_root(store: CheckpointStore) -> None:
    info = create(store)
    other = create(store, cut=Cut(SUBTREE, 10))
    later = create(store, height=HEIGHT + 1)
    assert store.list() == (*sorted((info, other), key=lambda i: i.digest), later)
    assert set(store.find(info.root)) == {info, other}
    assert store.find(replace(info.root, scheme="mpt")) == ()
    manifest = store.manifest(info.digest)
    assert CheckpointInfo.of(manifest) == info
    path = store.manifest_path(info.digest)
    assert path is not None
    assert path.read_bytes() == manifest.encoded
    for entry in chunk_entries(manifest):
        chunk_path = store.chunk_path(entry.digest)
        assert chunk_path is not None
        assert chunk_path.read_bytes() == store.chunk(entry.digest)


@pytest.mark.parametrize(
    "text", ["", "ab" * 31, "AB" * 32, "ab" * 32 + "\n", "../" + "a" * 61, "0x" + "a" * 62, "a" * 65]
)
def test_only_digests_are_names(text: str) -> None:
    """Fails when a string from outside could name anything but an object of ours."""
    with pytest.raises(ValueError):
        parse_digest(text)
    assert parse_digest("ab" * 32) == b"\xab" * 32


@pytest.mark.parametrize("digest", [b"", b"../../../../etc/passwd", bytes(33)])
def test_no_other_bytes_become_a_path(store: CheckpointStore, digest: bytes) -> None:
    lookups: list[Callable[[bytes], object]] = [
        store.manifest,
        store.manifest_path,
        store.chunk,
        store.chunk_path,
    ]
    for lookup in lookups:
        with pytest.raises(ValueError):
            lookup(digest)


def test_the_same_checkpoint_again_changes_nothing(store: CheckpointStore) -> None:
    info = create(store)
    before = files(store)
    with pytest.raises(CheckpointExistsError) as caught:
        create(store)
    assert caught.value.digest == info.digest
    assert files(store) == before
    assert list(verify_checkpoint(store, info.digest)) == []


def test_chunks_shared_by_checkpoints_survive_one_of_them(store: CheckpointStore) -> None:
    """Fails when removing a checkpoint removes chunks that another one names."""
    first, second = create(store), create(store, height=HEIGHT + 1)
    shared = len([name for name in files(store) if name.startswith("chunks/")])
    assert shared == first.chunk_count == second.chunk_count
    store.remove(first.digest)
    assert store.list() == (second,)
    assert list(verify_checkpoint(store, second.digest)) == []
    store.remove(second.digest)
    assert files(store) == set()
    with pytest.raises(CheckpointNotFoundError):
        store.remove(second.digest)


def test_prune_keeps_the_greatest_heights_of_each_chain(store: CheckpointStore) -> None:
    state = [create(store, height, kind="state") for height in (5, 9, 7)]
    io = [create(store, height, kind="io") for height in (1, 2)]
    removed = store.prune(2)
    assert removed == (state[0],)
    assert set(store.list()) == {state[1], state[2], *io}
    assert {info.root.height for info in store.prune(1)} == {1, 7}
    assert store.prune(1) == ()
    with pytest.raises(ValueError):
        store.prune(0)
    assert all(list(verify_checkpoint(store, info.digest)) == [] for info in store.list())


def test_creating_and_pruning_exclude_each_other(store: CheckpointStore) -> None:
    info = create(store)
    with store.stage(), pytest.raises(StoreLockedError):
        store.prune(1)
    with store.stage(), pytest.raises(StoreLockedError):
        create(CheckpointStore.folder(store.staging.parent), HEIGHT + 1)
    assert store.list() == (info,)


def crash_points() -> list[tuple[object, str, int]]:
    """Every file that creation opens, syncs or moves, one at a time."""
    return [
        (owner, name, call)
        for owner, name, calls in ((Path, "replace", 8), (Path, "write_bytes", 7), (os, "fsync", 12), (Path, "open", 9))
        for call in range(1, calls + 1)
    ]


@pytest.mark.parametrize(("owner", "name", "call"), crash_points(), ids=lambda p: getattr(p, "__name__", str(p)))
def test_a_crash_leaves_all_or_nothing(store: CheckpointStore, owner: object, name: str, call: int) -> None:
    """Fails when the manifest is written before its chunks, or a crash leaves files that nobody removes.

    What a killed process cannot do is taken away as well: the sweep on the way out.
    """
    first = create(store, HEIGHT - 1)
    before = files(store)
    with (
        mock.patch.object(CheckpointStore, "_sweep"),
        mock.patch.object(shutil, "rmtree"),
        suppress(SimulatedCrash),
        crash_before(owner, name, call=call),
    ):
        create(store, cut=Cut(RANGE, 12))
    visible = store.list()
    assert all(list(verify_checkpoint(store, info.digest)) == [] for info in visible)
    if visible == (first,):
        with store.stage():
            assert files(store) == before, "the next creation starts from what is published"
    else:
        assert len(visible) == 2


def test_leftovers_of_a_killed_creation_are_removed_by_the_next(store: CheckpointStore) -> None:
    info = create(store)
    before = files(store)
    folder = store.staging.parent
    (store.staging / "work").mkdir()
    (store.staging / "work" / "chunk-0").write_bytes(b"half")
    (folder / "chunks" / ("ab" * 32)).write_bytes(b"unnamed")
    (folder / "spines" / ("cd" * 32)).write_bytes(b"unnamed")
    assert store.list() == (info,)
    with store.stage():
        assert files(store) == before


def test_a_damaged_manifest_hides_one_checkpoint_and_keeps_all_chunks(store: CheckpointStore) -> None:
    """Fails when a sweep trusts a list of names that it could not read."""
    good, bad = create(store), create(store, cut=Cut(RANGE, 7))
    path = store.manifest_path(bad.digest)
    assert path is not None
    whole = path.read_bytes()
    flip_bit(path, 5)
    fresh = CheckpointStore.folder(store.staging.parent)
    heard: list[dict[str, object]] = []

    class Listener:
        def event(self, name: str, **fields: object) -> None:
            heard.append({"name": name, **fields})

    assert fresh.list(monitor=Listener()) == (good,)  # type: ignore[arg-type]
    assert [(event["name"], event["digest"]) for event in heard] == [("checkpoint_corrupt", bad.digest.hex())]
    with pytest.raises(CheckpointCorruptError):
        fresh.manifest(bad.digest)
    with fresh.stage():
        pass
    path.write_bytes(whole)
    assert list(verify_checkpoint(fresh, bad.digest)) == []
    flip_bit(path, 5)
    fresh.remove(bad.digest)
    assert fresh.digests() == (good.digest,)


def test_a_manifest_beyond_our_limits_is_no_checkpoint_of_ours(store: CheckpointStore) -> None:
    info = create(store)
    with pytest.raises(CheckpointCorruptError):
        CheckpointStore.folder(store.staging.parent, limits=Limits(chunks_max=2)).manifest(info.digest)


def test_manifests_are_read_once_and_forgotten_with_their_file(tmp_path: Path) -> None:
    store, info = checkpoint("mkvs", tmp_path)
    assert store.manifest(info.digest) is store.manifest(info.digest)
    path = store.manifest_path(info.digest)
    assert path is not None
    path.unlink()
    with pytest.raises(CheckpointNotFoundError):
        store.manifest(info.digest)
    for height in range(17):
        create(store, height)
    assert len(store.list()) == 17


def test_a_checkpoint_pruned_while_it_is_listed_is_left_out(store: CheckpointStore) -> None:
    info, gone = create(store), create(store, HEIGHT + 1)
    names = store.digests()
    store.remove(gone.digest)
    with mock.patch.object(store, "digests", return_value=names):
        assert store.list() == (info,)
