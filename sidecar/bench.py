"""Bench: how fast this machine mirrors, cuts and restores. The steps are those of operation, the leaves made up.

`measure` is the quick look behind `leafmirror bench`; the steps by themselves serve `benchmarks/` too. Every step works
with files on disk and ends when its result is durable. Random keys and values: nothing compresses, no key is like
another, so a real state is usually faster.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from flatdb import FlatDB, HeightRecord, Identity, WriteLog
from proofs import LeafRun, get_kernel, get_scheme
from sidecar.demo.process import start_command
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.compression import LEVEL_DEFAULT
from sync.manifest import Cut
from sync.mirror import Mirror
from sync.restore import restore
from sync.root import Root
from sync.state_fold import fold_leaves
from sync.values_apart import values_apart

__all__ = [
    "Figure",
    "endpoint",
    "fill",
    "measure",
    "random_leaves",
    "time_apply",
    "time_create",
    "time_fold",
    "time_restore",
]

Leaf = tuple[bytes, bytes]

SCHEME: Final = "mkvs"
KEY_BYTES: Final = 32
VALUE_BYTES: Final = 70
RUN_LEAVES: Final = 65_536
LOG_WRITES: Final = 5_000
LOG_COUNT: Final = 10


@dataclass(frozen=True, slots=True)
class Figure:
    """`count` things of a kind were done in `elapsed_s` seconds, using `cpu_s` seconds of CPU in this process."""

    name: str
    count: int
    unit: str
    elapsed_s: float
    cpu_s: float

    @property
    def per_second(self) -> float:
        return self.count / self.elapsed_s


class _Stopwatch:
    """Started where it is made; `figure` stops it."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def figure(self, name: str, count: int, unit: str = "leaves") -> Figure:
        return Figure(name, count, unit, time.perf_counter() - self._began, time.process_time() - self._cpu)


def measure(directory: Path, *, leaf_count: int, workers: int, seed: int = 0) -> Iterator[Figure]:
    """Fold, apply, create, restore, in a directory that is missing or empty. Everything in it may be deleted after.

    Raises:
        FlatDBError, SyncError, OSError: as the steps themselves.
    """
    leaves = random_leaves(leaf_count, seed)
    yield time_fold(SCHEME, leaves)
    mirror, store = directory / "mirror", directory / "checkpoints"
    fill(mirror, SCHEME, leaves)
    yield time_apply(mirror, random_write_logs(LOG_COUNT, LOG_WRITES, seed))
    created, root = time_create(mirror, store, workers=workers)
    yield created
    with endpoint(store, directory / "endpoint.log") as url:
        yield time_restore(url, root, directory / "restored")


def random_leaves(count: int, seed: int) -> list[Leaf]:
    """`count` leaves in key order, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311  (made-up leaves, no secrets)
    keys = sorted({rng.randbytes(KEY_BYTES) for _ in range(count)})
    return [(key, rng.randbytes(VALUE_BYTES)) for key in keys]


def random_write_logs(count: int, writes: int, seed: int) -> Iterator[WriteLog]:
    """Write logs of new keys for the heights after 1."""
    for index in range(count):
        leaves = random_leaves(writes, seed + 1 + index)
        yield WriteLog(height=2 + index, writes=tuple(leaves))


def fill(path: Path, scheme: str, leaves: Iterable[Leaf]) -> Root:
    """A new mirror at height 1 that holds `leaves` (in key order), loaded in bulk as a restore does. Its Root."""
    stream = iter(leaves)
    with FlatDB.stage(path, Identity(scheme, "", b""), b"bench", apart=values_apart) as staging:
        number = 0
        while part := list(islice(stream, RUN_LEAVES)):
            staging.ingest(b"%d" % number, part)
            number += 1
        root_hash = fold_leaves(get_scheme(scheme), staging.scan())
        staging.seal(HeightRecord(1, root_hash, verified=True))
    return Root(scheme, "", b"", 1, root_hash)


def time_fold(scheme: str, leaves: Sequence[Leaf]) -> Figure:
    """The kernel alone, on one core, over encoded runs."""
    kernel, commitment = get_kernel(), get_scheme(scheme)
    runs = []
    for start in range(0, len(leaves), RUN_LEAVES):
        part = leaves[start : start + RUN_LEAVES]
        before = leaves[start - 1][0] if start else None
        after = leaves[start + RUN_LEAVES][0] if start + RUN_LEAVES < len(leaves) else None
        run = LeafRun([key for key, _ in part], [value for _, value in part])
        run.encode()
        runs.append((run, before, after))
    watch = _Stopwatch()
    for run, before, after in runs:
        kernel.frontier(commitment, run, before, after)
    return watch.figure("fold", len(leaves))


def time_apply(path: Path, write_logs: Iterable[WriteLog]) -> Figure:
    """Write logs to a mirror, each synced and kept; making them is not timed."""
    logs = list(write_logs)
    with Mirror.open(path) as mirror:
        watch = _Stopwatch()
        for write_log in logs:
            mirror.apply(write_log)
        return watch.figure("apply", sum(len(write_log.writes) for write_log in logs), "writes")


def time_create(
    path: Path, store: Path, *, workers: int, level: int = LEVEL_DEFAULT, cut: Cut | None = None
) -> tuple[Figure, Root]:
    """A checkpoint of a mirror's last height, compressed and published. The root is folded before, untimed."""
    with Mirror.open(path) as mirror:
        root = mirror.claimed_root or mirror.root()
        with mirror.freeze() as view:
            watch = _Stopwatch()
            info: CheckpointInfo = create_checkpoint(
                view, root, CheckpointStore.folder(store), cut=cut, workers=workers, level=level
            )
            return watch.figure("create", info.leaf_count), root


def time_restore(url: str, root: Root, to: Path) -> Figure:
    """A restore from one endpoint, until the database is proven and complete."""
    watch = _Stopwatch()
    report = restore([url], root, to)
    return watch.figure("restore", report.leaf_count)


@contextmanager
def endpoint(store: Path, log: Path) -> Iterator[str]:
    """The base URL of a store that a process of its own serves on this machine's loopback."""
    process = start_command("serve", "--store", str(store), "--listen", "127.0.0.1:0", "--json", log=log)
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        assert isinstance(url, str)
        yield url
    finally:
        process.terminate()
        process.communicate()
