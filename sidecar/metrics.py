"""Metrics of the sidecar, for Prometheus. All of prometheus_client is here.

Names are `leafmirror_<noun>_<unit>[_total]` with the glossary's nouns; labels tell outcomes and reasons, never heights,
chunks or peers. docs/operations.md says of each one what to do about it. Each Metrics has a registry of its own, so
that two may live in one process.
"""

from __future__ import annotations

import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from proofs import get_kernel
from proofs.hashing import KECCAK_SOURCE

__all__ = ["Metrics"]

_PAUSE_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_APPLY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Every series that the sidecar exports. Thread-safe."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.applied_height = Gauge(
            "leafmirror_applied_height", "Newest height that is durable in the mirror", registry=registry
        )
        self.source_height = Gauge(
            "leafmirror_finalised_height", "Newest height that was read from the source", registry=registry
        )
        self.lag_heights = Gauge(
            "leafmirror_apply_lag_heights", "Heights that were read and are not applied", registry=registry
        )
        self.backlog_bytes = Gauge(
            "leafmirror_source_backlog_bytes", "Bytes of the source that were not read yet", registry=registry
        )
        self.source_errors = Counter(
            "leafmirror_source_errors_total", "Times the source could not be followed", ["reason"], registry=registry
        )
        self.apply_s = Histogram(
            "leafmirror_apply_duration_seconds",
            "Time to apply one height, verification included",
            buckets=_APPLY_BUCKETS_S,
            registry=registry,
        )
        self.heights = Counter("leafmirror_applied_heights_total", "Heights applied", registry=registry)
        self.writes = Counter("leafmirror_applied_writes_total", "Puts and deletes applied", registry=registry)
        self.verified_height = Gauge(
            "leafmirror_verified_height", "Newest height whose leaves were folded to its root", registry=registry
        )
        self._add_checkpoints(registry)
        self._add_endpoint(registry)
        self._add_process(registry)

    def _add_checkpoints(self, registry: CollectorRegistry) -> None:
        self.pause_s = Histogram(
            "leafmirror_checkpoint_pause_seconds",
            "Time for which the gate was shut to freeze a view",
            buckets=_PAUSE_BUCKETS_S,
            registry=registry,
        )
        self.checkpoint_s = Gauge(
            "leafmirror_checkpoint_duration_seconds", "Duration of the last checkpoint", registry=registry
        )
        self.checkpoint_phase_s = Gauge(
            "leafmirror_checkpoint_phase_seconds",
            "Duration of each phase of the last one",
            ["phase"],
            registry=registry,
        )
        self.checkpoints = Counter(
            "leafmirror_checkpoints_total", "Checkpoints that were due, by outcome", ["outcome"], registry=registry
        )
        for outcome in ("published", "skipped", "failed"):
            self.checkpoints.labels(outcome)
        self.checkpoint_leaves = Counter(
            "leafmirror_checkpoint_leaves_total", "Leaves written to checkpoints", registry=registry
        )
        self.checkpoint_bytes = Counter(
            "leafmirror_checkpoint_bytes_total", "Canonical bytes of published checkpoints", registry=registry
        )
        self.checkpoint_height = Gauge(
            "leafmirror_last_checkpoint_height", "Height of the newest checkpoint", registry=registry
        )
        self.checkpoint_time = Gauge(
            "leafmirror_last_checkpoint_timestamp_seconds",
            "When the newest checkpoint was published",
            registry=registry,
        )
        self.checkpoint_count = Gauge("leafmirror_checkpoints_kept", "Checkpoints in the store", registry=registry)

    def _add_process(self, registry: CollectorRegistry) -> None:
        self.ready = Gauge("leafmirror_ready", "1 if the sidecar calls itself ready", registry=registry)
        self.free_bytes = Gauge(
            "leafmirror_disk_free_bytes", "Free bytes on the mirror's file system", registry=registry
        )
        self.disk_full = Gauge("leafmirror_disk_full", "1 while too little space is left to go on", registry=registry)
        build = Info("leafmirror_build", "Version of leafmirror and of Python", registry=registry)
        build.info({"version": version("leafmirror"), "python": platform.python_version()})
        kernel = Info("leafmirror_kernel", "What folds leaves, and where Keccak comes from", registry=registry)
        kernel.info({"kernel": get_kernel().name, "keccak": KECCAK_SOURCE})

    def _add_endpoint(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "leafmirror_sync_requests_total", "Requests answered", ["route", "code"], registry=registry
        )
        self.response_bytes = Counter("leafmirror_sync_response_bytes_total", "Bytes of answers", registry=registry)
        self.throttled = Counter(
            "leafmirror_sync_throttled_total", "Requests refused for now", ["reason"], registry=registry
        )

    def encode(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)
