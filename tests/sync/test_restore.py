"""Restores over the network in memory: one honest peer is enough, whatever the others do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from flatdb import FlatDB, StagingDB
from flatdb.errors import DatabaseCorruptError, DatabaseExistsError, IncompleteDatabaseError
from proofs import LeafRun
from proofs.hashing import keccak256
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.chunk import decode_code_chunk, encode_run_part
from sync.chunk_name import CODE_CHUNK
from sync.errors import (
    NoPeersLeftError,
    NoSpaceError,
    PeerRefusedError,
    RestoreConflictError,
    RestoreMismatchError,
)
from sync.events import ChunkStored, Event, ManifestChosen, ManifestDropped, PeerFaulted, RestoreState, StateChanged
from sync.judge import VerifiedChunk
from sync.limits import Limits
from sync.manifest import SUBTREE, CodeEntry, Cut
from sync.mirror import Mirror
from sync.peers import Verdict
from sync.request import ChunkRequest, ListingRequest, ManifestRequest, Request
from sync.restore import Report, Restore, Workers
from sync.restored import RestoredState
from sync.root import Root
from tests.simnet import (
    INLINE,
    Change,
    LateExecutor,
    Leaves,
    SimFetcher,
    SimPeer,
    chunks_only,
    flip,
    forge,
    on_run,
    run_stepped,
)
from tests.sync.states import SCHEMES, MemoryView, checkpoint, root_of, state_of

E = TypeVar("E")

CUT = Cut(chunk_leaves=256)
LIMITS = Limits(attempts_max=4)


@dataclass
class Net:
    """One state, its honest store, and a directory to restore to."""

    scheme: str
    store: CheckpointStore
    info: CheckpointInfo
    to: Path
    limits: Limits = LIMITS
    workers: Workers = INLINE
    events: list[Event] = field(default_factory=list)

    @property
    def view(self) -> MemoryView:
        return state_of(self.scheme)

    @property
    def root(self) -> Root:
        return root_of(self.scheme, self.view.state)

    def restore(self, peers: dict[str, SimPeer], *, stop_after: int | None = None) -> Report:
        """To the end; or, for `stop_after`, until that many chunks are stored (then RuntimeError from `report`)."""
        return run_stepped(self.run(peers, stop_after))

    async def run(self, peers: dict[str, SimPeer], stop_after: int | None) -> Report:
        self.events = []
        self.fetcher = SimFetcher(peers, self.limits)
        running = Restore(
            list(peers),
            self.root,
            self.to,
            limits=self.limits,
            fetcher=self.fetcher,
            workers=self.workers,
            jitter=random.Random(1).random,
        )
        async with running, asyncio.timeout(1000):
            async for event in running:
                self.events.append(event)
                if stop_after is not None and len(self.of(ChunkStored)) >= stop_after:
                    break
        return running.report

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def check(self) -> None:
        """The database is a mirror of exactly this state, with exactly its code, and whole by its own rules."""
        with Mirror.open(self.to) as mirror:
            assert dict(mirror.scan()) == dict(self.view.state)
            assert mirror.claimed_root == self.root
            head = mirror.head
            assert head is not None
            assert head.verified
            assert not list(mirror.check())

    def check_refused(self) -> None:
        """Whatever is there does not open as a mirror."""
        with pytest.raises(IncompleteDatabaseError):
            FlatDB.open(self.to)


def _net(scheme: str, folder: Path, cut: Cut = CUT) -> Net:
    store, info = checkpoint(scheme, folder / "store", cut)
    return Net(scheme, store, info, folder / "db")


@pytest.fixture(params=SCHEMES)
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Net:
    return _net(request.param, tmp_path)


@pytest.fixture
def ethereum(tmp_path: Path) -> Net:
    return _net("ethereum", tmp_path)


@pytest.fixture(params=["ethereum", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mkvs", "mpt"))])
def most(request: pytest.FixtureRequest, tmp_path: Path) -> Net:
    """The scheme with the most to get wrong; the others where there is time."""
    return _net(request.param, tmp_path)


def test_from_one_honest_peer(net: Net) -> None:
    report = net.restore({"honest": SimPeer(net.store)})
    net.check()
    assert report.leaf_count == len(net.view.state)
    assert report.chunks_stored == net.info.chunk_count
    assert report.code_count == net.info.code_count
    assert [peer.verdict for peer in report.peers] == [Verdict.GOOD]
    assert report.peers[0].chunks == net.info.chunk_count
    states = [event.state for event in net.of(StateChanged)]
    assert states[0] is RestoreState.LEAVES
    assert states[-1] is RestoreState.COMPLETE


def test_work_is_shared(net: Net) -> None:
    """Fails if a peer is never asked, or if more is in flight than the limit allows."""
    net.limits = replace(net.limits, chunks_in_flight_max=5)
    report = net.restore({name: SimPeer(net.store) for name in "abc"})
    net.check()
    assert all(peer.chunks > 0 for peer in report.peers)
    assert 3 <= net.fetcher.in_flight_most <= 5
    assert net.fetcher.in_flight == 0


def test_chunks_that_come_together_are_stored_together(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if each chunk waits for the disk by itself, or if one is lost on the way to the writer."""
    sizes: list[int] = []
    store = RestoredState.store

    def counting(state: RestoredState, chunks: Iterable[VerifiedChunk]) -> None:
        batch = list(chunks)
        sizes.append(len(batch))
        store(state, batch)

    monkeypatch.setattr(RestoredState, "store", counting)
    net.workers = Workers(judges=INLINE.judges, writer=LateExecutor())
    report = net.restore({name: SimPeer(net.store) for name in "ab"})
    assert sum(sizes) == report.chunks_stored
    assert max(sizes) > 1
    net.check()


