"""PeerBook: shares, waits, verdicts and the throughput floor, with clock and dice as numbers."""

from __future__ import annotations

import pytest

from sync.errors import PeerMisbehavedError, PeerRefusedError, PeerUnavailableError
from sync.limits import Limits
from sync.peers import BACKOFF_FIRST_S, HEDGE_FACTOR, NothingOfferedError, PeerBook, SlowPeerError, Verdict


def book(*names: str, random: float = 1.0, **limits: float) -> PeerBook:
    return PeerBook(names or ("a", "b"), Limits(**limits), random=lambda: random)  # type: ignore[arg-type]


def help_once(peers: PeerBook, name: str, elapsed_s: float = 1.0, size: int = 100) -> None:
    peers.asked(name)
    peers.released(name)
    peers.delivered(name, size=size, elapsed_s=elapsed_s)
    peers.helped(name, elapsed_s=elapsed_s)


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a", "b", "c"]])
def test_peers_are_named_once_and_bounded(names: list[str]) -> None:
    with pytest.raises(ValueError):
        PeerBook(names, Limits(peers_max=2), random=lambda: 0.0)


def test_a_share_grows_with_chunks_and_falls_with_faults() -> None:
    """Fails if listings make a share grow, if it passes its bound, or if a fault does not end it."""
    peers = book("a", requests_per_peer_max=3)
    peers.delivered("a", size=10, elapsed_s=1.0)
    for _ in range(5):
        help_once(peers, "a")
    for _ in range(3):
        assert peers.ready(0.0) == ["a"]
        peers.asked("a")
    assert peers.ready(0.0) == []
    for _ in range(3):
        peers.released("a")
    peers.failed(PeerUnavailableError("a", "gone"), 0.0)
    peers.asked("a")
    assert peers.ready(100.0) == []


def test_the_idle_and_the_fast_come_first() -> None:
    peers = book("slow", "fast", "busy")
    help_once(peers, "slow", size=10)
    help_once(peers, "fast", size=1000)
    help_once(peers, "busy", size=10**6)
    peers.asked("busy")
    assert peers.ready(0.0) == ["fast", "slow", "busy"]


def test_waits_double_up_to_a_bound_and_jitter_shortens_them() -> None:
    for random, factor in ((1.0, 1.0), (0.0, 0.5)):
        peers = book("a", random=random, backoff_s_max=4.0, attempts_max=9)
        for wait in (BACKOFF_FIRST_S, 1.0, 2.0, 4.0, 4.0):
            peers.failed(PeerUnavailableError("a", "gone"), 10.0)
            assert peers.next_retry_at(10.0) == 10.0 + wait * factor
            assert peers.ready(10.0 + wait * factor - 0.01) == []
            assert peers.ready(10.0 + wait * factor) == ["a"]


def test_a_peer_may_ask_for_a_longer_wait() -> None:
    peers = book("a")
    peers.failed(PeerRefusedError("a", 429, retry_after_s=60.0), 0.0)
    assert peers.next_retry_at(0.0) == 60.0


def test_given_up_after_faults_in_a_row() -> None:
    """A delivered chunk in between starts the count anew; a listing does not."""
    peers = book("a", "b", attempts_max=3)
    for _ in range(2):
        peers.failed(PeerUnavailableError("a", "gone"), 0.0)
    help_once(peers, "a")
    for _ in range(2):
        peers.failed(PeerUnavailableError("a", "gone"), 0.0)
    peers.delivered("a", size=1, elapsed_s=1.0)
    assert peers.alive() == ("a", "b")
    peers.failed(PeerUnavailableError("a", "gone"), 0.0)
    assert peers.alive() == ("b",)
    assert peers.ready(1e9) == ["b"]


def test_a_lie_is_never_forgiven() -> None:
    peers = book("a")
    peers.failed(PeerMisbehavedError("a", "a lie"), 0.0)
    assert peers.alive() == ()
    peers.failed(PeerUnavailableError("a", "gone"), 0.0)
    help_once(peers, "a")
    (report,) = peers.report()
    assert (report.verdict, report.reason) == (Verdict.MISBEHAVED, "a lie")
    assert report.faults == {Verdict.MISBEHAVED: 1, Verdict.UNAVAILABLE: 1}


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (PeerUnavailableError("a", "x"), Verdict.UNAVAILABLE),
        (SlowPeerError("a", "x"), Verdict.SLOW),
        (PeerRefusedError("a", 404), Verdict.REFUSED),
        (NothingOfferedError("a"), Verdict.REFUSED),
        (PeerMisbehavedError("a", "x"), Verdict.MISBEHAVED),
    ],
)
def test_verdicts(error: PeerUnavailableError, verdict: Verdict) -> None:
    peers = book("a")
    assert peers.report()[0].verdict is Verdict.IDLE
    peers.failed(error, 0.0)
    assert peers.report()[0].verdict is verdict
    assert not peers.report()[0].reason.startswith("a:")


def test_the_report_counts_bytes_and_chunks() -> None:
    peers = book("a", "b")
    help_once(peers, "a", size=7)
    peers.received("a", 5)
    first, second = peers.report()
    assert (first.peer, first.verdict, first.bytes_received, first.chunks) == ("a", Verdict.GOOD, 12, 1)
    assert (second.peer, second.bytes_received, second.chunks) == ("b", 0, 0)
    assert peers.reasons() == {"a": "good", "b": "idle"}


def test_deadline_is_the_throughput_floor() -> None:
    peers = book("a", stall_timeout_s=20.0, peer_bytes_per_s_min=100, request_timeout_s=50.0)
    assert peers.deadline_s(0) == 20.0
    assert peers.deadline_s(1000) == 30.0
    assert peers.deadline_s(10**9) == 50.0


def test_hedge_follows_the_usual_time() -> None:
    """Fails if one slow chunk, or a single fast one, decides when everybody is late."""
    peers = book("a", hedge_after_s=2.0)
    assert peers.hedge_after_s() == 2.0
    for elapsed_s in (0.1, 0.1, 50.0):
        help_once(peers, "a", elapsed_s)
    assert peers.hedge_after_s() == 2.0
    for _ in range(40):
        help_once(peers, "a", 5.0)
    assert peers.hedge_after_s() == HEDGE_FACTOR * 5.0


def test_releasing_what_was_not_asked_is_our_own_bug() -> None:
    with pytest.raises(AssertionError):
        book("a").released("a")
