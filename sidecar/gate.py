"""The gate: where the writer can be held between two heights, and only there.

The writer passes once for each height. Whoever closes the gate waits until the height under way has ended, has the
database to itself while the gate is closed, and opens it again. It decides who runs; it knows nothing of databases.

INVARIANT: never is a height under way while the gate is closed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sidecar.errors import GateTimeoutError

__all__ = ["Gate"]


class Gate:
    """Thread-safe. One writer passes; any number of others close it, one after the other."""

    def __init__(self, *, observe_pause_s: Callable[[float], None] = lambda _: None) -> None:
        """`observe_pause_s` is told for how many seconds the gate was shut, each time it opens."""
        self._changed = threading.Condition()
        self._closers = 0
        self._busy = False
        self._closed = False
        self._observe_pause_s = observe_pause_s

    @property
    def is_closed(self) -> bool:
        return self._closed

    @contextmanager
    def height(self) -> Iterator[None]:
        """The writer's side: one height. Waits while the gate is closed or somebody is waiting to close it."""
        with self._changed:
            # A closer goes first: otherwise a writer with a long queue would never let it in.
            self._changed.wait_for(lambda: not self._closers)
            assert not self._busy, "two writers"
            self._busy = True
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    @contextmanager
    def closed(self, *, timeout_s: float) -> Iterator[None]:
        """Hold the writer between two heights. `timeout_s` bounds the wait for the height under way.

        Raises:
            GateTimeoutError: the gate is open again, as if nothing had been asked.
        """
        with self._changed:
            self._closers += 1
            if not self._changed.wait_for(lambda: not self._busy and not self._closed, timeout_s):
                self._closers -= 1
                self._changed.notify_all()
                raise GateTimeoutError(timeout_s)
            self._closed = True
        began = time.perf_counter()
        try:
            yield
        finally:
            with self._changed:
                self._closed = False
                self._closers -= 1
                self._changed.notify_all()
            self._observe_pause_s(time.perf_counter() - began)
