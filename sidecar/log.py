"""The sidecar's log: events with fields, as JSON lines in containers and for people on a terminal.

Every line has a stable event name; what varies stands in fields. Nothing here decides what is worth a line.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO, Literal

__all__ = ["EventLog", "open_log"]

_FIELDS = "leafmirror_fields"


class EventLog:
    """Writes events. Thread-safe, as `logging` is."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **fields: object) -> None:
        self._logger.debug(event, extra={_FIELDS: fields})

    def info(self, event: str, **fields: object) -> None:
        self._logger.info(event, extra={_FIELDS: fields})

    def warning(self, event: str, **fields: object) -> None:
        self._logger.warning(event, extra={_FIELDS: fields})

    def error(self, event: str, **fields: object) -> None:
        self._logger.error(event, extra={_FIELDS: fields})


def open_log(*, style: Literal["auto", "human", "json"], level: str, stream: IO[str] | None = None) -> EventLog:
    """A log on standard error (or `stream`). `auto` asks whether that is a terminal."""
    stream = sys.stderr if stream is None else stream
    human = style == "human" or (style == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanFormatter() if human else JSONFormatter())
    # A logger of our own, outside the global tree: libraries and tests configure theirs as they like.
    logger = logging.Logger("leafmirror", level.upper())
    logger.addHandler(handler)
    return EventLog(logger)


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, event, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        head = {"time": _time(record).isoformat(timespec="milliseconds"), "level": record.levelname.lower()}
        return json.dumps(head | {"event": record.getMessage()} | _fields(record), default=_plain)


class HumanFormatter(logging.Formatter):
    """`12:30:01 info   checkpoint published  height=12 chunks=3`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_plain(value)}" for name, value in _fields(record).items())
        head = f"{_time(record):%H:%M:%S} {record.levelname.lower():7} {record.getMessage().replace('_', ' ')}"
        return f"{head}  {fields}" if fields else head


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = getattr(record, _FIELDS, {})
    return fields


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
