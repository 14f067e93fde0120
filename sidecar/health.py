"""Health: whether the mirror may be relied on, and if not, every reason.

Pure: the daemon writes facts into it, probes read the verdict. Ready means that the mirror is near the node's height,
its newest checkpoint is young enough, and the disk has room. That the process answers at all is what says it lives.
Belongs to one thread.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Health", "ReadyLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyLimits:
    """See `ReadyConfig`. Ages in seconds; 0 means that age is not judged."""

    lag_heights_max: int
    checkpoint_age_s_max: float
    free_bytes_min: int


@dataclass(slots=True)
class Health:
    """What the daemon knows of itself, and what follows from it. Times are seconds since the epoch."""

    limits: ReadyLimits
    applied_height: int | None = None
    source_height: int | None = None
    """The newest height that was read, applied or not."""
    backlog_bytes: int = 0
    source_error: str = ""
    checkpoint_height: int | None = None
    checkpoint_time: float | None = None
    checkpoint_error: str = ""
    free_bytes: int | None = None

    @property
    def lag_heights(self) -> int:
        """How many heights were read and are not applied, at most: heights may skip."""
        if self.source_height is None:
            return 0
        return max(0, self.source_height - (-1 if self.applied_height is None else self.applied_height))

    @property
    def is_disk_full(self) -> bool:
        """Too little space to begin anything new."""
        return self.free_bytes is not None and self.free_bytes < self.limits.free_bytes_min

    def reasons(self, now: float) -> tuple[str, ...]:
        """Why the mirror is not to be relied on; empty when it is ready. `now`: seconds since the epoch."""
        return tuple(reason for reason in (*self._source_reasons(), *self._checkpoint_reasons(now)) if reason)

    def _source_reasons(self) -> tuple[str, ...]:
        too_far = self.lag_heights > self.limits.lag_heights_max
        return (
            f"the source cannot be read: {self.source_error}" if self.source_error else "",
            "no height is applied yet" if self.applied_height is None else "",
            f"{self.lag_heights} heights behind the source" if too_far else "",
            f"{self.backlog_bytes} bytes of the source are still to be read" if self.backlog_bytes else "",
            f"only {self.free_bytes} bytes are free on the disk" if self.is_disk_full else "",
        )

    def _checkpoint_reasons(self, now: float) -> tuple[str, ...]:
        age_s_max = self.limits.checkpoint_age_s_max
        if not age_s_max:
            return ()
        if self.checkpoint_time is None:
            return ("no checkpoint yet", self.checkpoint_error)
        age_s = now - self.checkpoint_time
        return (f"the newest checkpoint is {age_s:.0f} s old", self.checkpoint_error) if age_s > age_s_max else ()
