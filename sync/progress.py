"""Progress: what a restore's events mean to a Monitor."""

from __future__ import annotations

import re
from dataclasses import fields

from sync.events import ChunkStored, Event, ManifestChosen, RestoreState, StateChanged
from sync.monitor import Monitor

__all__ = ["CHUNKS_PHASE", "FOLD_PHASE", "Progress"]

CHUNKS_PHASE = "chunks"
FOLD_PHASE = "fold"
_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


class Progress:
    """Tells a Monitor about one restore: two kinds of phases, and an event for all but the single chunks."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._phase: str | None = None

    def tell(self, event: Event) -> None:
        """Pass on one event, in the order in which they happened."""
        match event:
            case ChunkStored(size=size):
                self.advanced(CHUNKS_PHASE, size)
                return
            case ManifestChosen(chunk_bytes=size):
                self._begin(CHUNKS_PHASE, total=size, unit="bytes")
            case StateChanged(state=RestoreState.FOLDING):
                self._begin(FOLD_PHASE, total=None, unit="leaves")
            case StateChanged():
                self._finish()
        self._monitor.event(_name(event), **{field.name: getattr(event, field.name) for field in fields(event)})

    def advanced(self, phase: str, count: int) -> None:
        """`count` more units of `phase`, if it is the present one."""
        if phase == self._phase:
            self._monitor.advanced(phase, count)

    def _begin(self, phase: str, *, total: int | None, unit: str) -> None:
        self._finish()
        self._phase = phase
        self._monitor.phase_started(phase, total=total, unit=unit)

    def _finish(self) -> None:
        phase, self._phase = self._phase, None
        if phase is not None:
            self._monitor.phase_finished(phase)


def _name(event: Event) -> str:
    """`restore_` and the class name in lower case with underscores."""
    return f"restore_{_WORD_START.sub('_', type(event).__name__).lower()}"
