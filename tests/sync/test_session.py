"""RestoreSession call by call: what it asks, what it believes, whom it blames, and calls that are out of order.

Whole restores are in test_restore; here are the turns that a network takes rarely.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from proofs import UnknownSchemeError
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.chunk import decode_code_chunk
from sync.errors import (
    NoPeersLeftError,
    PeerMisbehavedError,
    PeerRefusedError,
    PeerUnavailableError,
    RestoreMismatchError,
)
from sync.events import ChunkStored, ManifestChosen, ManifestDropped, PeerFaulted, RestoreState
from sync.held import HeldRange
from sync.judge import ForgedChunkError, ForgedManifestError, Judged, VerifiedChunk
from sync.limits import Limits
from sync.manifest import CodeEntry, Cut, Manifest
from sync.peers import PeerBook, Verdict
from sync.request import ChunkRequest, ListingRequest, ManifestRequest, Request
from sync.session import RestoreSession
from sync.wire import encode_listing
from tests.simnet import flip, forge
from tests.sync.states import checkpoint

NAMES = ("a", "b", "c")


class Driver:
    """A session with an honest store behind every peer, and a clock that the test sets."""

    def __init__(self, store: CheckpointStore, info: CheckpointInfo, *names: str, **limits: float) -> None:
        self.store = store
        self.info = info
        self.now = 0.0
        self.limits = replace(Limits(), **limits)  # type: ignore[arg-type]
        self.offers: dict[str, list[CheckpointInfo]] = {}
        self.objects: dict[bytes, bytes] = {}
        self.names = names or NAMES
        self.begin()

    def begin(self, **options: object) -> None:
        book = PeerBook(self.names, self.limits, random=lambda: 1.0)
        self.session = RestoreSession(self.info.root, book, self.limits, **options)  # type: ignore[arg-type]

    def ask(self) -> Request:
        request = self.session.next_request(self.now)
        assert request is not None
        return request

    def ask_all(self) -> list[Request]:
        requests = []
        while (request := self.session.next_request(self.now)) is not None:
            requests.append(request)
        return requests

    def data(self, request: Request) -> bytes:
        match request:
            case ListingRequest(peer=peer):
                return encode_listing(self.offers.get(peer, [self.info]))
            case ManifestRequest(digest=digest):
                return self.objects.get(digest) or self.store.manifest(digest).encoded
            case ChunkRequest(entry=entry):
                return self.objects.get(entry.digest) or self.store.chunk(entry.digest)

    def answer(self, request: Request) -> VerifiedChunk | None:
        return self.session.accept(self.session.judge(request, self.data(request)), self.now)

    def fail(self, request: Request, error: PeerUnavailableError | PeerRefusedError | None = None) -> None:
        self.session.failed(request, error or PeerUnavailableError(request.peer, "gone"), self.now)

    def store_all(self) -> None:
        """Ask, answer and store until nothing is to be asked."""
        while requests := self.ask_all():
            for request in requests:
                chunk = self.answer(request)
                if chunk is not None:
                    self.session.stored(chunk, self.now)

    def to_leaves(self) -> None:
        while self.session.state is RestoreState.DISCOVERING:
            for request in self.ask_all():
                self.answer(request)

    @property
    def state(self) -> RestoreState:
        return self.session.state

    def verdicts(self) -> dict[str, Verdict]:
        return {peer.peer: peer.verdict for peer in self.session.peers.report()}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[CheckpointStore, CheckpointInfo]:
    return checkpoint("ethereum", tmp_path_factory.mktemp("store"), Cut(chunk_leaves=256))


@pytest.fixture
def driver(published: tuple[CheckpointStore, CheckpointInfo]) -> Driver:
    return Driver(*published)


def hashes_of(driver: Driver) -> set[bytes]:
    """Hashes of all code in the checkpoint."""
    manifest = driver.store.manifest(driver.info.digest)
    return {entry.start for entry in manifest.code_chunks}


# The course of things.


def test_the_whole_course(driver: Driver) -> None:
    driver.store_all()
    assert driver.state is RestoreState.FOLDING
    assert driver.session.next_request(driver.now) is None
    code = hashes_of(driver)
    driver.session.folded(driver.info.root.hash, driver.now, code=code, code_missing=())
    assert driver.state is RestoreState.COMPLETE
    assert driver.session.next_request(driver.now) is None
    stored = [event for event in driver.session.take_events() if isinstance(event, ChunkStored)]
    assert sorted(event.index for event in stored) == list(range(len(stored)))
    assert driver.session.take_events() == []


def test_everything_held_needs_no_peer(driver: Driver) -> None:
    driver.begin(held=[HeldRange(b"", b"m"), HeldRange(b"m", None)])
    assert driver.state is RestoreState.FOLDING


def test_an_unknown_scheme(driver: Driver) -> None:
    driver.info = replace(driver.info, root=replace(driver.info.root, scheme="unheard-of"))
    with pytest.raises(UnknownSchemeError):
        driver.begin()


def test_the_fold_has_the_last_word(driver: Driver) -> None:
    """Fails if a database that folds to another root goes on in any way."""
    driver.store_all()
    with pytest.raises(RestoreMismatchError) as caught:
        driver.session.folded(bytes(32), driver.now, code=(), code_missing=())
    assert caught.value.expected == driver.info.root.hash
    assert driver.state is RestoreState.FAILED


# Calls out of order.


def test_calls_out_of_order_are_refused(driver: Driver) -> None:
    """Fails if a request can end twice, a chunk be stored twice or unaccepted, or a fold come early."""
    session = driver.session
    with pytest.raises(RuntimeError):
        session.folded(driver.info.root.hash, 0.0, code=(), code_missing=())
    request = driver.ask()
    judged = session.judge(request, driver.data(request))
    session.accept(judged, 0.0)
    for again in (
        lambda: session.accept(judged, 0.0),
        lambda: session.cancelled(request),
        lambda: driver.fail(request),
    ):
        with pytest.raises(RuntimeError):
            again()
    driver.to_leaves()
    request = driver.ask()
    chunk = driver.answer(request)
    assert chunk is not None
    session.stored(chunk, 0.0)
    with pytest.raises(RuntimeError):
        session.stored(chunk, 0.0)


def test_only_a_judge_makes_what_is_believed(driver: Driver) -> None:
    with pytest.raises(TypeError):
        Judged(driver.ask(), 0, (), _judge=object())


def test_states_follow_the_table(driver: Driver) -> None:
    with pytest.raises(AssertionError):
        driver.session._go(RestoreState.COMPLETE) or driver.session._go(RestoreState.LEAVES)


# Discovery.


def test_each_peer_is_asked_once_what_it_has(driver: Driver) -> None:
    requests = driver.ask_all()
    assert [(type(request), request.peer) for request in requests] == [(ListingRequest, name) for name in NAMES]


def test_one_manifest_is_asked_of_one_peer_and_of_another_when_late(driver: Driver) -> None:
    """Fails if everybody sends the same manifest, or if one that stalls keeps the others waiting."""
    for request in driver.ask_all():
        driver.answer(request)
    first = driver.ask()
    assert isinstance(first, ManifestRequest)
    assert driver.ask_all() == []
    assert driver.session.wake_at(driver.now) == driver.limits.hedge_after_s
    driver.now = driver.limits.hedge_after_s
    second = driver.ask()
    assert isinstance(second, ManifestRequest)
    assert second.peer != first.peer
    assert driver.ask_all() == []
    driver.answer(second)
    assert driver.state is RestoreState.LEAVES
    driver.answer(first)
    assert driver.state is RestoreState.LEAVES


def test_a_peer_is_asked_what_it_has_once_at_a_time(driver: Driver) -> None:
    """However large its share is."""
    driver.session.peers.helped("a", elapsed_s=1.0)
    assert [request.peer for request in driver.ask_all()] == list(NAMES)


def test_what_is_listed_of_something_else_is_passed_over(driver: Driver) -> None:
    """Another root, or a format that this release does not read: neither is asked for, neither is a lie."""
    driver.offers["a"] = [replace(driver.info, root=replace(driver.info.root, hash=bytes(32)))]
    newer = encode_listing([driver.info]).replace(b'"manifest_format": 1', b'"manifest_format": 2')
    for request in driver.ask_all():
        data = newer if request.peer == "b" else driver.data(request)
        driver.session.accept(driver.session.judge(request, data), 0.0)
    assert driver.verdicts() == {"a": Verdict.REFUSED, "b": Verdict.REFUSED, "c": Verdict.IDLE}


def test_a_refused_manifest_is_asked_of_another(driver: Driver) -> None:
    for request in driver.ask_all():
        driver.answer(request)
    first = driver.ask()
    driver.fail(first, PeerRefusedError(first.peer, 404))
    second = driver.ask()
    assert isinstance(second, ManifestRequest)
    assert second.peer != first.peer


def test_a_busy_peer_is_asked_for_the_manifest_again(driver: Driver) -> None:
    driver = Driver(driver.store, driver.info, "a")
    driver.answer(driver.ask())
    first = driver.ask()
    driver.fail(first, PeerRefusedError("a", 429, retry_after_s=7.0))
    assert driver.session.wake_at(0.0) == 7.0
    driver.now = 7.0
    assert isinstance(driver.ask(), ManifestRequest)


def test_nobody_is_left(driver: Driver) -> None:
    """Each peer is tried again a few times, then it is over, and everyone's reason is told."""
    driver = Driver(driver.store, driver.info, "a", "b", attempts_max=3)
    for _ in range(3):
        requests = driver.ask_all()
        assert len(requests) == 2
        for request in requests:
            driver.fail(request)
        driver.now += 1000.0
    with pytest.raises(NoPeersLeftError) as caught:
        driver.ask_all()
    assert caught.value.peers == {"a": "gone", "b": "gone"}
    assert driver.state is RestoreState.FAILED


