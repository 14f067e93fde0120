"""What goes wrong outside the code: processes killed at any instant, disks that fill up, damaged and cut files.

Everything here is done to files or to whole processes, so that nothing of the code under test knows about it.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parent.parent


class SimulatedCrash(BaseException):
    """The process ends here, as far as the code under test can tell: not an Exception that it might handle."""


@contextmanager
def crash_before(owner: object, name: str, *, call: int = 1) -> Iterator[None]:
    """Raise SimulatedCrash in place of the `call`-th (1-based) call of `owner.name`; earlier calls go through."""
    original: Callable[..., object] = getattr(owner, name)
    calls = 0

    def crash(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            raise SimulatedCrash(f"before call {call} of {name}")
        return original(*arguments, **options)

    with mock.patch.object(owner, name, crash):
        yield


def kill_after_lines(
    script: str, *arguments: str, line_count: int, delay: Callable[[], None] = lambda: None
) -> list[str]:
    """Run Python code in a process of its own, kill -9 it once it has printed `line_count` lines, return all lines.

    Its standard input never ends, so that reading it keeps it alive. `delay` runs between the last awaited line and
    the kill; what is printed meanwhile is returned as well.
    """
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", script, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(line_count)]
        delay()
    finally:
        process.kill()
        rest = process.stdout.readlines()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    assert process.returncode == -signal.SIGKILL, f"ended by itself with {process.returncode}"
    return [line.rstrip("\n") for line in [*lines, *rest] if line.endswith("\n")]


def limit_file_size(size: int) -> None:
    """Let no file of this process grow beyond `size` bytes: a full disk that needs no privileges. Not reversible."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def flip_bit(path: Path, offset: int) -> None:
    """Change one bit; a negative offset counts from the end."""
    damaged = bytearray(path.read_bytes())
    damaged[offset] ^= 1
    path.write_bytes(damaged)


def cut(path: Path, size: int) -> None:
    """Keep only the first `size` bytes, as a power cut does with what was not synced."""
    os.truncate(path, size)
