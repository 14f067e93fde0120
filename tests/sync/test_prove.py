"""Proofs out of a checkpoint: always the oracle's smallest covering range, with or without a spine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from proofs import RangeProof, get_scheme, verify_range
from sync import spine as spine_module
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointStore
from sync.errors import CheckpointCorruptError, CheckpointNotFoundError, UnprovableError
from sync.limits import Limits
from sync.manifest import RANGE, SUBTREE, Cut, Manifest
from sync.prove import prove, prove_key
from sync.root import Root
from tests.faults import flip_bit
from tests.model import rlp, unslim
from tests.proofs.states import KINDS, World, make_world, random_world
from tests.sync.states import MemoryView, checkpoint, state_of


def publish(world: World, folder: Path, cut: Cut) -> tuple[CheckpointStore, bytes]:
    root = Root(world.scheme.name, "", b"", 1, world.root)
    store = CheckpointStore.folder(folder)
    return store, create_checkpoint(MemoryView(dict(world.leaves)), root, store, cut=cut).digest


def smallest(world: World, start: bytes, end: bytes | None) -> tuple[int, int]:
    """First and last (exclusive) leaf of the smallest provable range that covers [start, end), the slow way."""
    keys = [key for key, _ in world.leaves]
    bounds = [b"", *(world.model.bound(a, b) for a, b in pairwise(keys))]
    first = max(index for index, bound in enumerate(bounds) if bound <= start)
    for last in range(first + 1, len(keys) + 1):
        if last == len(keys) or (end is not None and bounds[last] >= end):
            return first, last
    raise AssertionError("the last leaf has no end")


def requests(world: World, rng: random.Random) -> Iterator[tuple[bytes, bytes | None]]:
    """Keys, bounds, and what lies beside them."""
    keys = [key for key, _ in world.leaves]
    edges = {b"", b"\xff" * 3, *keys, *(key + b"\0" for key in keys), *(key[:-1] for key in keys)}
    edges |= {world.model.bound(a, b) for a, b in pairwise(keys)}
    places = sorted(edges)
    for _ in range(9):
        start, end = rng.choice(places), rng.choice([None, *places])
        if end is None or start < end:
            yield start, end
    for key in rng.sample(places, min(4, len(places))):
        yield key, key + b"\0"


def codeless(name: str, kind: str, rng: random.Random) -> World:
    """A random state whose accounts name no code: the generators name code that nobody has."""
    world = random_world(name, kind, rng)
    if name != "ethereum":
        return world
    return make_world(name, {key: _without_code(value) if len(key) == 32 else value for key, value in world.leaves})


def _without_code(slim: bytes) -> bytes:
    return rlp([*unslim(slim)[:3], b""])


@pytest.mark.parametrize("piece_leaves", [1, 3])
@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_every_answer_is_the_oracles_smallest_range(
    tmp_path: Path, name: str, kind: str, piece_leaves: int, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a bound is off by one leaf, a piece is dropped or taken twice, or the wrong chunk is asked."""
    monkeypatch.setattr(spine_module, "PIECE_LEAVES", piece_leaves)
    for number in range(5):
        world = codeless(name, kind, rng)
        cut = Cut(rng.choice((RANGE, SUBTREE)), rng.choice((1, 2, 3, 7, 100)))
        store, digest = publish(world, tmp_path / str(number), cut)
        for start, end in requests(world, rng):
            proof, run = prove(store, digest, start, end, monitor=Deaf())
            first, last = smallest(world, start, end)
            assert tuple(run) == world.leaves[first:last]
            assert proof == world.honest(first, last)


class Deaf:
    """A monitor for answers that must come from the spine: the fallback is a failure."""

    def phase_started(self, phase: str, *, total: int | None, unit: str) -> None:
        raise AssertionError

    advanced = phase_finished = phase_started  # type: ignore[assignment]

    def event(self, name: str, **fields: object) -> None:
        raise AssertionError(f"{name}: {fields}")


@pytest.mark.parametrize("name", ["mkvs", "mpt", "ethereum"])
def test_large_states_are_proven_across_chunks(tmp_path: Path, name: str, rng: random.Random) -> None:
    view = state_of(name)
    store, info = checkpoint(name, tmp_path, Cut(RANGE, 700))
    leaves = list(view.items())
    for _ in range(15):
        first = rng.randrange(len(leaves))
        last = min(first + rng.choice((1, 2, 600, 1500)), len(leaves))
        end = leaves[last][0] if last < len(leaves) else None
        proof, run = prove(store, info.digest, leaves[first][0], end, monitor=Deaf())
        verified = verify_range(get_scheme(name), info.root.hash, proof, run)
        assert list(run)[: last - first] == leaves[first:last]
        assert len(run) - (last - first) <= 1
        assert verified.start <= leaves[first][0]


