"""Commands of ours as real processes: the demo restores and serves the way a user does, and kills for real."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sidecar.errors import DemoFailedError

__all__ = ["events_of", "run_command", "start_command", "start_events", "watched"]

TIMEOUT_S = 60.0
"""Longest that one command may take before the demo gives up."""


def start_command(*arguments: str, log: Path) -> subprocess.Popen[str]:
    """Start `leafmirror ARGUMENTS`; standard output is a pipe, standard error is appended to `log`."""
    with log.open("a") as errors:
        return subprocess.Popen(  # noqa: S603  (this very interpreter, and our own arguments)
            [sys.executable, "-m", "leafmirror", *arguments], stdout=subprocess.PIPE, stderr=errors, text=True
        )


def run_command(step: str, *arguments: str, log: Path) -> dict[str, Any]:
    """Run a command that must succeed; its JSON document.

    Raises:
        DemoFailedError
    """
    process = start_command(*arguments, "--json", log=log)
    with watched(process):
        output, _ = process.communicate()
    if process.returncode != 0:
        raise DemoFailedError(step, f"`leafmirror {arguments[0]}` ended with {process.returncode}; see {log}")
    document = json.loads(output)
    assert isinstance(document, dict)
    return document


def events_of(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What a process started by `start_events` reports, one event after the other, until it ends."""
    assert process.stderr is not None
    for line in process.stderr:
        event = json.loads(line)
        assert isinstance(event, dict)
        yield event


def start_events(*arguments: str) -> subprocess.Popen[str]:
    """Start a command that reports its progress as events on a pipe."""
    return subprocess.Popen(  # noqa: S603  (this very interpreter, and our own arguments)
        [sys.executable, "-m", "leafmirror", *arguments, "--progress", "events"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@contextmanager
def watched(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill the process if the block takes too long, or ends before the process does."""
    timer = threading.Timer(TIMEOUT_S, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
