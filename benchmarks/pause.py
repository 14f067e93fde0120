"""For how long does a checkpoint hold the writer up, while 5,000 leaves are written every second?

The gate is that of the daemon: flush ahead, close between two heights, freeze, open. The pause is the time from closed
to open; waiting for the height under way is reported apart. Frozen views stay open for a while, as they do while a
checkpoint is cut from one.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answer import Fields, main, workplace
from benchmarks.workload import uniform
from flatdb import FrozenView, WriteLog
from sidecar.bench import fill
from sidecar.gate import Gate
from sync.mirror import Mirror

VIEWS_OPEN = 2
BUCKETS_MS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


OPTIONS: Fields = {
    "leaves": 100_000,
    "rate": 5_000,
    "log_writes": 500,
    "pauses": 200,
    "interval_ms": 100,
    "maker": "iterators",
}


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    pauses: list[float] = []
    waits: list[float] = []
    with workplace(options) as work:
        path = Path(work) / "mirror"
        fill(path, "mkvs", uniform(options.leaves, options.seed))
        gate = Gate(observe_pause_s=pauses.append)
        with Mirror.open(path) as mirror:
            rate = _run(mirror, gate, waits, options)
    counts = [sum(pause * 1000 <= bound for pause in pauses) for bound in BUCKETS_MS]
    yield {
        "maker": options.maker,
        "writes_per_second": rate,
        "pauses": len(pauses),
        "pause_ms": _percentiles(pauses),
        "wait_ms": _percentiles(waits),
        "pause_ms_histogram": dict(zip(map(str, BUCKETS_MS), counts, strict=True)),
    }


def _run(mirror: Mirror, gate: Gate, waits: list[float], options: argparse.Namespace) -> float:
    """Write on a thread of its own and pause it `--pauses` times; the rate of writes that came about."""
    ended = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        rng = random.Random(options.seed + 1)
        due = time.monotonic()
        height = 2
        while not ended.is_set():
            writes = sorted((rng.randbytes(32), rng.randbytes(70)) for _ in range(options.log_writes))
            with gate.height():
                mirror.apply(WriteLog(height=height, writes=tuple(writes)))
            height += 1
            written += len(writes)
            due += options.log_writes / options.rate
            ended.wait(max(0.0, due - time.monotonic()))

    writer = threading.Thread(target=write)
    views: deque[FrozenView] = deque()
    began = time.monotonic()
    writer.start()
    try:
        for _ in range(options.pauses):
            time.sleep(options.interval_ms / 1000)
            mirror.flush()
            asked = time.perf_counter()
            with gate.closed(timeout_s=10):
                waits.append(time.perf_counter() - asked)
                views.append(mirror.freeze(options.maker))
            if len(views) > VIEWS_OPEN:
                views.popleft().close()
    finally:
        ended.set()
        writer.join()
        for view in views:
            view.close()
    return written / (time.monotonic() - began)


def _percentiles(seconds: list[float]) -> Fields:
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {
        name: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) for name, share in at.items()
    }


if __name__ == "__main__":
    main("pause", measure, OPTIONS)