def test_a_fast_peer_gets_more(net: Net) -> None:
    """Fails without shares that follow delivery."""
    report = net.restore({"slow": SimPeer(net.store, latency_s=0.4), "fast": SimPeer(net.store, latency_s=0.01)})
    slow, fast = report.peers
    assert fast.chunks > 2 * slow.chunks


# One kind of hostile peer each: how it is made, and what the restore must think of it.

Maker = Callable[[Net], SimPeer]


def _forged(net: Net, **changes: Change) -> SimPeer:
    manifest, objects = forge(net.store, net.info.digest, **changes)
    return SimPeer(net.store, latency_s=0.001, offers=(CheckpointInfo.of(manifest),), extra=objects)


def _first(net: Net, **knobs: Any) -> SimPeer:
    return replace(SimPeer(net.store, latency_s=0.001), **knobs)


def _misnamed(net: Net, **changes: Any) -> SimPeer:
    """Lists a well-formed manifest of something else as one of our root."""
    manifest = replace(net.store.manifest(net.info.digest), **changes)
    info = replace(CheckpointInfo.of(manifest), root=net.root)
    return SimPeer(net.store, latency_s=0.001, offers=(info,), extra={manifest.digest: manifest.encoded})


def _garbage(net: Net) -> SimPeer:
    junk = b"\x80"
    info = replace(net.info, digest=sha256(junk).digest())
    return SimPeer(net.store, latency_s=0.001, offers=(info,), extra={info.digest: junk})


def _swapped(net: Net) -> SimPeer:
    """Each chunk is another one, honest in itself."""
    stored = [net.store.chunk(entry.digest) for entry in net.store.manifest(net.info.digest).leaf_chunks]
    return _first(net, answer=chunks_only(lambda data: stored[stored.index(data) - 1] if data in stored else b""))


def _refuse(status: int) -> Callable[[Request, bytes], bytes]:
    def answer(request: Request, honest: bytes) -> bytes:
        if isinstance(request, ChunkRequest):
            raise PeerRefusedError(request.peer, status, retry_after_s=1.0)
        return honest

    return answer


