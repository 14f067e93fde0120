"""How much memory do creation and restore need, all processes together, block cache included?

Each runs as a process of its own; PSS (shared pages counted once) of it and its children is summed ten times a second.
The highest sum counts. The endpoint of the restore is not part of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answer import Fields, main, workplace
from benchmarks.workload import SHAPES
from sidecar.bench import endpoint, fill
from sync.root import Root

INTERVAL_S = 0.1


OPTIONS: Fields = {}


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    scheme, generate = SHAPES[options.shape]
    with workplace(options) as work:
        mirror, store = Path(work) / "mirror", Path(work) / "store"
        root = fill(mirror, scheme, generate(options.leaves, options.seed))
        workers = str(os.cpu_count() or 1)
        peak = _peak("checkpoint", "create", str(mirror), "--store", str(store), "--workers", workers)
        yield {"step": "create", "scheme": scheme, "peak_pss_bytes": peak}
        with endpoint(store, Path(work) / "endpoint.log") as url:
            yield {"step": "restore", "scheme": scheme, "peak_pss_bytes": _peak(*_restore(url, root, work))}


def _restore(url: str, root: Root, work: str) -> list[str]:
    trusted = ["--scheme", root.scheme, "--height", str(root.height), "--root", root.hash.hex()]
    return ["restore", url, *trusted, "--to", f"{work}/restored"]


def _peak(*arguments: str) -> int:
    """Run `leafmirror ARGUMENTS`; the highest sum of PSS in bytes."""
    command = [sys.executable, "-m", "leafmirror", *arguments, "--json", "--progress", "none"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while True:
        try:
            process.wait(INTERVAL_S)
            break
        except subprocess.TimeoutExpired:
            peak = max(peak, sum(map(_pss, _family(process.pid))))
    if process.returncode:
        raise RuntimeError(f"leafmirror {arguments[0]} ended with {process.returncode}")
    return peak


def _family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _family(int(child))


def _pss(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main("memory", measure, OPTIONS)