def test_a_root_that_nobody_has_is_given_up_soon(driver: Driver) -> None:
    """Two answers of everyone are enough, the second of all heights; fails if each peer is asked `attempts_max` times
    or if nobody learns what the peers do have."""
    driver = Driver(driver.store, driver.info, "a", "b")
    other = replace(driver.info, root=replace(driver.info.root, height=driver.info.root.height + 1))
    driver.offers = {"a": [other], "b": []}
    heights = []
    for _ in range(2):
        for request in driver.ask_all():
            assert isinstance(request, ListingRequest)
            heights.append(request.height)
            driver.answer(request)
        driver.now += 1.0
    with pytest.raises(NoPeersLeftError) as caught:
        driver.ask_all()
    assert heights == [driver.info.root.height] * 2 + [None] * 2
    assert caught.value.unoffered
    assert str(other.root.height) in caught.value.peers["a"]
    assert driver.session.peers.alive() == ("a", "b")


def test_a_root_that_nobody_has_yet_is_waited_for(driver: Driver) -> None:
    """A peer that cannot be reached may have it, and one that had nothing may have it by then."""
    driver = Driver(driver.store, driver.info, "a", "b")
    driver.offers = {"a": [], "b": []}
    for _ in range(3):
        for request in driver.ask_all():
            driver.answer(request) if request.peer == "a" else driver.fail(request)
        driver.now += 100.0
    driver.offers = {"a": [driver.info]}
    listing = next(request for request in driver.ask_all() if request.peer == "a")
    driver.answer(listing)
    assert isinstance(driver.ask(), ManifestRequest)