LIARS: dict[str, Maker] = {
    "flips a bit early": lambda net: _first(net, answer=chunks_only(lambda data: flip(data, 9))),
    "flips the last bit": lambda net: _first(net, answer=chunks_only(lambda data: flip(data, -1))),
    "truncates": lambda net: _first(net, answer=chunks_only(lambda data: data[:-1])),
    "sends nothing": lambda net: _first(net, answer=chunks_only(lambda data: b"")),
    "appends": lambda net: _first(net, answer=chunks_only(lambda data: data + b"\0")),
    "sends too much": lambda net: _first(net, answer=chunks_only(lambda data: data * 50)),
    "swaps chunks": _swapped,
    "other manifest bytes": lambda net: _first(
        net, answer=lambda request, data: flip(data, 40) if isinstance(request, ManifestRequest) else data
    ),
    "a leaf dropped": lambda net: _forged(net, leaves=on_run(lambda leaves: leaves[:3] + leaves[4:])),
    "a leaf doubled": lambda net: _forged(net, leaves=on_run(lambda leaves: leaves[:3] + leaves[2:])),
    "a leaf moved": lambda net: _forged(net, leaves=on_run(lambda leaves: [leaves[1], leaves[0], *leaves[2:]])),
    "a value altered": lambda net: _forged(
        net, leaves=on_run(lambda leaves: [(leaves[0][0], leaves[1][1] + b"\1"), *leaves[1:]])
    ),
    "a proof altered": lambda net: _forged(net, proof=lambda data: flip(data, -1)),
    "no proof": lambda net: _forged(net, proof=lambda data: b"\x80"),
    "another height": lambda net: _misnamed(net, root=replace(net.root, height=net.root.height + 1)),
    "another scheme": lambda net: _misnamed(
        net, root=replace(net.root, scheme="mpt" if net.scheme != "mpt" else "ethereum")
    ),
    "garbage for a manifest": _garbage,
}
SLUGGARDS: dict[str, tuple[Maker, Verdict]] = {
    "stalls on chunks": (
        lambda net: _first(net, stalls=lambda request: isinstance(request, ChunkRequest)),
        Verdict.SLOW,
    ),
    "stalls on everything": (lambda net: _first(net, stalls=lambda request: True), Verdict.UNAVAILABLE),
    "trickles": (lambda net: _first(net, bytes_per_s=1.0), Verdict.SLOW),
    "vanishes": (lambda net: _first(net, vanishes_after=3), Verdict.UNAVAILABLE),
    "never there": (lambda net: _first(net, vanishes_after=0), Verdict.UNAVAILABLE),
    "refuses chunks": (lambda net: _first(net, answer=_refuse(404)), Verdict.REFUSED),
    "is busy": (lambda net: _first(net, answer=_refuse(429)), Verdict.REFUSED),
    "has nothing": (lambda net: _first(net, offers=()), Verdict.REFUSED),
    "has something else": (
        lambda net: _first(net, offers=(replace(net.info, root=replace(net.root, hash=bytes(32))),)),
        Verdict.REFUSED,
    ),
    "lists nonsense": (
        lambda net: _first(
            net, answer=lambda request, data: b"<html>" if isinstance(request, ListingRequest) else data
        ),
        Verdict.UNAVAILABLE,
    ),
}


@pytest.mark.parametrize("kind", LIARS)
def test_one_honest_peer_among_liars(most: Net, kind: str) -> None:
    """Three liars answer first. Fails if a lie is accepted, if a liar is asked twice in a row, or one is not named.

    Tried: without the digest checks of `chunk`, without `verify_leaf_chunk`, without comparing the manifest's root.
    """
    liars = {f"liar {n}": LIARS[kind](most) for n in range(3)}
    report = most.restore(liars | {"honest": SimPeer(most.store, latency_s=0.05)})
    most.check()
    verdicts = {peer.peer: peer.verdict for peer in report.peers}
    assert verdicts.pop("honest") is Verdict.GOOD
    # A manifest of one's own convicts all who gave it; a spoiled answer only those that were asked.
    assert Verdict.MISBEHAVED in verdicts.values()
    assert set(verdicts.values()) <= {Verdict.MISBEHAVED, Verdict.IDLE}
    assert "honest" not in {event.peer for event in most.of(PeerFaulted)}


