"""Quota: how much of an endpoint one client, and all of them together, may use at a time.

Decides who is let in: by requests in flight, and by bytes a second. Does no I/O and reads no clock (`now` in seconds
on any monotonic scale is an argument). Bytes are counted when they are promised, not when they are sent, so that a
client cannot open many large answers at once.

A *budget* is a bucket that fills at the allowed rate up to BURST_S seconds' worth, and may be overdrawn by one
answer: then nothing more is let in until it is above zero again. So an answer larger than the bucket is still served.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from sync.limits import Limits

__all__ = ["BURST_S", "OverQuotaError", "Quota", "client_of"]

BURST_S = 4.0
BUSY_RETRY_S = 1.0
"""Retry-After where requests in flight, and not bytes, are the reason."""


class OverQuotaError(Exception):
    """Not now. `limit` is the field of Limits that is reached; ask again after `retry_after_s` seconds."""

    def __init__(self, limit: str, retry_after_s: float) -> None:
        self.limit = limit
        self.retry_after_s = retry_after_s
        super().__init__(f"{limit} is reached")


@dataclass(slots=True)
class _Budget:
    """Requests in flight and bytes left, of one client or of all."""

    rate: float
    left: float
    filled_at: float
    in_flight: int = 0

    def fill(self, now: float) -> None:
        self.left = min(self.rate * BURST_S, self.left + self.rate * max(0.0, now - self.filled_at))
        self.filled_at = now

    def idle(self, now: float) -> bool:
        """Whether forgetting this budget would give its client nothing."""
        self.fill(now)
        return not self.in_flight and self.left >= self.rate * BURST_S


class Quota:
    """Who is served now. Not thread-safe: it belongs to the endpoint's loop."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._all = self._budget(limits.served_bytes_per_s_max, now)
        self._clients: dict[str, _Budget] = {}

    @property
    def in_flight(self) -> int:
        """Requests that were let in and have not ended."""
        return self._all.in_flight

    def enter(self, client: str, now: float) -> None:
        """Let one request in; `leave` must follow.

        Raises:
            OverQuotaError: and nothing is to be left.
        """
        budget = self._client(client, now)
        if self._all.in_flight >= self._limits.requests_max:
            raise OverQuotaError("requests_max", BUSY_RETRY_S)
        if budget.in_flight >= self._limits.requests_per_client_max:
            raise OverQuotaError("requests_per_client_max", BUSY_RETRY_S)
        for limit, bucket in (("client_bytes_per_s_max", budget), ("served_bytes_per_s_max", self._all)):
            bucket.fill(now)
            if bucket.left <= 0:
                raise OverQuotaError(limit, -bucket.left / bucket.rate)
        budget.in_flight += 1
        self._all.in_flight += 1

    def leave(self, client: str) -> None:
        """The request has ended, however it did."""
        self._clients[client].in_flight -= 1
        self._all.in_flight -= 1

    def charge(self, client: str, size: int) -> None:
        """`size` bytes are promised to a client that is inside."""
        self._clients[client].left -= size
        self._all.left -= size

    def _client(self, client: str, now: float) -> _Budget:
        """The client's budget; room for a new one is made by forgetting those that are idle."""
        found = self._clients.get(client)
        if found is None:
            if len(self._clients) >= self._limits.clients_max:
                self._clients = {name: kept for name, kept in self._clients.items() if not kept.idle(now)}
            if len(self._clients) >= self._limits.clients_max:
                raise OverQuotaError("clients_max", BUSY_RETRY_S)
            found = self._clients[client] = self._budget(self._limits.client_bytes_per_s_max, now)
        return found

    def _budget(self, rate: float, now: float) -> _Budget:
        return _Budget(rate, rate * BURST_S, now)


def client_of(remote: str | None) -> str:
    """Whom a limit counts as one client: an IPv4 address, or the /64 network that one IPv6 host has to itself."""
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return remote or ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return str(address)
