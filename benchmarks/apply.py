"""How long does one write log take: synced, and kept? New keys and overwrites in equal parts, values of 1 kB.

The mirror holds `--leaves` such leaves before the clock starts. With `--peers 1`: NOMT with the same logs, which also
computes a root for each.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answer import Fields, main, workplace
from benchmarks.peers import nomt
from benchmarks.workload import uniform
from flatdb import WriteLog
from sidecar.bench import fill
from sync.mirror import Mirror

VALUE_BYTES = 1024


OPTIONS: Fields = {"puts": 20_000, "logs": 20, "peers": 0}


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    rng = random.Random(options.seed)
    with workplace(options) as work:
        path = Path(work) / "mirror"
        held: list[bytes] = []
        if options.peers:
            yield _nomt(options, Path(work))
        fill(path, "mkvs", _noting(uniform(options.leaves, options.seed, value_bytes=VALUE_BYTES), held))
        seconds: list[float] = []
        with Mirror.open(path) as mirror:
            for height in range(2, 2 + options.logs):
                write_log = _write_log(rng, held, height, options.puts)
                began = time.perf_counter()
                mirror.apply(write_log)
                seconds.append(time.perf_counter() - began)
    seconds.sort()
    yield {
        "who": "leafmirror",
        "puts": options.puts,
        "seconds_median": seconds[len(seconds) // 2],
        "seconds_max": seconds[-1],
        "seconds_min": seconds[0],
        "puts_per_second": options.puts * len(seconds) / sum(seconds),
    }


def _nomt(options: argparse.Namespace, work: Path) -> Fields:
    """The same state and the same kind of logs: keys are as random as hashes."""
    rng = random.Random(options.seed)
    state = list(uniform(options.leaves, options.seed, value_bytes=VALUE_BYTES))
    held = [key for key, _ in state]
    logs = [_write_log(rng, held, height, options.puts).writes for height in range(2, 2 + options.logs)]
    return nomt.apply(work, state, [[(key, value or b"") for key, value in writes] for writes in logs])


def _noting(leaves: Iterator[tuple[bytes, bytes]], keys: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in leaves:
        keys.append(key)
        yield key, value


def _write_log(rng: random.Random, held: list[bytes], height: int, puts: int) -> WriteLog:
    keys = {rng.randbytes(32) for _ in range(puts // 2)} | set(rng.sample(held, puts - puts // 2))
    return WriteLog(height=height, writes=tuple((key, rng.randbytes(VALUE_BYTES)) for key in sorted(keys)))


if __name__ == "__main__":
    main("apply", measure, OPTIONS)
