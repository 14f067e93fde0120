"""PeerBook: who may be asked, how much at once, when again, and what each peer did.

Decides shares, backoff, the throughput floor, and when a request in flight deserves a second one elsewhere. It does
no I/O, reads no clock (`now` is an argument, seconds on any monotonic scale) and rolls no dice of its own. It refuses
to know what a chunk is, and it does not judge bytes: whether a peer lied is for the session to say.

A peer's *share* is the number of requests it may have in flight. It begins at one, grows by one with every delivery,
and falls back to one with every fault, so that a slow peer holds one chunk while a fast one is given many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

from sync.errors import PeerError, PeerMisbehavedError, PeerRefusedError, PeerUnavailableError
from sync.limits import Limits

__all__ = ["NothingOfferedError", "PeerBook", "PeerReport", "SlowPeerError", "Verdict", "reason_of", "verdict_of"]

BACKOFF_FIRST_S = 0.5
"""Wait after the first fault; doubles with every further one, up to `Limits.backoff_s_max`."""
HEDGE_FACTOR = 3.0
"""A request this many times slower than the usual one gets a rival."""
SAMPLES_KEPT = 32


class Verdict(StrEnum):
    """What a restore thinks of a peer."""

    IDLE = "idle"
    """It is at no fault, and no chunk of it was needed."""
    GOOD = "good"
    """It delivered, and nothing else since."""
    SLOW = "slow"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    MISBEHAVED = "misbehaved"


class SlowPeerError(PeerUnavailableError):
    """The peer answers, below the throughput floor or far behind the others."""


class NothingOfferedError(PeerRefusedError):
    """The peer lists no checkpoint of the root, or none that is still worth asking for.

    `heights`: where it claims to have other ones of this chain, as far as is known; the nearest ones, ascending.
    """

    def __init__(self, peer: str, heights: tuple[int, ...] = ()) -> None:
        self.heights = heights
        super().__init__(peer, status=404)

    def __str__(self) -> str:
        known = f"; other ones of this chain at {', '.join(map(str, self.heights))}" if self.heights else ""
        return f"{self.peer}: has no checkpoint of this root{known}"


@dataclass(frozen=True, slots=True)
class PeerReport:
    """What one peer did. `bytes_received` counts stored bytes of answers, useful or not; `chunks` verified ones."""

    peer: str
    verdict: Verdict
    reason: str
    chunks: int
    bytes_received: int
    faults: Mapping[Verdict, int]


@dataclass(slots=True)
class _Peer:
    name: str
    share: int = 1
    in_flight: int = 0
    retry_at: float = 0.0
    attempts_failed: int = 0
    listings_empty: int = 0
    gone: bool = False
    verdict: Verdict = Verdict.IDLE
    reason: str = ""
    chunks: int = 0
    bytes_received: int = 0
    rate: float = 0.0
    faults: Counter[Verdict] = field(default_factory=Counter)


class PeerBook:
    """The peers of one restore, in the order in which the user named them. Not thread-safe."""

    def __init__(self, names: Iterable[str], limits: Limits, *, random: Callable[[], float]) -> None:
        """`random` gives numbers in [0, 1): only the jitter of waits depends on it.

        Raises:
            ValueError: no peer, a peer named twice, or more than `Limits.peers_max`.
        """
        listed = list(names)
        if not listed or len(set(listed)) != len(listed) or len(listed) > limits.peers_max:
            raise ValueError(f"a restore asks 1 to {limits.peers_max} peers, each named once")
        self._peers = {name: _Peer(name) for name in listed}
        self._limits = limits
        self._random = random
        self._usual_s: list[float] = []

    def names(self) -> tuple[str, ...]:
        """Every peer, whatever became of it."""
        return tuple(self._peers)

    def alive(self) -> tuple[str, ...]:
        """Peers that are not given up: to be asked now or later."""
        return tuple(peer.name for peer in self._peers.values() if not peer.gone)

    def ready(self, now: float) -> list[str]:
        """Peers that may be asked at once, the most promising first: unused share, then measured rate."""
        free = [p for p in self._peers.values() if not p.gone and p.in_flight < p.share and p.retry_at <= now]
        return [p.name for p in sorted(free, key=lambda p: (p.in_flight, -p.rate))]

    def hopeful(self) -> bool:
        """Whether somebody is left who may have the root: not given up, and not often enough found without it."""
        most = self._limits.listings_empty_max
        return any(not peer.gone and peer.listings_empty < most for peer in self._peers.values())

    def unoffered(self) -> bool:
        """Whether peers answered without a lie, and the last word of each that did was that it has no such root."""
        answered = [p for p in self._peers.values() if p.verdict not in (Verdict.UNAVAILABLE, Verdict.MISBEHAVED)]
        return bool(answered) and all(peer.listings_empty for peer in answered)

    def listings_empty(self, name: str) -> int:
        """How many listings in a row were without the root."""
        return self._peers[name].listings_empty

    def next_retry_at(self, now: float) -> float | None:
        """When the first of the waiting peers may be asked again; None if none waits."""
        return min((p.retry_at for p in self._peers.values() if not p.gone and p.retry_at > now), default=None)

    def asked(self, name: str) -> None:
        """A request to this peer begins; `released` ends it."""
        self._peers[name].in_flight += 1

    def released(self, name: str) -> None:
        """A request has ended, however it did."""
        peer = self._peers[name]
        assert peer.in_flight > 0
        peer.in_flight -= 1

    def delivered(self, name: str, *, size: int, elapsed_s: float) -> None:
        """The peer gave a truthful answer of `size` bytes in `elapsed_s` seconds."""
        peer = self._peers[name]
        self.received(name, size)
        rate = size / max(elapsed_s, 1e-6)
        peer.rate = rate if not peer.rate else 0.7 * peer.rate + 0.3 * rate

    def helped(self, name: str, *, elapsed_s: float) -> None:
        """The answer was a chunk that was wanted: its share grows, and its record of faults in a row is cleared.

        Not so for a listing or a manifest: a peer that lists well and delivers nothing would be asked for ever.
        """
        peer = self._peers[name]
        peer.share = min(peer.share + 1, self._limits.requests_per_peer_max)
        peer.chunks += 1
        peer.attempts_failed = 0
        if not peer.gone:
            peer.verdict, peer.reason = Verdict.GOOD, ""
        self._usual_s = [*self._usual_s[1 - SAMPLES_KEPT :], elapsed_s]

    def offered(self, name: str) -> None:
        """The peer lists the root."""
        self._peers[name].listings_empty = 0

    def received(self, name: str, size: int) -> None:
        """`size` more bytes came from this peer."""
        self._peers[name].bytes_received += size

    def failed(self, error: PeerError, now: float) -> None:
        """The peer did not do what was asked. A proven lie ends it at once, anything else after `attempts_max` in a
        row; in between it waits, longer each time."""
        peer = self._peers[error.peer]
        verdict = verdict_of(error)
        peer.faults[verdict] += 1
        peer.share = 1
        peer.attempts_failed += 1
        peer.listings_empty += isinstance(error, NothingOfferedError)
        peer.gone = peer.gone or verdict is Verdict.MISBEHAVED or peer.attempts_failed >= self._limits.attempts_max
        if peer.verdict is not Verdict.MISBEHAVED:
            peer.verdict, peer.reason = verdict, reason_of(error)
        wait_s = min(BACKOFF_FIRST_S * 2 ** (peer.attempts_failed - 1), self._limits.backoff_s_max)
        asked_for_s = error.retry_after_s if isinstance(error, PeerRefusedError) else None
        peer.retry_at = now + max(wait_s * (0.5 + self._random() / 2), asked_for_s or 0.0)

    def deadline_s(self, size: int) -> float:
        """Seconds that a request for `size` bytes may take: the throughput floor, after a stall's worth of grace."""
        floor = self._limits.stall_timeout_s + size / self._limits.peer_bytes_per_s_min
        return min(floor, self._limits.request_timeout_s)

    def hedge_after_s(self) -> float:
        """Age at which a request gets a rival: a few times the usual one, never less than `Limits.hedge_after_s`."""
        usual = median(self._usual_s) if self._usual_s else 0.0
        return max(HEDGE_FACTOR * usual, self._limits.hedge_after_s)

    def reasons(self) -> dict[str, str]:
        """Why each peer is no help, by name."""
        return {p.name: p.reason or p.verdict for p in self._peers.values()}

    def report(self) -> tuple[PeerReport, ...]:
        """What each peer did, in the order in which the user named them."""
        return tuple(
            PeerReport(p.name, p.verdict, p.reason, p.chunks, p.bytes_received, dict(p.faults))
            for p in self._peers.values()
        )


def verdict_of(error: PeerError) -> Verdict:
    """Which kind of fault an error is."""
    if isinstance(error, PeerMisbehavedError):
        return Verdict.MISBEHAVED
    if isinstance(error, PeerRefusedError):
        return Verdict.REFUSED
    return Verdict.SLOW if isinstance(error, SlowPeerError) else Verdict.UNAVAILABLE


def reason_of(error: PeerError) -> str:
    """What an error says, without the peer's name in front."""
    return str(error).removeprefix(f"{error.peer}: ")
