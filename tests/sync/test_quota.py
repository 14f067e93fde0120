"""Quota: who is let in, with a clock that is a number."""

from __future__ import annotations

import pytest

from sync.limits import Limits
from sync.quota import BURST_S, OverQuotaError, Quota, client_of


def refusal(quota: Quota, client: str, now: float) -> OverQuotaError:
    with pytest.raises(OverQuotaError) as caught:
        quota.enter(client, now)
    return caught.value


def test_requests_in_flight() -> None:
    """Fails if a refused request counts, or if one that left still does."""
    quota = Quota(Limits(requests_per_client_max=2, requests_max=3), 0.0)
    quota.enter("a", 0.0)
    quota.enter("a", 0.0)
    assert refusal(quota, "a", 0.0).limit == "requests_per_client_max"
    quota.enter("b", 0.0)
    assert refusal(quota, "c", 0.0).limit == "requests_max"
    assert quota.in_flight == 3
    quota.leave("a")
    quota.enter("c", 0.0)
    for client in ("a", "b", "c"):
        quota.leave(client)
    assert quota.in_flight == 0


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(client_bytes_per_s_max=100), "client_bytes_per_s_max"),
        (Limits(served_bytes_per_s_max=100), "served_bytes_per_s_max"),
    ],
)
def test_bytes_a_second(limits: Limits, limit: str) -> None:
    """One answer may overdraw the budget; then it is refused until the debt is paid, and exactly so long."""
    quota = Quota(limits, 0.0)
    quota.enter("a", 0.0)
    quota.charge("a", 1000)
    quota.leave("a")
    over = refusal(quota, "a", 1.0)
    assert over.limit == limit
    assert over.retry_after_s == pytest.approx((1000 - 100 * BURST_S - 100) / 100)
    refusal(quota, "a", 1.0 + over.retry_after_s)
    quota.enter("a", 1.01 + over.retry_after_s)


def test_a_budget_fills_up_to_its_burst_only() -> None:
    quota = Quota(Limits(client_bytes_per_s_max=100), 0.0)
    quota.enter("a", 1e6)
    quota.charge("a", int(100 * BURST_S))
    assert refusal(quota, "a", 1e6).limit == "client_bytes_per_s_max"


def test_clients_are_bounded_and_forgotten_when_idle() -> None:
    """Fails if memory grows with clients, or if a debt can be dropped by being forgotten."""
    quota = Quota(Limits(clients_max=2, client_bytes_per_s_max=10), 0.0)
    quota.enter("debtor", 0.0)
    quota.charge("debtor", 1000)
    quota.leave("debtor")
    quota.enter("idle", 0.0)
    quota.leave("idle")
    quota.enter("new", 0.0)
    assert refusal(quota, "another", 0.0).limit == "clients_max"
    assert refusal(quota, "debtor", 0.0).limit == "client_bytes_per_s_max"


@pytest.mark.parametrize(
    ("remote", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        (None, ""),
        ("socket", "socket"),
    ],
)
def test_who_is_one_client(remote: str | None, client: str) -> None:
    assert client_of(remote) == client