@pytest.mark.parametrize("kind", LIARS)
def test_nothing_opens_among_liars_alone(most: Net, kind: str) -> None:
    """Fails if anything that liars sent becomes a mirror, or if the restore never ends."""
    peers = {f"liar {n}": LIARS[kind](most) for n in range(3)}
    with pytest.raises(NoPeersLeftError) as caught:
        most.restore(peers)
    assert set(caught.value.peers) == set(peers)
    most.check_refused()


@pytest.mark.parametrize("kind", SLUGGARDS)
def test_one_honest_peer_among_sluggards(most: Net, kind: str) -> None:
    """Fails if a peer that does not deliver holds the restore up for long, or is taken for a liar."""
    make, verdict = SLUGGARDS[kind]
    sluggards = {f"sluggard {n}": make(most) for n in range(3)}
    report = most.restore(sluggards | {"honest": SimPeer(most.store, latency_s=0.02)})
    most.check()
    assert report.elapsed_s < 15
    for peer in report.peers[:-1]:
        # A peer may have been good, or not needed, before it went bad.
        assert peer.verdict in (verdict, Verdict.IDLE) or peer.chunks > 0 or verdict in peer.faults, peer
    assert report.peers[-1].verdict in (Verdict.GOOD, Verdict.IDLE)


@pytest.mark.parametrize("kind", SLUGGARDS)
def test_it_ends_among_sluggards_alone(most: Net, kind: str) -> None:
    """Fails if a restore goes on for ever where nobody delivers. A trickle delivers, late, and is not refused."""
    make, _ = SLUGGARDS[kind]
    peers = {f"sluggard {n}": make(most) for n in range(2)}
    with pytest.raises(NoPeersLeftError):
        most.restore(peers)
    most.check_refused()


# Several manifests, and what was verified under one of them.


def _second(net: Net, cut: Cut) -> CheckpointInfo:
    """The same state under another cut, in the same store."""
    _, info = checkpoint(net.scheme, net.store.staging.parent, cut)
    return info


