"""Restores of a state whose root is a sum: everything is staged, and nobody is convicted before a total is right."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest

from flatdb import FlatDB
from flatdb.errors import IncompleteDatabaseError
from proofs import ProofError, ProofNode, RangeProof, get_scheme, leaf_run
from proofs.schemes.solana import AccountLeaf
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.chunk import LeafChunk, accept_leaf_chunk
from sync.errors import NoPeersLeftError, UnprovableError
from sync.events import ChunkStored, Event, ManifestDropped, PeerFaulted
from sync.limits import Limits
from sync.manifest import Cut, LeafEntry
from sync.peers import Verdict
from sync.prove import prove_key
from sync.restore import Restore
from sync.root import Root
from sync.spine import SpineWriter
from sync.verify import verify_checkpoint
from tests.simnet import INLINE, SimFetcher, SimPeer, chunks_only, flip, run_stepped
from tests.sync.states import MemoryView, root_of

E = TypeVar("E")
State = dict[bytes, bytes]

SCHEME = "solana-lattice"
CUT = Cut(chunk_leaves=10)
LIMITS = Limits(attempts_max=4)


def accounts(seed: str, count: int = 95) -> State:
    rng = random.Random(seed)
    return {
        rng.randbytes(32): AccountLeaf(rng.randrange(1, 2**60), rng.randbytes(32), False, rng.randbytes(9)).encode()
        for _ in range(count)
    }


def richer(state: State, index: int = 42) -> State:
    """The same state with one lamport more in one account."""
    key = sorted(state)[index]
    account = AccountLeaf.decode(state[key])
    return state | {key: replace(account, lamports=account.lamports + 1).encode()}


def without(state: State, index: int = 42) -> State:
    return {key: value for key, value in state.items() if key != sorted(state)[index]}


def extended(state: State) -> State:
    return state | accounts("more", 1)


@dataclass
class World:
    """One true state and its root, a folder for stores, and a directory to restore to."""

    folder: Path
    state: State
    events: list[Event] = field(default_factory=list)

    @property
    def root(self) -> Root:
        return root_of(SCHEME, self.state)

    @property
    def to(self) -> Path:
        return self.folder / "db"

    def peer(self, name: str, state: State | None = None, cut: Cut = CUT) -> SimPeer:
        """A peer that offers a checkpoint of `state` as one of the true root: chunks, digests and all."""
        claimed = self.state if state is None else state
        store = CheckpointStore.folder(self.folder / name)
        info = create_checkpoint(MemoryView(claimed), root_of(SCHEME, claimed), store, cut=cut)
        manifest = replace(store.manifest(info.digest), root=self.root)
        return SimPeer(store, offers=(CheckpointInfo.of(manifest),), extra={manifest.digest: manifest.encoded})

    def restore(self, peers: dict[str, SimPeer], *, stop_after: int | None = None) -> None:
        run_stepped(self._restore(peers, stop_after))

    async def _restore(self, peers: dict[str, SimPeer], stop_after: int | None) -> None:
        self.events = []
        fetcher = SimFetcher(peers, LIMITS)
        jitter = random.Random(1).random
        running = Restore(
            list(peers), self.root, self.to, limits=LIMITS, fetcher=fetcher, workers=INLINE, jitter=jitter
        )
        async with running:
            async for event in running:
                self.events.append(event)
                if stop_after is not None and len(self.of(ChunkStored)) >= stop_after:
                    break

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def convicted(self) -> set[str]:
        return {event.peer for event in self.of(PeerFaulted) if event.verdict is Verdict.MISBEHAVED}

    def check(self) -> None:
        """The database is a mirror of exactly the true state."""
        with FlatDB.open(self.to) as db:
            assert dict(db.scan()) == self.state
            assert db.head is not None
            assert db.head.root == self.root.hash
            assert not list(db.check())

    def check_refused(self) -> None:
        with pytest.raises(IncompleteDatabaseError):
            FlatDB.open(self.to)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, accounts("true"))


def test_an_honest_checkpoint(world: World) -> None:
    peer = world.peer("honest")
    (digest,) = peer.extra
    assert not list(verify_checkpoint(peer.store, digest))
    world.restore({"honest": peer})
    world.check()
    assert len(world.of(ChunkStored)) == 10


@pytest.mark.parametrize("lie", [richer, without, extended])
def test_liars_are_convicted_once_the_total_is_right(world: World, lie: Callable[[State], State]) -> None:
    """Two of three offer a wrong state, so it is tried first; then only what is disputed is fetched again."""
    forged = lie(world.state)
    peers = {
        "liar-1": world.peer("a", forged),
        "liar-2": world.peer("b", forged),
        "honest": world.peer("c"),
    }
    peers["honest"].latency_s = 1.0
    world.restore(peers)
    world.check()
    assert world.convicted() == {"liar-1", "liar-2"}
    at = next(index for index, event in enumerate(world.events) if isinstance(event, ManifestDropped))
    assert not [event for event in world.events[:at] if isinstance(event, PeerFaulted)]
    again = [event for event in world.events[at:] if isinstance(event, ChunkStored)]
    # A changed account is one chunk; one account more or less moves the bounds of all chunks behind it.
    assert {event.peer for event in again} == {"honest"}
    assert len(again) == 1 if lie is richer else len(again) < 10


def test_without_a_right_total_nobody_is_convicted_and_nothing_opens(world: World) -> None:
    peers = {"liar": world.peer("a", richer(world.state)), "other": world.peer("b", without(world.state))}
    with pytest.raises(NoPeersLeftError):
        world.restore(peers)
    assert not world.convicted()
    assert len(world.of(ManifestDropped)) == 2
    world.check_refused()
    world.restore({"honest": world.peer("c")})
    world.check()


@pytest.mark.parametrize("stop_after", [1, 4, 9])
def test_a_killed_restore_goes_on_under_another_manifest(world: World, stop_after: int) -> None:
    world.restore({"liar": world.peer("a", richer(world.state))}, stop_after=stop_after)
    world.check_refused()
    world.restore({"honest": world.peer("b")})
    world.check()
    # What was on its way when it stopped was stored too; the forged chunk alone may have to be fetched again.
    assert 0 < len(world.of(ChunkStored)) <= 11 - stop_after


def test_what_another_cut_staged_gives_way(world: World) -> None:
    world.restore({"a": world.peer("a", extended(world.state), Cut(chunk_leaves=7))}, stop_after=8)
    world.restore({"b": world.peer("b")}, stop_after=3)
    world.restore({"c": world.peer("c", cut=Cut(chunk_leaves=16))})
    world.check()


def test_other_bytes_than_announced_are_the_senders_fault(world: World) -> None:
    spoiler = world.peer("a")
    spoiler.answer = chunks_only(lambda honest: flip(honest, -1))
    world.restore({"spoiler": spoiler, "honest": replace(world.peer("b"), latency_s=0.5)})
    world.check()
    assert world.convicted() == {"spoiler"}


def test_a_leaf_chunk_is_judged_as_far_as_it_goes(world: World) -> None:
    """Legality, order and bounds need no total; proof nodes have no place where none can prove anything."""
    leaves = sorted(world.state.items())[10:20]
    start, end = leaves[0][0], b"\xff" * 32
    entry = LeafEntry(start, 10, 0, b"", 0, b"")
    proof = RangeProof(start, end, (), ())
    scheme = get_scheme(SCHEME)
    assert accept_leaf_chunk(scheme, world.root.hash, LeafChunk(leaf_run(leaves), proof), entry, end)
    node = (ProofNode(0, 1, bytes(2048)),)
    broken = [(leaves[0][0], bytes(8) + leaves[0][1][8:]), *leaves[1:]]
    for run, claimed in (
        (leaf_run(broken), proof),
        (leaf_run(sorted(world.state.items())[9:19]), proof),
        (leaf_run(leaves), RangeProof(start, None, (), ())),
        (leaf_run(leaves), RangeProof(start, end, (), node)),
    ):
        with pytest.raises(ProofError):
            accept_leaf_chunk(scheme, world.root.hash, LeafChunk(run, claimed), entry, end)
    with pytest.raises(ProofError):
        accept_leaf_chunk(scheme, world.root.hash, LeafChunk(leaf_run(leaves), proof), entry, leaves[9][0])


def test_a_published_checkpoint_that_does_not_add_up_is_found(world: World, tmp_path: Path) -> None:
    """Every chunk has its digest; only the total tells."""
    lie = richer(world.state)
    store = CheckpointStore.folder(tmp_path / "store")
    info = create_checkpoint(MemoryView(lie), root_of(SCHEME, lie), store, cut=CUT)
    manifest = store.manifest(info.digest)
    claimed = replace(manifest, root=world.root)
    with store.stage() as staging:
        files = {}
        for entry in claimed.leaf_chunks:
            files[entry.digest] = staging.directory / entry.digest.hex()
            files[entry.digest].write_bytes(store.chunk(entry.digest))
        forged = staging.publish(claimed, files, SpineWriter(staging.directory).finish())
    assert not list(verify_checkpoint(store, info.digest))
    (violation,) = verify_checkpoint(store, forged.digest)
    assert violation.where == "chunks"


def test_no_part_of_it_can_be_proven(world: World) -> None:
    peer = world.peer("a")
    (info,) = peer.store.list()
    with pytest.raises(UnprovableError):
        prove_key(peer.store, info.digest, min(world.state))
