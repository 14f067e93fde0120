"""How commands speak: one JSON document or lines for people on standard output, progress on standard error.

All of rich is here. A JSON document names its schema, `leafmirror.<command>/<version>`; fields are added to a version,
never renamed or removed. Bytes are hex without 0x, heights and counts are integers, times end in their unit.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from sync.monitor import Monitor

__all__ = [
    "ClosingMonitor",
    "ProgressStyle",
    "StepPrinter",
    "open_monitor",
    "print_error",
    "print_json",
    "print_line",
    "print_pairs",
    "print_table",
    "print_verdict",
    "shorten_hashes",
]

SCHEMA_VERSION = 1
LINE_INTERVAL_S = 2.0
LINE_WIDTH = 200

_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


class ProgressStyle(StrEnum):
    """How long work shows that it moves."""

    AUTO = "auto"
    BAR = "bar"
    LINES = "lines"
    EVENTS = "events"
    NONE = "none"


def print_json(command: str, fields: Mapping[str, object]) -> None:
    """The one JSON document of a command."""
    document = {"schema": f"leafmirror.{command}/{SCHEMA_VERSION}", **fields}
    sys.stdout.write(json.dumps(document, default=_plain) + "\n")


def print_line(text: str) -> None:
    """One line, exactly as given: values that scripts read."""
    sys.stdout.write(text + "\n")


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values in two columns, without the values that are None."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None:
            grid.add_row(name, escape(_plain(value)))
    _console().print(grid)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table with a head."""
    table = Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(escape(_plain(cell)) for cell in row))
    console = _console()
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    # A column is filled up with blanks, also the last one: in a pipe they are in the way.
    for line in capture.get().splitlines():
        print_line(line.rstrip())


def shorten_hashes(text: str) -> str:
    """The text with only the beginning of each 32-byte hash: tables are for people, --json has all of it."""
    return _HASH.sub(r"\1…", text)


def print_verdict(good: bool, text: str) -> None:
    """A sentence behind a mark that is not told by colour alone."""
    mark = "[bold green]✓[/]" if good else "[bold red]✗[/]"
    _console().print(f"{mark} {escape(text)}", soft_wrap=True)


def print_error(message: str, hint: str) -> None:
    """What went wrong in one line, and what to do in a second."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]error:[/] {escape(message)}")
    if hint:
        console.print(f"[dim]hint:[/] {escape(hint)}")


class StepPrinter:
    """Steps of a longer story, each on a line once it is done, with a spinner on a terminal before that."""

    def __init__(self, titles: Mapping[str, str], *, silent: bool) -> None:
        self._titles = titles
        self._console = _console()
        self._console.quiet = silent
        self._status = self._console.status("")
        self._name = ""

    def begin(self, name: str) -> None:
        self._name = name
        self._status.update(f"{self._titles[name]} …")

    def finish(self, text: str, duration_s: float) -> None:
        number = list(self._titles).index(self._name) + 1
        head = f"[bold green]✓[/] [bold]{number}. {self._titles[self._name]}[/] [dim]{duration_s:.1f} s[/]"
        self._console.print(f"{head}\n     {escape(text)}", soft_wrap=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()


class ClosingMonitor(Monitor, Protocol):
    """A Monitor over one piece of work: a context manager that leaves the terminal as it was."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_monitor(style: ProgressStyle = ProgressStyle.AUTO, *, title: str) -> ClosingMonitor:
    """The Monitor for this style; `auto` draws bars on a terminal and writes lines elsewhere."""
    if style is ProgressStyle.AUTO:
        style = ProgressStyle.BAR if sys.stderr.isatty() else ProgressStyle.LINES
    match style:
        case ProgressStyle.BAR:
            return BarMonitor(title)
        case ProgressStyle.EVENTS:
            return EventMonitor(_write_error)
        case ProgressStyle.NONE:
            return SilentMonitor()
    return LineMonitor(title, _write_error, time.monotonic)


class SilentMonitor:
    """Hears everything and says nothing."""

    def phase_started(self, phase: str, *, total: int | None, unit: str) -> None:
        pass

    def advanced(self, phase: str, count: int) -> None:
        pass

    def phase_finished(self, phase: str) -> None:
        pass

    def event(self, name: str, **fields: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class EventMonitor(SilentMonitor):
    """Every call as one JSON line, for programs that run a command and watch it."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def phase_started(self, phase: str, *, total: int | None, unit: str) -> None:
        self._say("phase_started", phase=phase, total=total, unit=unit)

    def advanced(self, phase: str, count: int) -> None:
        self._say("advanced", phase=phase, count=count)

    def phase_finished(self, phase: str) -> None:
        self._say("phase_finished", phase=phase)

    def event(self, name: str, **fields: object) -> None:
        self._say(name, **fields)

    def _say(self, event: str, **fields: object) -> None:
        self._write(json.dumps({"event": event, **fields}, default=_plain))


class LineMonitor(SilentMonitor):
    """A plain line every few seconds, and one at the end of each phase that took that long."""

    def __init__(self, title: str, write: Callable[[str], None], now: Callable[[], float]) -> None:
        self._title = title
        self._write = write
        self._now = now
        self._total: int | None = None
        self._unit = ""
        self._done = 0
        self._started = self._spoken = now()

    def phase_started(self, phase: str, *, total: int | None, unit: str) -> None:
        self._total, self._unit, self._done = total, unit, 0
        self._started = self._spoken = self._now()

    def advanced(self, phase: str, count: int) -> None:
        self._done += count
        now = self._now()
        if now - self._spoken >= LINE_INTERVAL_S:
            self._spoken = now
            self._write(f"{self._title}: {phase}: {self._progress(now)}")

    def phase_finished(self, phase: str) -> None:
        if self._spoken > self._started:
            self._write(f"{self._title}: {phase}: done, {self._done} {self._unit}")

    def event(self, name: str, **fields: object) -> None:
        self._write(f"{self._title}: {_sentence(self._title, name, fields)}")

    def _progress(self, now: float) -> str:
        rate = self._done / max(now - self._started, 1e-9)
        if not self._total:
            return f"{self._done} {self._unit}, {rate:.0f}/s"
        share = f"{self._done}/{self._total} {self._unit} ({100 * self._done / self._total:.0f} %)"
        left = f", {(self._total - self._done) / rate:.0f} s left" if rate else ""
        return f"{share}, {rate:.0f}/s{left}"


class BarMonitor(SilentMonitor):
    """A bar for each phase, drawn on standard error."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def phase_started(self, phase: str, *, total: int | None, unit: str) -> None:
        self._tasks[phase] = self._progress.add_task(f"{self._title}: {phase}", total=total, unit=unit)

    def advanced(self, phase: str, count: int) -> None:
        self._progress.advance(self._tasks[phase], count)

    def phase_finished(self, phase: str) -> None:
        self._progress.stop_task(self._tasks[phase])

    def event(self, name: str, **fields: object) -> None:
        self._progress.console.print(escape(_sentence(self._title, name, fields)), style="dim", highlight=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def _sentence(title: str, name: str, fields: Mapping[str, object]) -> str:
    """`peer faulted peer=… reason=…`, without the title that the event's name may begin with."""
    words = name.removeprefix(f"{title}_").replace("_", " ")
    return " ".join((words, *(f"{key}={_plain(value)}" for key, value in fields.items())))


def _console() -> Console:
    # Made anew each time: it looks at the stream, the width and NO_COLOR as they are now. A file or a pipe has no
    # width, and a hash that is broken into two lines there is of no use.
    return Console(highlight=False, width=None if sys.stdout.isatty() else LINE_WIDTH)


def _write_error(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
