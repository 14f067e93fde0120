"""Source: where finalised write logs come from, one protocol for every kind of node.

A source promises order and finality: heights grow, and what it gave will never be undone. It decides nothing about
roots; the mirror compares them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from flatdb import WriteLog

__all__ = ["Source"]


class Source(Protocol):
    """One stream of write logs. Belongs to one event loop."""

    @property
    def name(self) -> str:
        """Path or address, for messages."""
        ...

    @property
    def latest_height(self) -> int | None:
        """The newest height that was read, applied or not; None before the first."""
        ...

    @property
    def backlog_bytes(self) -> int:
        """Bytes known to exist and not read yet; 0 means that the source was read to its end a moment ago."""
        ...

    def follow(self, after: int | None) -> AsyncIterator[WriteLog]:
        """Write logs with a height above `after` (None: all), then new ones as they come, without end.

        Raises:
            SourceUnavailableError: may be called again later.
            SourceChangedError: what was read is gone; may be called again, which begins anew.
            InvalidWriteLogError: the source gave something that is no write log.
        """
        ...
