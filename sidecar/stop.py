"""Stopping: the first signal asks, the second one does not.

A daemon gets one chance to finish what it is at. Whoever sends a second signal wants it gone now; every step of ours
survives that, because each height and each checkpoint is there as a whole or not at all.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Stop", "run_until_stopped"]


class Stop:
    """Set by the first SIGTERM or SIGINT."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._asked = asyncio.Event()

    def ask(self, signum: int) -> None:
        """The first call asks the daemon to end, the second ends the process at once."""
        if self.signal is not None:
            os._exit(128 + signum)
        self.signal = signum
        self._asked.set()

    async def wait(self) -> None:
        await self._asked.wait()


def run_until_stopped(daemon: Callable[[Stop], Coroutine[Any, Any, None]]) -> int | None:
    """Run `daemon` until it ends; the signal that it was asked to end by, if any."""

    async def run() -> int | None:
        stop, loop = Stop(), asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.ask, signum)
        await daemon(stop)
        return stop.signal

    return asyncio.run(run())
