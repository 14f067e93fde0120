"""Does the time for one leaf grow with the state? Creation and restore from 10^4 leaves up to `--leaves`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answer import Fields, main, workplace
from benchmarks.workload import SHAPES
from sidecar.bench import endpoint, fill, time_create, time_restore

SMALLEST = 10_000


OPTIONS: Fields = {}


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    scheme, generate = SHAPES[options.shape]
    count = SMALLEST
    while count <= options.leaves:
        with workplace(options) as work:
            mirror, store = Path(work) / "mirror", Path(work) / "store"
            fill(mirror, scheme, generate(count, options.seed))
            created, root = time_create(mirror, store, workers=os.cpu_count() or 1)
            with endpoint(store, Path(work) / "endpoint.log") as url:
                restored = time_restore(url, root, Path(work) / "restored")
        for figure in (created, restored):
            yield {
                "step": figure.name,
                "count": figure.count,
                "seconds": figure.elapsed_s,
                "microseconds_per_leaf": 1e6 * figure.elapsed_s / figure.count,
                "cpu_microseconds_per_leaf": 1e6 * figure.cpu_s / figure.count,
            }
        count *= 10


if __name__ == "__main__":
    main("scaling", measure, OPTIONS)