def test_a_peer_offers_a_bounded_number_of_manifests(driver: Driver) -> None:
    """Fails if a peer can make us remember any number of them, or ask for each."""
    many = [replace(driver.info, digest=sha256(bytes([n])).digest()) for n in range(50)]
    driver = Driver(driver.store, driver.info, "a")
    driver.offers["a"] = many
    driver.answer(driver.ask())
    assert len(driver.session._offers.by("a")) == 8


# Blame.


def test_wrong_bytes_are_the_senders_fault(driver: Driver) -> None:
    driver.to_leaves()
    request = driver.ask()
    with pytest.raises(PeerMisbehavedError) as caught:
        driver.session.judge(request, flip(driver.data(request), -1))
    driver.session.failed(request, caught.value, 0.0, received=10)
    assert [name for name, verdict in driver.verdicts().items() if verdict is Verdict.MISBEHAVED] == [request.peer]
    assert driver.state is RestoreState.LEAVES


def test_a_forged_chunk_is_the_fault_of_all_givers(driver: Driver) -> None:
    """And what the others still owe is not wanted any more."""
    manifest, driver.objects = forge(driver.store, driver.info.digest, proof=lambda data: flip(data, -1), at=0)
    driver.offers = {name: [CheckpointInfo.of(manifest)] for name in ("a", "b")} | {"c": []}
    driver.to_leaves()
    requests = [request for request in driver.ask_all() if isinstance(request, ChunkRequest)]
    (forged,) = [request for request in requests if request.index == 0]
    with pytest.raises(ForgedChunkError) as caught:
        driver.session.judge(forged, driver.data(forged))
    driver.session.failed(forged, caught.value, 0.0)
    assert driver.verdicts() == {"a": Verdict.MISBEHAVED, "b": Verdict.MISBEHAVED, "c": Verdict.REFUSED}
    assert set(driver.session.obsolete()) == set(requests) - {forged}
    for request in driver.session.obsolete():
        driver.session.cancelled(request)
    assert [type(event) for event in driver.session.take_events()].count(ManifestDropped) == 1


