"""Which preset is best at which job? Each of the jobs load, follow and serve under each of the presets of these names.

    load      `--heights` small write logs of `--puts` puts of 100 bytes, one behind the other, until all are durable
    follow    over `--leaves` leaves: `--logs` write logs of 500 puts of 100 bytes, then a tenth as many of 20,000 puts
              of 1 kB (`--large-puts`), each durable before the next; then the root of the whole state, as for a
              checkpoint
    serve     `--gets` random reads of leaves that are there and of as many that are not, of a mirror of `--leaves`
              leaves that is open read-only, after as many reads that are not timed

Every measurement is a process of its own. `--repeat` rounds take the presets in turn; a figure is the median of the
rounds, except for the slowest write log, which is the slowest of all.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.answer import Fields, main, workplace
from benchmarks.workload import uniform
from flatdb import Preset, WriteLog
from sidecar.bench import fill
from sync.mirror import Mirror

OPTIONS: Fields = {"heights": 10_000, "puts": 20, "logs": 300, "large_puts": 20_000, "gets": 100_000, "repeat": 3}
SMALL_PUTS, SMALL_BYTES, LARGE_BYTES = 500, 100, 1024
SLOWEST = "_max"


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    with workplace(options) as work:
        filled = Path(work) / "filled"
        fill(filled, "mkvs", uniform(options.leaves, options.seed))
        for job in (_load, _follow, _serve):
            rounds: dict[Preset, list[Fields]] = {preset: [] for preset in Preset}
            for _ in range(options.repeat):
                for preset, found in rounds.items():
                    found.append(_in_a_process(job, preset, filled, options))
            for preset, found in rounds.items():
                yield {"step": f"{job.__name__[1:]}, preset {preset}", **_middle(found)}


def _in_a_process(
    job: Callable[[Preset, Path, argparse.Namespace], Fields], preset: Preset, filled: Path, options: argparse.Namespace
) -> Fields:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_with_resources, job, preset, filled, options).result()


def _with_resources(
    job: Callable[[Preset, Path, argparse.Namespace], Fields], preset: Preset, filled: Path, options: argparse.Namespace
) -> Fields:
    found = job(preset, filled, options)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return found | {"peak_rss_bytes": int(status["VmHWM"].split()[0]) * 1024}


def _middle(rounds: list[Fields]) -> Fields:
    """Figure by figure."""
    columns = {name: [fields[name] for fields in rounds] for name in rounds[0]}
    return {
        name: max(values) if name.endswith(SLOWEST) else statistics.median(values) for name, values in columns.items()
    }


def _load(preset: Preset, filled: Path, options: argparse.Namespace) -> Fields:
    logs = list(_write_logs(random.Random(options.seed), 1, options.heights, options.puts, SMALL_BYTES))
    path = filled.with_name("loaded")
    began, began_cpu = time.perf_counter(), time.process_time()
    with Mirror.create(path, scheme="mkvs", preset=preset) as mirror:
        for write_log in logs:
            mirror.apply(write_log)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    shutil.rmtree(path)
    return {
        "heights_per_second": len(logs) / seconds,
        "writes_per_second": options.puts * len(logs) / seconds,
        "cpu_seconds": cpu_seconds,
    }


def _follow(preset: Preset, filled: Path, options: argparse.Namespace) -> Fields:
    rng = random.Random(options.seed)
    path = filled.with_name("followed")
    shutil.copytree(filled, path)
    large_count = max(1, options.logs // 10)
    began_cpu = time.process_time()
    with Mirror.open(path, preset=preset) as mirror:
        small = _seconds(mirror, _write_logs(rng, 2, options.logs, SMALL_PUTS, SMALL_BYTES))
        large = _seconds(mirror, _write_logs(rng, 2 + options.logs, large_count, options.large_puts, LARGE_BYTES))
        began = time.perf_counter()
        mirror.root()
        root_seconds = time.perf_counter() - began
    cpu_seconds = time.process_time() - began_cpu
    shutil.rmtree(path)
    return {
        **{f"small_ms_{name}": value for name, value in _percentiles(small).items()},
        **{f"large_ms_{name}": value for name, value in _percentiles(large).items()},
        "writes_per_second": SMALL_PUTS * len(small) / sum(small),
        "root_seconds": root_seconds,
        "cpu_seconds": cpu_seconds,
    }


def _seconds(mirror: Mirror, write_logs: Iterator[WriteLog]) -> list[float]:
    """How long each took until it was durable."""
    seconds = []
    for write_log in write_logs:
        began = time.perf_counter()
        mirror.apply(write_log)
        mirror.sync()
        seconds.append(time.perf_counter() - began)
    return seconds


def _percentiles(seconds: list[float]) -> Fields:
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p90": 0.9, "max": 1.0}
    return {name: 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in at.items()}


def _serve(preset: Preset, filled: Path, options: argparse.Namespace) -> Fields:
    rng = random.Random(options.seed)
    there = [key for key, _ in uniform(options.leaves, options.seed)]
    with Mirror.open(filled, read_only=True, preset=preset) as mirror:
        for key in rng.choices(there, k=options.gets):
            mirror.get(key)
        hits = _read(mirror, rng.choices(there, k=options.gets))
        misses = _read(mirror, [rng.randbytes(32) for _ in range(options.gets)])
    return {
        **{f"hit_us_{name}": value for name, value in _microseconds(hits).items()},
        **{f"miss_us_{name}": value for name, value in _microseconds(misses).items()},
        "reads_per_second": len(hits) * 1e9 / sum(hits),
    }


def _read(mirror: Mirror, keys: list[bytes]) -> list[int]:
    """Nanoseconds of each."""
    clock, get = time.perf_counter_ns, mirror.get
    spent = []
    for key in keys:
        began = clock()
        get(key)
        spent.append(clock() - began)
    return spent


def _microseconds(spent: list[int]) -> Fields:
    ordered = sorted(spent)
    return {"p50": ordered[len(ordered) // 2] / 1000, "p99": ordered[len(ordered) * 99 // 100] / 1000}


def _write_logs(rng: random.Random, first: int, count: int, puts: int, value_bytes: int) -> Iterator[WriteLog]:
    for height in range(first, first + count):
        keys = sorted({rng.randbytes(32) for _ in range(puts)})
        yield WriteLog(height=height, writes=tuple((key, rng.randbytes(value_bytes)) for key in keys))


if __name__ == "__main__":
    main("presets", measure, OPTIONS)
