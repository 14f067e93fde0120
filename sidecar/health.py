"""Health: whether the sidecar lives, whether it may be relied on, and if not, why.

Pure: the daemon writes facts into it, probes read the verdict. Alive means that the writer is there; ready means that
the mirror is near the node's height, its checkpoints are young enough, and the disk has room.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, fields

__all__ = ["Facts", "Health", "ReadyLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyLimits:
    """See `ReadyConfig`. Ages in seconds; 0 means that age is not judged."""

    lag_heights_max: int
    checkpoint_age_s_max: float
    free_bytes_min: int


@dataclass(slots=True)
class Facts:
    """What the daemon knows of itself. Times are seconds since the epoch."""

    applied_height: int | None = None
    source_height: int | None = None
    caught_up: bool = False
    """The source was read to its end at least once since it was opened."""
    source_error: str = ""
    writer_error: str = ""
    checkpoint_height: int | None = None
    checkpoint_time: float | None = None
    free_bytes: int | None = None


@dataclass(slots=True)
class Health:
    """Facts behind a lock, and what follows from them."""

    limits: ReadyLimits
    _facts: Facts = field(default_factory=Facts)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, **facts: object) -> None:
        """Replace some facts, all at once."""
        known = {known.name for known in fields(Facts)}
        assert set(facts) <= known, f"no such fact: {set(facts) - known}"
        with self._lock:
            for name, value in facts.items():
                setattr(self._facts, name, value)

    @property
    def lag_heights(self) -> int:
        """How far the mirror is behind the newest height that was read from the source."""
        facts = self._facts
        if facts.source_height is None:
            return 0
        return max(0, facts.source_height - (-1 if facts.applied_height is None else facts.applied_height))

    @property
    def disk_full(self) -> bool:
        free = self._facts.free_bytes
        return free is not None and free < self.limits.free_bytes_min

    def alive(self) -> tuple[str, ...]:
        """Why the process should be started anew; empty when it lives."""
        return (f"the writer has stopped: {self._facts.writer_error}",) if self._facts.writer_error else ()

    def ready(self, now: float) -> tuple[str, ...]:
        """Every reason for which the mirror is not to be relied on; empty when it is ready. `now`: epoch seconds."""
        with self._lock:
            return tuple(reason for reason in (*self.alive(), *self._reasons(now)) if reason)

    def _reasons(self, now: float) -> tuple[str, ...]:
        facts, limits = self._facts, self.limits
        age_s = None if facts.checkpoint_time is None else now - facts.checkpoint_time
        wants_age = limits.checkpoint_age_s_max > 0
        return (
            f"the source cannot be read: {facts.source_error}" if facts.source_error else "",
            "no height is applied yet" if facts.applied_height is None else "",
            "the source has not been read to its end yet" if not facts.caught_up else "",
            f"{self.lag_heights} heights behind the source" if self.lag_heights > limits.lag_heights_max else "",
            "no checkpoint yet" if wants_age and age_s is None else "",
            f"the newest checkpoint is {age_s:.0f} s old"
            if wants_age and age_s is not None and age_s > limits.checkpoint_age_s_max
            else "",
            f"only {facts.free_bytes} bytes are free on the disk" if self.disk_full else "",
        )