def test_two_forged_chunks_convict_once(driver: Driver) -> None:
    manifest, driver.objects = forge(driver.store, driver.info.digest, proof=lambda data: b"\x80", at=0)
    driver.offers = {name: [CheckpointInfo.of(manifest)] for name in NAMES}
    driver.to_leaves()
    first, second = driver.ask(), driver.ask()
    for request in (first, second):
        error = ForgedChunkError(request.peer, 0, "forged")
        driver.session.failed(request, error, 0.0)
    events = driver.session.take_events()
    assert sum(isinstance(event, ManifestDropped) for event in events) == 1
    assert {event.peer for event in events if isinstance(event, PeerFaulted)} == set(NAMES)


def test_a_forged_manifest_is_the_fault_of_all_givers(driver: Driver) -> None:
    junk = b"\x80"
    driver.objects = {sha256(junk).digest(): junk}
    driver.offers = {name: [replace(driver.info, digest=sha256(junk).digest())] for name in NAMES}
    for request in driver.ask_all():
        driver.answer(request)
    request = driver.ask()
    with pytest.raises(ForgedManifestError) as caught:
        driver.session.judge(request, driver.data(request))
    driver.session.failed(request, caught.value, 0.0)
    assert set(driver.verdicts().values()) == {Verdict.MISBEHAVED}


def test_a_lie_told_late_still_convicts(driver: Driver) -> None:
    """Every leaf is held when another peer's forged copy arrives: its manifest is not worked for code."""
    driver.to_leaves()
    late = driver.ask()
    assert isinstance(late, ChunkRequest)
    driver.now = 50.0
    driver.store_all()
    assert driver.state is RestoreState.FOLDING
    assert driver.session.obsolete() == [late]
    driver.session.failed(late, ForgedChunkError(late.peer, late.index, "forged"), driver.now)
    assert driver.state is RestoreState.FOLDING
    driver.session.folded(driver.info.root.hash, driver.now, code=[b"x" * 32], code_missing=[b"x" * 32])
    assert driver.state is RestoreState.DISCOVERING


