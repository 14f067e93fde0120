"""What do hashes that lie beside large values save: the root of a mirror whose leaves commit to hashes of values.

The same state twice: values in their leaves, and apart from them. Each is folded with its files dropped from the page
cache, and again right after.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answer import Fields, main, workplace
from benchmarks.page_cache import drop
from flatdb import FlatDB, HeightRecord, Identity
from proofs import HashedValue, get_scheme
from sync.state_fold import fold_leaves
from sync.values_apart import values_apart

OPTIONS: Fields = {"leaves": 100_000, "shape": "uniform-nomt-blake3", "value_bytes": 4_096, "large_percent": 100}
BATCH_LEAVES = 10_000


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    scheme = options.shape.removeprefix("uniform-")
    with workplace(options) as work:
        for apart in (False, True):
            path = Path(work) / ("apart" if apart else "together")
            _fill(path, scheme, options, apart=apart)
            for cold in (True, False):
                seconds, cpu_seconds = _fold(path, scheme, apart=apart, cold=cold)
                yield {
                    "step": f"{'hashes apart' if apart else 'values read'}, {'from disk' if cold else 'in memory'}",
                    "scheme": scheme,
                    "seconds": seconds,
                    "cpu_seconds": cpu_seconds,
                    "leaves_per_second": options.leaves / seconds,
                }


def _fill(path: Path, scheme: str, options: argparse.Namespace, *, apart: bool) -> None:
    rng = random.Random(options.seed)
    keys = sorted(rng.randbytes(32) for _ in range(options.leaves))
    rule = values_apart if apart else None
    with FlatDB.stage(path, Identity(scheme), b"bench", apart=rule) as staging:
        for start in range(0, len(keys), BATCH_LEAVES):
            part = keys[start : start + BATCH_LEAVES]
            sizes = [options.value_bytes if rng.random() * 100 < options.large_percent else 70 for _ in part]
            staging.ingest(b"%d" % start, [(key, rng.randbytes(size)) for key, size in zip(part, sizes, strict=True)])
        staging.seal(HeightRecord(1, bytes(32), verified=True))


def _fold(path: Path, scheme: str, *, apart: bool, cold: bool) -> tuple[float, float]:
    """Seconds by the wall and of CPU."""
    if cold:
        drop(path)
    with FlatDB.open(path, apart=values_apart if apart else None) as db:
        began, began_cpu = time.perf_counter(), time.process_time()
        fold_leaves(get_scheme(scheme), db.scan(stand_in=HashedValue if apart else None))
        return time.perf_counter() - began, time.process_time() - began_cpu


if __name__ == "__main__":
    main("root", measure, OPTIONS)
