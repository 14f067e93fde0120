"""RestoreSession: what a restore believes, and what it asks for next. All trust passes here.

It decides which manifest is worked, which chunk is asked of whom, what is accepted, and who is dropped for what. It
does no I/O, reads no clock (`now` is an argument, seconds on a monotonic scale) and rolls no dice. Only the user's Root
is believed; a manifest is a list of claims that its givers answer for:

* other bytes than the manifest announces                   the peer that sent them lied
* the announced bytes, and their proof does not hold        everyone who gave the *manifest* lied
* every announced code chunk, and code is still missing     everyone who gave the manifest lied

Verified ranges count by their bounds and not by their chunk, so they stay valid under every other manifest. Where the
root is a sum, chunks are staged as one manifest announces them; if they do not add up it is set aside, what another one
disputes is replaced, and the givers of the first are convicted once the other one's total is right.

Ordering rules: one state and one transition table (`RestoreState`). `next_request` hands out a request; exactly one of
`accept`, `failed` and `cancelled` ends it, and each VerifiedChunk that `accept` returns goes to `stored` once it is
durable. Requests in `obsolete()` are no longer wanted and are to be cancelled. Not thread-safe, but for `judge`, which
changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from proofs import Kernel, get_kernel
from sync.errors import InvalidManifestError, NoPeersLeftError, PeerError, PeerRefusedError, RestoreMismatchError
from sync.events import ChunkStored, Event, ManifestChosen, ManifestDropped, PeerFaulted, RestoreState, StateChanged
from sync.flights import Flights, may_join
from sync.held import HeldRange, held_ranges, range_of
from sync.judge import ForgedChunkError, ForgedManifestError, Judge, Judged, VerifiedChunk
from sync.limits import Limits
from sync.manifest import MANIFEST_FORMAT, LeafEntry, Manifest
from sync.offers import Offer, Offers, Work, nearest_heights, size_of
from sync.peers import NothingOfferedError, PeerBook, SlowPeerError, reason_of, verdict_of
from sync.request import STORED_OVERHEAD, ChunkRequest, ListingRequest, ManifestRequest, Request
from sync.root import Root
from sync.wire import TOO_MANY_REQUESTS, ListedCheckpoint

__all__ = ["RestoreSession"]

_TOTAL_WRONG: Final = "its chunks do not add up to the root"


class RestoreSession:
    """One restore of one Root from the peers in `peers`. See the module for the rules of calling."""

    def __init__(
        self,
        root: Root,
        peers: PeerBook,
        limits: Limits,
        *,
        held: Iterable[HeldRange] = (),
        kernel: Kernel | None = None,
    ) -> None:
        """`held`: ranges that an earlier session for this very root made durable. Raises UnknownSchemeError."""
        self.root = root
        self.peers = peers
        self.state = RestoreState.DISCOVERING
        self._judge = Judge(root, limits, kernel or get_kernel())
        self._limits = limits
        self._events: list[Event] = []
        self._offers = Offers()
        self._listed: set[str] = set()
        self._work: Work | None = None
        self._held = held_ranges(root.scheme, held)
        self._set_aside: list[Offer] = []
        self._flights = Flights(limits)
        self._folded = False
        self._code: frozenset[bytes] = frozenset()
        self._code_missing: set[bytes] = set()
        if self._held.whole:
            self._go(RestoreState.FOLDING)

    # What to ask

    def next_request(self, now: float) -> Request | None:
        """The next question to put to a peer, or None: call again after an answer, or at `wake_at`.

        Raises:
            NoPeersLeftError: nothing is under way, and every peer is given up or has no such root. State FAILED.
        """
        if not self.state.is_asking:
            return None
        if not self._flights and not self.peers.hopeful():
            self._go(RestoreState.FAILED)
            raise NoPeersLeftError(self.peers.reasons(), unoffered=self.peers.unoffered())
        for peer in self.peers.ready(now):
            request = self._request(peer, now)
            if request is not None:
                self.peers.asked(peer)
                self._flights.begin(request)
                return request
        return None

    def wake_at(self, now: float) -> float | None:
        """When `next_request` may have something although no answer came; None: only an answer helps."""
        hedge_after_s = self.peers.hedge_after_s()
        times = [request.asked_at + hedge_after_s for request in self._flights.asked()]
        times.append(self.peers.next_retry_at(now) or now)
        return min((at for at in times if at > now), default=None)

    def obsolete(self) -> list[Request]:
        """Requests in flight that are no longer wanted: their peer is dropped, or what they ask for is there."""
        alive = set(self.peers.alive())
        return [request for request in self._flights.asked() if request.peer not in alive or self._have(request)]

    # What came back

    def judge(self, request: Request, untrusted: bytes) -> Judged:
        """As `Judge.judge`. Changes nothing; may be called from any thread."""
        return self._judge.judge(request, untrusted, code=self._code)

    def accept(self, judged: Judged, now: float) -> VerifiedChunk | None:
        """Take a truthful answer. Returns the chunk that is to be stored now, if it brought one that is not held.

        Raises:
            RuntimeError: the request was ended before.
        """
        request = judged.request
        wanted = not self._have(request)
        self._end(request)
        self.peers.delivered(request.peer, size=judged.size, elapsed_s=now - request.asked_at)
        chunk = None
        if isinstance(judged.content, Manifest):
            self._accept_manifest(judged.content, now)
        elif isinstance(judged.content, tuple):
            self._accept_listing(request.peer, judged.content, now)
        elif wanted:
            chunk = VerifiedChunk(judged)
            self._flights.begin_storing(chunk.request)
            self.peers.helped(request.peer, elapsed_s=now - request.asked_at)
            self._outpace(chunk.request, now)
        self._check_work(now)
        return chunk

    def stored(self, chunk: VerifiedChunk, now: float) -> None:
        """The chunk is durable.

        Raises:
            RuntimeError: it was not handed out by `accept`, or was stored before.
        """
        request = chunk.request
        self._flights.end_storing(request)
        if isinstance(request.entry, LeafEntry):
            self._held.add(range_of(request.entry, request.end))
        else:
            self._code_missing.difference_update(chunk.run.keys)
        work = self._work_of(request)
        if work is not None:
            work.finish(request.index)
        self._events.append(ChunkStored(request.peer, request.index, len(chunk.run), request.entry.run_size))
        self._choose(now)
        self._advance(now)

    def failed(self, request: Request, error: PeerError, now: float, *, received: int = 0) -> None:
        """The request ended with an error of its peer, after `received` bytes.

        Raises:
            RuntimeError: the request was ended before.
        """
        self._end(request)
        self._put_back(request)
        self.peers.received(request.peer, received)
        self._fault(error, now)
        match request, error:
            case ManifestRequest(), ForgedManifestError():
                self._convict(self._offers[request.digest], error.reason, now)
            case ChunkRequest(), ForgedChunkError():
                self._convict(self._offers[request.manifest], error.reason, now)
            case ManifestRequest(), PeerRefusedError(status=status) if status != TOO_MANY_REQUESTS:
                self._offers[request.digest].withdraw(request.peer)
            case ChunkRequest(), PeerRefusedError(status=status) if status != TOO_MANY_REQUESTS:
                work = self._work_of(request)
                if work is not None:
                    work.refuse(request.peer, request.index)
        self._check_work(now)

    def cancelled(self, request: Request) -> None:
        """The request was given up by us; that says nothing about its peer.

        Raises:
            RuntimeError: the request was ended before.
        """
        self._end(request)
        self._put_back(request)

    def folded(
        self, computed_root: bytes, now: float, *, code: Collection[bytes], code_missing: Collection[bytes]
    ) -> bool:
        """The database's own leaves fold to `computed_root` and name `code` (hashes), of which some are missing.

        False: it is not the root, and some of the leaves are to be replaced before the next fold.

        Raises:
            RestoreMismatchError: the fold is not the trusted root. The state is FAILED.
            RuntimeError: not every range is held.
        """
        if self.state is not RestoreState.FOLDING:
            raise RuntimeError(f"nothing to fold while {self.state}")
        if computed_root != self.root.hash:
            if self._work is not None and not self._held.counts_alone:
                self._doubt(self._work.offer, now)
                return False
            self._go(RestoreState.FAILED)
            raise RestoreMismatchError(expected=self.root.hash, computed=computed_root)
        for giver in (giver for offer in self._set_aside for giver in offer.givers):
            self._fault(InvalidManifestError(giver, _TOTAL_WRONG), now)
        self._folded = True
        self._code = frozenset(code)
        self._code_missing = set(code_missing)
        self._go(RestoreState.DISCOVERING if self._code_missing else RestoreState.COMPLETE)
        self._work = None
        self._choose(now)
        return True

    def take_events(self) -> list[Event]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    # Asking

    def _request(self, peer: str, now: float) -> Request | None:
        offers = self._offers.by(peer)
        if peer not in self._listed or (self._work is None and not offers):
            return self._listing_request(peer, now)
        if self._work is not None:
            return self._chunk_request(self._work, peer, now)
        for offer in offers:
            if self._may_join(peer, self._flights.manifests(offer.digest), now):
                size = self._limits.manifest_bytes_max
                return ManifestRequest(peer, now, size, self.peers.deadline_s(size), offer.digest)
        return None

    def _listing_request(self, peer: str, now: float) -> ListingRequest | None:
        if self._flights.is_listing(peer):
            return None
        size = self._limits.listing_bytes_max
        # The second time it is asked for all it has, so that a mistyped height can be told from a peer without any.
        height = None if self.peers.listings_empty(peer) == 1 else self.root.height
        return ListingRequest(peer, now, size, self.peers.deadline_s(size), height)

    def _chunk_request(self, work: Work, peer: str, now: float) -> ChunkRequest | None:
        index = self._take(work, peer, now) if self._flights.has_room() else None
        if index is None:
            return None
        entry = work.entries[index]
        size = size_of(entry) + STORED_OVERHEAD
        deadline_s = self.peers.deadline_s(size)
        return ChunkRequest(peer, now, size, deadline_s, work.offer.digest, index, entry, work.end(index))

    def _take(self, work: Work, peer: str, now: float) -> int | None:
        """The chunk to ask this peer for: the first that waits, or at the end one that somebody is late with."""
        while (index := work.take(peer)) is not None:
            if not self._is_covered(work, index):
                return index
            work.finish(index)
        for late in self._flights.chunks():
            wanted = self._work_of(late) is work and work.may_ask(peer, late.index) and not self._have(late)
            if wanted and self._may_join(peer, self._flights.same_chunk(late), now):
                return late.index
        return None

    def _may_join(self, peer: str, rivals: Iterable[Request], now: float) -> bool:
        return may_join(peer, rivals, now=now, hedge_after_s=self.peers.hedge_after_s())

    def _is_covered(self, work: Work, index: int) -> bool:
        """Whether the leaves of this chunk are held already, by whatever manifest they came."""
        entry = work.entries[index]
        return isinstance(entry, LeafEntry) and self._held.covers(range_of(entry, work.end(index)))

    # Accepting

    def _accept_listing(self, peer: str, listed: Sequence[ListedCheckpoint], now: float) -> None:
        self._listed.add(peer)
        for one in listed:
            if one.root == self.root and one.manifest_format == MANIFEST_FORMAT:
                self._offers.add(peer, one.digest)
        if self._offers.by(peer):
            self.peers.offered(peer)
        else:
            self._listed.discard(peer)
            self._fault(NothingOfferedError(peer, nearest_heights(self.root, listed)), now)
        self._choose(now)

    def _accept_manifest(self, manifest: Manifest, now: float) -> None:
        self._offers[manifest.digest].manifest = manifest
        self._choose(now)

    def _choose(self, now: float) -> None:
        """Work the best manifest that is known, if one is wanted and any is."""
        offer = self._offers.best(self.peers.alive())
        # What is on its way to the disk may yet displace what a manifest would count on.
        waits = self._flights.is_any_storing and not self._held.counts_alone
        if offer is None or waits or self.state is not RestoreState.DISCOVERING:
            return
        work = self._work = Work(offer)
        if self._folded:
            work.add(work.code_chunks_of(self._code_missing))
            self._go(RestoreState.CODE)
        else:
            self._held.begin(work.leaf_ranges())
            work.add(index for index in work.leaf_chunks() if not self._is_covered(work, index))
            self._go(RestoreState.LEAVES)
        self._events.append(ManifestChosen(offer.digest, tuple(offer.givers), work.waiting, work.waiting_bytes))
        self._advance(now)

    def _outpace(self, winner: ChunkRequest, now: float) -> None:
        """Whoever was asked for the same chunk earlier is slow."""
        for late in self._flights.same_chunk(winner):
            if late.asked_at < winner.asked_at:
                self._fault(SlowPeerError(late.peer, "another peer, asked later, was quicker"), now)

    # Where it stands

    def _have(self, request: Request) -> bool:
        """Whether what the request asks for is there, on its way to the disk, or of no use any more."""
        if not isinstance(request, ChunkRequest):
            return False
        if self._flights.is_storing(request):
            return True
        work = self._work_of(request)
        if isinstance(request.entry, LeafEntry) and (work is not None or self._held.counts_alone):
            return self._held.covers(range_of(request.entry, request.end))
        return work is None or work.is_finished(request.index)

    def _work_of(self, request: ChunkRequest) -> Work | None:
        """The present work, if the request is part of it."""
        work = self._work
        return work if work is not None and work.offer.digest == request.manifest else None

    def _advance(self, now: float) -> None:
        """Go on if everything of this state is there."""
        if not self.state.is_asking or not self._held.whole:
            return
        if not self._folded:
            self._go(RestoreState.FOLDING)
        elif not self._code_missing:
            self._go(RestoreState.COMPLETE)
        elif self._work is not None and not self._work.waiting and not self._flights.is_busy(self._work.offer.digest):
            self._convict(self._work.offer, "it announces less code than its leaves name", now)

    def _check_work(self, now: float) -> None:
        """Leave a manifest that nobody serves any more, until another peer offers it."""
        work = self._work
        if work is not None and self.state.is_fetching and not work.served(self.peers.alive()):
            for giver in list(work.offer.givers):
                work.offer.withdraw(giver)
            self._leave(work.offer, "no peer serves all of it any more", now)

    def _doubt(self, offer: Offer, now: float) -> None:
        """All chunks of a manifest do not add up: it is wrong somewhere, which another one's total has to prove."""
        offer.dead = True
        self._set_aside.append(offer)
        self._held.begin(())
        self._go(RestoreState.DISCOVERING)
        self._leave(offer, _TOTAL_WRONG, now)
        self._choose(now)

    def _convict(self, offer: Offer, reason: str, now: float) -> None:
        """Everyone who gave this manifest lied, and nobody will be believed who offers it again."""
        alive = self.peers.alive()
        for giver in [giver for giver in offer.givers if giver in alive]:
            self._fault(InvalidManifestError(giver, reason), now)
        if not offer.dead:
            offer.dead = True
            self._leave(offer, reason, now)

    def _leave(self, offer: Offer, reason: str, now: float) -> None:
        self._events.append(ManifestDropped(offer.digest, reason))
        if self._work is not None and self._work.offer is offer:
            self._work = None
            if self.state.is_fetching:
                self._go(RestoreState.DISCOVERING)
                self._choose(now)

    def _fault(self, error: PeerError, now: float) -> None:
        self.peers.failed(error, now)
        self._events.append(PeerFaulted(error.peer, verdict_of(error), reason_of(error)))

    def _end(self, request: Request) -> None:
        self._flights.end(request)
        self.peers.released(request.peer)

    def _put_back(self, request: Request) -> None:
        """The chunk waits again, unless it is there or somebody else owes it too."""
        if not isinstance(request, ChunkRequest) or self._have(request):
            return
        work = self._work_of(request)
        if work is not None and not self._flights.same_chunk(request):
            work.add([request.index])

    def _go(self, state: RestoreState) -> None:
        assert self.state.leads_to(state), f"{self.state} does not lead to {state}"
        self.state = state
        self._events.append(StateChanged(state))