def test_present_and_absent_keys_are_proven_by_one_leaf(tmp_path: Path) -> None:
    view = state_of("mkvs")
    store, info = checkpoint("mkvs", tmp_path, Cut(RANGE, 100))
    for key in (*list(view.state)[::100], b"absent", b"", b"\xff" * 50):
        proof, run = prove_key(store, info.digest, key, monitor=Deaf())
        verified = verify_range(get_scheme("mkvs"), info.root.hash, proof, run)
        assert len(run) == 1
        assert verified.get(key) == view.state.get(key)


def test_in_the_empty_state_everything_is_absent(tmp_path: Path) -> None:
    store, info = checkpoint("mpt", tmp_path, view=MemoryView({}))
    proof, run = prove_key(store, info.digest, b"key", monitor=Deaf())
    assert proof == RangeProof(b"", None, (), ())
    assert verify_range(get_scheme("mpt"), info.root.hash, proof, run).get(b"key") is None


def test_few_leaves_are_hashed_for_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a proof folds a whole chunk although there is a spine."""
    state = {random.Random(at).randbytes(8): b"v" for at in range(6000)}
    store, info = checkpoint("mkvs", tmp_path, Cut(RANGE, 6000), MemoryView(state))
    scheme = get_scheme("mkvs")
    hashed = 0
    original = type(scheme).leaf

    def count(self: object, key: bytes, value: bytes, depth: int) -> bytes:
        nonlocal hashed
        hashed += 1
        return original(scheme, key, value, depth)  # type: ignore[arg-type]

    monkeypatch.setattr(type(scheme), "leaf", count)
    prove_key(store, info.digest, min(state), monitor=Deaf())
    assert hashed <= spine_module.PIECE_LEAVES + 1


class Heard(list[str]):
    """Names of events."""

    def event(self, name: str, **fields: object) -> None:
        self.append(name)


@pytest.mark.parametrize("damage", ["missing", "empty", "version", "index", "piece", "another's"])
def test_without_a_good_spine_the_answer_is_the_same(tmp_path: Path, damage: str) -> None:
    """Fails when a spine is believed: the proof would not verify for whoever asked."""
    view = state_of("mpt")
    store, info = checkpoint("mpt", tmp_path / "a", Cut(RANGE, 700))
    key = sorted(view.state)[300]
    expected = prove_key(store, info.digest, key, monitor=Deaf())
    path = tmp_path / "a" / "spines" / info.digest.hex()
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "another's":
        other = checkpoint("mpt", tmp_path / "b", Cut(SUBTREE, 300))[1]
        path.write_bytes((tmp_path / "b" / "spines" / other.digest.hex()).read_bytes())
    else:
        flip_bit(path, {"version": 0, "index": 17, "piece": 80}[damage])
    heard = Heard()
    assert prove_key(store, info.digest, key, monitor=heard) == expected  # type: ignore[arg-type]
    assert heard == ["spine_unusable"]


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    store, info = checkpoint("mpt", tmp_path, Cut(RANGE, 700))
    entry = store.manifest(info.digest).leaf_chunks[0]
    path = store.chunk_path(entry.digest)
    assert path is not None
    flip_bit(path, 1000)
    with pytest.raises(CheckpointCorruptError) as caught:
        prove_key(store, info.digest, b"")
    assert entry.digest.hex() in caught.value.name
    path.unlink()
    with pytest.raises(CheckpointCorruptError):
        prove_key(store, info.digest, b"")


def test_a_checkpoint_whose_leaves_are_not_its_roots_proves_nothing(tmp_path: Path) -> None:
    """Fails when a proof is handed out unverified."""
    store, info = checkpoint("mpt", tmp_path, Cut(RANGE, 700))
    manifest = store.manifest(info.digest)
    lie = Manifest(replace(manifest.root, hash=b"\1" * 32), manifest.cut, manifest.leaf_chunks)
    (tmp_path / "manifests" / lie.digest.hex()).write_bytes(lie.encoded)
    with pytest.raises(CheckpointCorruptError):
        prove_key(store, lie.digest, b"key")


def test_what_cannot_be_answered_says_why(tmp_path: Path) -> None:
    checkpoint("mkvs", tmp_path, Cut(RANGE, 100))
    store = CheckpointStore.folder(tmp_path, limits=Limits(proof_leaves_max=150))
    (info,) = store.list()
    keys = sorted(state_of("mkvs").state)
    for start, end in [(b"b", b"a"), (b"a", b"a"), (b"", None), (keys[50], keys[220])]:
        with pytest.raises(UnprovableError) as caught:
            prove(store, info.digest, start, end)
        assert (caught.value.start, caught.value.end) == (start, end)
    _, run = prove(store, info.digest, keys[50], keys[190])
    assert 140 <= len(run) <= 141
    with pytest.raises(CheckpointNotFoundError):
        prove(store, bytes(32), b"", None)
    small = CheckpointStore.folder(tmp_path, limits=Limits(chunk_bytes_max=2**21, proof_leaves_max=2**16))
    assert len(prove(small, info.digest, b"", None)[1]) == len(keys)