# Sharing and hedging.


def test_what_is_in_memory_is_bounded(driver: Driver) -> None:
    """By number, and by bytes, where one chunk is always let through."""
    few = Driver(driver.store, driver.info, chunks_in_flight_max=2)
    few.to_leaves()
    requests = few.ask_all()
    assert len(requests) == 2
    chunk = few.answer(requests[0])
    assert chunk is not None
    assert few.ask_all() == []
    few.session.stored(chunk, 0.0)
    assert len(few.ask_all()) == 1
    small = Driver(driver.store, driver.info, bytes_in_flight_max=1)
    small.to_leaves()
    assert len(small.ask_all()) == 1


def test_a_late_chunk_is_asked_for_elsewhere_and_the_first_answer_wins(driver: Driver) -> None:
    driver.to_leaves()
    late = driver.ask()
    assert isinstance(late, ChunkRequest)
    driver.store_all()
    assert driver.state is RestoreState.LEAVES
    assert driver.session.wake_at(driver.now) == driver.limits.hedge_after_s
    driver.now = driver.limits.hedge_after_s
    driver.store_all()
    assert driver.state is RestoreState.FOLDING
    assert driver.session.obsolete() == [late]
    assert driver.verdicts()[late.peer] is Verdict.SLOW
    assert driver.answer(late) is None
    assert driver.session.obsolete() == []


def test_a_rival_that_was_asked_later_is_not_slow(driver: Driver) -> None:
    """The earlier request wins: the later one is dropped without a word."""
    driver = Driver(driver.store, driver.info, "a", "b", chunks_in_flight_max=9)
    driver.to_leaves()
    for request in driver.ask_all():
        driver.session.cancelled(request)
    early = driver.ask()
    assert isinstance(early, ChunkRequest)
    driver.session._work._waiting.clear()  # type: ignore[union-attr]
    driver.now = driver.limits.hedge_after_s
    late = driver.ask()
    assert isinstance(late, ChunkRequest)
    assert (late.index, late.peer != early.peer) == (early.index, True)
    assert driver.answer(early) is not None
    assert driver.session.obsolete() == [late]
    driver.session.cancelled(late)
    assert Verdict.SLOW not in driver.verdicts().values()


def test_a_chunk_that_failed_waits_again_unless_somebody_else_owes_it(driver: Driver) -> None:
    driver.to_leaves()
    early = driver.ask()
    assert isinstance(early, ChunkRequest)
    waiting = driver.session._work.waiting  # type: ignore[union-attr]
    driver.fail(early)
    assert driver.session._work.waiting == waiting + 1  # type: ignore[union-attr]


# Several manifests.


@pytest.fixture
def two(published: tuple[CheckpointStore, CheckpointInfo], tmp_path: Path) -> tuple[Driver, CheckpointInfo]:
    """Peer a offers one cut, peer b another."""
    store, info = checkpoint("ethereum", tmp_path / "store", Cut(chunk_leaves=256))
    _, finer = checkpoint("ethereum", tmp_path / "store", Cut(chunk_leaves=128))
    driver = Driver(store, info, "a", "b")
    driver.offers = {"a": [info], "b": [finer]}
    return driver, finer


def test_a_chunk_of_the_old_manifest_is_still_taken(two: tuple[Driver, CheckpointInfo]) -> None:
    """Its range counts, and the chunks of the new manifest inside it are not asked for."""
    driver, finer = two
    listing, other = driver.ask_all()
    driver.answer(listing)
    driver.answer(driver.ask())
    old = driver.ask()
    assert isinstance(old, ChunkRequest)
    chunk = driver.answer(old)
    driver.answer(other)
    driver.session.peers.failed(PeerMisbehavedError("a", "a lie about something else"), 0.0)
    driver.session._check_work(0.0)
    manifest = driver.ask()
    driver.answer(manifest)
    assert driver.state is RestoreState.LEAVES
    chosen = [event for event in driver.session.take_events() if isinstance(event, ManifestChosen)]
    assert [event.digest for event in chosen] == [driver.info.digest, finer.digest]
    assert chunk is not None
    driver.session.stored(chunk, 0.0)
    driver.store_all()
    assert driver.state is RestoreState.FOLDING


