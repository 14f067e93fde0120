"""What every question shares: its options, the frame of its JSON lines, and a place to work.

A question is a module with OPTIONS of its own and `measure(options) -> Iterator[Fields]`; run, it calls `main`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.workload import SHAPES
from proofs import get_kernel

__all__ = ["Fields", "Measure", "frame", "main", "options_of", "workplace"]

Fields = dict[str, Any]
Measure = Callable[[argparse.Namespace], Iterator[Fields]]

LIBRARIES = ("leafmirror", "rocksdict", "zstandard", "aiohttp")


def options_of(question: str, own: Fields, arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of a question: those of all, and `own` with their defaults, which may be others for the former."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{question}")
    common: Fields = {"leaves": 1_000_000, "shape": "uniform-mkvs", "seed": 1, "dir": "", "repeat": 1}
    for name, default in (common | own).items():
        choices = SHAPES if name == "shape" else None
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, choices=choices)
    parser.add_argument("--json", action="store_true", help="the whole frame, not only what was found")
    return parser.parse_args(arguments)


def frame(question: str, options: argparse.Namespace, found: Mapping[str, Any]) -> Fields:
    """One answer with all that decides it."""
    asked = {name: value for name, value in vars(options).items() if name not in ("json", "dir")}
    return {
        "question": question,
        **asked,
        **found,
        "kernel": get_kernel().name,
        "machine": machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "commit": _commit(),
    }


def main(question: str, measure: Measure, own: Fields) -> None:
    """Answer on the command line: one line for each finding."""
    options = options_of(question, own)
    require_native_kernel()
    for found in measure(options):
        sys.stdout.write(json.dumps(frame(question, options, found) if options.json else found) + "\n")
        sys.stdout.flush()


def require_native_kernel() -> None:
    if get_kernel().name != "native":
        sys.exit("the native kernel was not built here, and figures without it say nothing: install a Rust compiler")


def machine() -> Fields:
    """What the figures depend on."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    load = os.getloadavg()[0]
    return {"cpu": model, "cpus": os.cpu_count(), "memory_bytes": memory, "os": platform.release(), "load": load}


def workplace(options: argparse.Namespace) -> tempfile.TemporaryDirectory[str]:
    """A directory on the disk that is measured (`--dir`), deleted at the end."""
    return tempfile.TemporaryDirectory(prefix="leafmirror-", dir=options.dir or None)


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
