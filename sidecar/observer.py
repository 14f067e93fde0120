"""Observer: what long work and the endpoint report, as metrics and log lines.

One Monitor for everything that runs in a daemon. It decides what is worth a line: requests and chunks are counted and
never logged one by one. Thread-safe, as several pieces of work report at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sidecar.log import EventLog
from sidecar.metrics import Metrics

__all__ = ["Observer"]

WARNINGS = frozenset(("checkpoint_corrupt", "spine_unusable", "catalog_unwritable", "request_failed"))


class Observer:
    """A `sync.monitor.Monitor`."""

    def __init__(self, metrics: Metrics, log: EventLog, *, now: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._log = log
        self._now = now
        self._started: dict[str, float] = {}

    def phase_started(self, phase: str, *, total: int | None, unit: str) -> None:
        self._started[phase] = self._now()

    def advanced(self, phase: str, count: int) -> None:
        if phase == "fold":
            self._metrics.checkpoint_leaves.inc(count)

    def phase_finished(self, phase: str) -> None:
        self._metrics.checkpoint_phase_s.labels(phase).set(self._now() - self._started.pop(phase))

    def event(self, name: str, **fields: object) -> None:
        match name, fields:
            case "request_served", {"route": route, "status": status, "bytes": int(size)}:
                self._metrics.requests.labels(route, status).inc()
                self._metrics.response_bytes.inc(size)
            case "request_throttled", {"limit": limit}:
                self._metrics.throttled.labels(limit).inc()
            case _ if name in WARNINGS:
                self._log.warning(name, **fields)
            case _:
                self._log.debug(name, **fields)