def test_verified_ranges_stay_valid_under_another_manifest(net: Net) -> None:
    """The first manifest's giver vanishes half-way; its ranges are not fetched again under a finer cut.

    Tried: with `held` emptied when a manifest is left, every chunk of the second one is fetched.
    """
    other = _second(net, Cut(chunk_leaves=64))
    first = SimPeer(net.store, latency_s=0.001, offers=(net.info,), vanishes_after=2 + net.info.chunk_count // 2)
    second = SimPeer(net.store, latency_s=0.1, offers=(other,))
    report = net.restore({"first": first, "second": second})
    net.check()
    chosen = [event.digest for event in net.of(ManifestChosen)]
    assert chosen[:2] == [net.info.digest, other.digest]
    assert 0 < second.asked["ChunkRequest"] < other.chunk_count
    assert report.peers[0].verdict is Verdict.UNAVAILABLE


def test_a_forged_manifest_convicts_all_who_gave_it(net: Net) -> None:
    """Fails if only the peer that happened to send the chunk is dropped."""
    forged = {f"forger {n}": _forged(net, proof=lambda data: flip(data, -1)) for n in range(3)}
    report = net.restore(forged | {"honest": SimPeer(net.store, latency_s=0.3)})
    net.check()
    assert [peer.peer for peer in report.peers if peer.verdict is Verdict.MISBEHAVED] == list(forged)
    assert [event.digest for event in net.of(ManifestDropped)] == [forged["forger 0"].offers[0].digest]


def test_a_manifest_is_taken_up_again_when_another_peer_has_it(net: Net) -> None:
    """The only giver refuses a chunk, so its manifest is left; a later giver of the same one serves it."""
    early = _first(net, answer=_refuse(404))
    late = SimPeer(net.store, latency_s=1.0)
    net.restore({"early": early, "late": late})
    net.check()
    assert [event.digest for event in net.of(ManifestDropped)] == [net.info.digest]


# Code.


def _with_code(net: Net, change: Callable[[Leaves], Leaves]) -> SimPeer:
    """Lists a manifest whose code chunk is changed, consistent with itself."""
    manifest = net.store.manifest(net.info.digest)
    (entry,) = manifest.code_chunks
    run = on_run(change)(decode_code_chunk(net.store.chunk(entry.digest), entry, limits=net.limits).encode())
    blobs = LeafRun.decode(run, leaves_max=1000)
    forged = CodeEntry(blobs.keys[0], len(blobs), len(run), sha256(run).digest())
    whole = replace(manifest, code_chunks=(forged,))
    extra = {whole.digest: whole.encoded, forged.digest: encode_run_part(CODE_CHUNK, run)}
    return _first(net, offers=(CheckpointInfo.of(whole),), extra=extra)


def _without_code(net: Net) -> SimPeer:
    whole = replace(net.store.manifest(net.info.digest), code_chunks=())
    return _first(net, offers=(CheckpointInfo.of(whole),), extra={whole.digest: whole.encoded})


EXTRA = b"code of nobody"
CODE_LIES: dict[str, Maker] = {
    "none": _without_code,
    "one blob too few": lambda net: _with_code(net, lambda blobs: blobs[:-1]),
    "a blob of nobody": lambda net: _with_code(net, lambda blobs: sorted([*blobs, (keccak256(EXTRA), EXTRA)])),
    "a blob under another hash": lambda net: _with_code(net, lambda blobs: [(blobs[0][0], EXTRA), *blobs[1:]]),
}


@pytest.mark.parametrize("kind", CODE_LIES)
def test_code_is_exactly_that_of_the_leaves(ethereum: Net, kind: str) -> None:
    """Fails if code that is missing, too much or wrong completes a restore, or if its giver is not convicted."""
    report = ethereum.restore({"liar": CODE_LIES[kind](ethereum), "honest": SimPeer(ethereum.store, latency_s=0.05)})
    ethereum.check()
    assert report.peers[0].verdict is Verdict.MISBEHAVED
    with FlatDB.open(ethereum.to) as db:
        assert db.blob(keccak256(EXTRA)) is None
        assert all(db.blob(code_hash) == blob for code_hash, blob in _code_of(ethereum))


def _code_of(net: Net) -> Leaves:
    manifest = net.store.manifest(net.info.digest)
    chunks = (decode_code_chunk(net.store.chunk(e.digest), e, limits=net.limits) for e in manifest.code_chunks)
    return [blob for chunk in chunks for blob in chunk]


# Stopping and going on.


def test_it_continues_where_it_stopped(net: Net) -> None:
    """Fails if a chunk that was durable is fetched again, or if the unfinished database opens."""
    with pytest.raises(RuntimeError):
        net.restore({"honest": SimPeer(net.store)}, stop_after=2)
    before = len(net.of(ChunkStored))
    net.check_refused()
    again = SimPeer(net.store)
    report = net.restore({"honest": again})
    net.check()
    assert before <= report.ranges_before < net.info.chunk_count
    assert again.asked["ChunkRequest"] == net.info.chunk_count - report.ranges_before
    with pytest.raises(DatabaseExistsError):
        net.restore({"honest": SimPeer(net.store)})


def test_it_continues_under_another_cut(net: Net) -> None:
    """Fails if durable ranges are known by their chunks and not by their bounds."""
    other = _second(net, Cut(SUBTREE, chunk_leaves=64))
    with pytest.raises(RuntimeError):
        net.restore({"honest": SimPeer(net.store, offers=(net.info,))}, stop_after=4)
    again = SimPeer(net.store, offers=(other,))
    net.restore({"honest": again})
    net.check()
    assert 0 < again.asked["ChunkRequest"] < other.chunk_count * 2 // 3


def test_a_restore_of_something_else_is_not_continued(net: Net) -> None:
    with pytest.raises(RuntimeError):
        net.restore({"honest": SimPeer(net.store)}, stop_after=1)
    other = Restore(["x"], replace(net.root, height=99), net.to, fetcher=net.fetcher, workers=INLINE)
    with pytest.raises(RestoreConflictError):
        run_stepped(other.__aenter__())


def test_damage_on_its_own_disk_is_found(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """The final fold reads the database and not the chunks: a leaf that went missing there is noticed.

    Tried: with the fold's result taken for granted, the damaged database is sealed.
    """
    scan = StagingDB.scan
    monkeypatch.setattr(StagingDB, "scan", lambda db: (leaf for index, leaf in enumerate(scan(db)) if index != 5))
    with pytest.raises((RestoreMismatchError, DatabaseCorruptError)):
        net.restore({"honest": SimPeer(net.store)})
    net.check_refused()


def test_a_full_disk_is_noticed_before_the_first_chunk(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.restored.shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    peer = SimPeer(net.store)
    with pytest.raises(NoSpaceError) as caught:
        net.restore({"honest": peer})
    assert caught.value.needed > caught.value.free == 1000
    assert peer.asked["ChunkRequest"] == 0


def test_cancelling_leaves_nothing_behind(ethereum: Net) -> None:
    """Fails if a cancelled restore keeps a request, or keeps the database locked."""
    peer = SimPeer(ethereum.store, stalls=lambda request: isinstance(request, ChunkRequest))
    ethereum.limits = replace(ethereum.limits, stall_timeout_s=1000.0)

    async def cancel() -> None:
        task = asyncio.create_task(ethereum.run({"honest": peer}, None))
        await asyncio.sleep(5)
        assert ethereum.fetcher.in_flight > 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_stepped(cancel())
    assert ethereum.fetcher.in_flight == 0
    ethereum.restore({"honest": SimPeer(ethereum.store)})
    ethereum.check()


def test_an_empty_state(tmp_path: Path) -> None:
    """A state without leaves is one chunk without leaves, proven by the scheme's empty root."""
    store, info = checkpoint("ethereum", tmp_path / "store", view=MemoryView({}))
    fetcher = SimFetcher({"a": SimPeer(store)}, LIMITS)
    running = Restore(["a"], info.root, tmp_path / "db", fetcher=fetcher, workers=INLINE)

    async def main() -> Report:
        async with running:
            assert [event async for event in running]
        return running.report

    assert run_stepped(main()).leaf_count == 0
    with FlatDB.open(tmp_path / "db") as db:
        assert list(db.scan()) == []


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 60))])
def test_any_mixture_with_one_honest_peer(seed: int, tmp_path: Path) -> None:
    """Random peers of every kind around one honest one. The seed is in the test's name."""
    rng = random.Random(seed)
    net = _net(rng.choice(SCHEMES), tmp_path, Cut(chunk_leaves=rng.choice((128, 300))))
    makers = [*LIARS.values(), *(make for make, _ in SLUGGARDS.values())]
    peers = {f"peer {n}": rng.choice(makers)(net) for n in range(rng.randint(1, 9))}
    peers["honest"] = SimPeer(net.store, latency_s=rng.choice((0.001, 0.05, 1.0)))
    names = rng.sample(list(peers), len(peers))
    report = net.restore({name: peers[name] for name in names})
    net.check()
    honest = {peer.peer: peer.verdict for peer in report.peers}["honest"]
    assert honest in (Verdict.GOOD, Verdict.SLOW, Verdict.IDLE)
