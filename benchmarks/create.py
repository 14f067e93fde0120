"""How fast does a mirror become a checkpoint: read, folded, compressed, proven, synced, published?

With `--peers 1`, and a shape of the scheme `mkvs`: Oasis Core's creator and restorer on the same leaves, in memory and
over its files. With `--cold 1` the files of both are dropped from the page cache before each creation, and Oasis Core
is asked for that alone. `--scattered 1` commits its leaves in random order, 20,000 a version, and not in that of their
keys: its nodes then lie in the database as those of a chain do, which changes a few keys here and there.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answer import Fields, main, workplace
from benchmarks.page_cache import bytes_read, drop
from benchmarks.peers import oasis
from benchmarks.workload import SHAPES
from sidecar.bench import fill, time_create
from sync.compression import LEVEL_DEFAULT

OPTIONS: Fields = {
    "leaves": 2_000_000,
    "workers": os.cpu_count() or 1,
    "level": LEVEL_DEFAULT,
    "cold": 0,
    "peers": 0,
    "scattered": 0,
}


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    scheme, generate = SHAPES[options.shape]
    with workplace(options) as work:
        mirror = Path(work) / "mirror"
        fill(mirror, scheme, generate(options.leaves, options.seed))
        for index in range(options.repeat):
            store = Path(work) / f"store-{index}"
            if options.cold:
                drop(mirror)
            read_before = bytes_read(os.getpid())
            figure, _ = time_create(mirror, store, workers=options.workers, level=options.level)
            size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
            yield {
                "step": "create from disk" if options.cold else None,
                "scheme": scheme,
                "seconds": figure.elapsed_s,
                "cpu_seconds": figure.cpu_s,
                "leaves_per_second": figure.per_second,
                "stored_bytes": size,
                "read_bytes": bytes_read(os.getpid()) - read_before,
            }
        if options.peers and scheme == "mkvs":
            for where in (oasis.COLD,) if options.cold else (oasis.IN_MEMORY, oasis.ON_DISK):
                leaves = generate(options.leaves, options.seed)
                if options.scattered:
                    leaves = iter(random.Random(options.seed).sample(found := list(leaves), len(found)))
                yield from oasis.measure(Path(work), leaves, where)


if __name__ == "__main__":
    main("create", measure, OPTIONS)
