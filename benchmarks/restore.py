"""How fast is a state restored over loopback: fetched, verified, stored, folded once more, opened?

The endpoint is a process of its own on the same CPUs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answer import Fields, main, workplace
from benchmarks.workload import SHAPES
from sidecar.bench import endpoint, fill, time_create, time_restore

OPTIONS: Fields = {}


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    scheme, generate = SHAPES[options.shape]
    with workplace(options) as work:
        mirror, store = Path(work) / "mirror", Path(work) / "store"
        fill(mirror, scheme, generate(options.leaves, options.seed))
        _, root = time_create(mirror, store, workers=os.cpu_count() or 1)
        with endpoint(store, Path(work) / "endpoint.log") as url:
            for index in range(options.repeat):
                figure = time_restore(url, root, Path(work) / f"restored-{index}")
                yield {
                    "scheme": scheme,
                    "seconds": figure.elapsed_s,
                    "cpu_seconds": figure.cpu_s,
                    "leaves_per_second": figure.per_second,
                }


if __name__ == "__main__":
    main("restore", measure, OPTIONS)
