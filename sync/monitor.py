"""Monitor: the only way out for progress and counts.

Long work tells a monitor what it does and never asks it anything. A monitor must be quick and must not raise; it may
be called from any thread, one call at a time for one piece of work.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["MONITOR_NONE", "Monitor", "NullMonitor"]


class Monitor(Protocol):
    """What long work reports. Phases do not nest; each started phase is finished, or the work raised."""

    def phase_started(self, phase: str, *, total: int | None, unit: str) -> None:
        """`phase` begins; `total` units are expected (None: not known)."""
        ...

    def advanced(self, phase: str, count: int) -> None:
        """`count` more units of the current phase are done."""
        ...

    def phase_finished(self, phase: str) -> None: ...

    def event(self, name: str, **fields: object) -> None:
        """Something worth a line in a log, by name, with its fields."""
        ...


class NullMonitor:
    """Hears nothing."""

    def phase_started(self, phase: str, *, total: int | None, unit: str) -> None:
        pass

    def advanced(self, phase: str, count: int) -> None:
        pass

    def phase_finished(self, phase: str) -> None:
        pass

    def event(self, name: str, **fields: object) -> None:
        pass


MONITOR_NONE = NullMonitor()