def test_a_refusal_by_the_old_manifests_giver_changes_nothing(two: tuple[Driver, CheckpointInfo]) -> None:
    driver, _ = two
    driver.offers["a"] = driver.offers["a"] + driver.offers["b"]
    driver.to_leaves()
    requests = driver.ask_all()
    old = next(request for request in requests if isinstance(request, ChunkRequest))
    work = driver.session._work
    assert work is not None
    driver.session._leave(work.offer, "as if nobody served it", 0.0)
    driver.fail(old, PeerRefusedError(old.peer, 404))
    assert driver.state in (RestoreState.DISCOVERING, RestoreState.LEAVES)


# Code.


def to_code(driver: Driver) -> Manifest:
    """Every leaf is held and folded, all code is missing."""
    driver.store_all()
    manifest = driver.store.manifest(driver.info.digest)
    code = [blob for entry in manifest.code_chunks for blob in blob_hashes(driver, entry)]
    driver.session.folded(driver.info.root.hash, driver.now, code=code, code_missing=code)
    return manifest


def blob_hashes(driver: Driver, entry: CodeEntry) -> list[bytes]:
    return list(decode_code_chunk(driver.store.chunk(entry.digest), entry, limits=driver.limits).keys)


def test_code_completes_it(driver: Driver) -> None:
    to_code(driver)
    assert driver.state is RestoreState.CODE
    driver.store_all()
    assert driver.state is RestoreState.COMPLETE


def test_a_late_code_chunk_is_not_wanted_twice(driver: Driver) -> None:
    to_code(driver)
    first = driver.ask()
    driver.now = driver.now + driver.limits.hedge_after_s
    second = driver.ask()
    chunk = driver.answer(second)
    assert chunk is not None
    assert chunk.is_code
    assert driver.session.obsolete() == [first]
    driver.session.stored(chunk, driver.now)
    assert driver.state is RestoreState.COMPLETE
    assert driver.session.obsolete() == [first]


def test_code_stored_after_its_giver_was_dropped_completes_it(driver: Driver) -> None:
    """The work is left while the last chunk is on its way to the disk; it counts all the same."""
    to_code(driver)
    request = driver.ask()
    chunk = driver.answer(request)
    assert chunk is not None
    for name in NAMES:
        driver.session.peers.failed(PeerMisbehavedError(name, "a lie"), 0.0)
    driver.session._check_work(0.0)
    assert driver.state is RestoreState.DISCOVERING
    driver.session.stored(chunk, 0.0)
    assert driver.state is RestoreState.COMPLETE


def test_leaves_stored_after_their_giver_was_dropped_are_folded(driver: Driver) -> None:
    driver.to_leaves()
    chunks = []
    while requests := driver.ask_all():
        chunks += [driver.answer(request) for request in requests]
    for name in NAMES:
        driver.session.peers.failed(PeerMisbehavedError(name, "a lie"), 0.0)
    driver.session._check_work(0.0)
    assert driver.state is RestoreState.DISCOVERING
    for chunk in chunks:
        assert chunk is not None
        driver.session.stored(chunk, 0.0)
    assert driver.state is RestoreState.FOLDING


def test_a_manifest_with_too_little_code_is_convicted(driver: Driver) -> None:
    to_code(driver)
    driver.session._code_missing.add(b"\xff" * 32)
    with pytest.raises(NoPeersLeftError):
        driver.store_all()
    assert set(driver.verdicts().values()) == {Verdict.MISBEHAVED}
