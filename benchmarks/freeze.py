"""How long the gate stays closed: both makers of a frozen view against each other.

    python benchmarks/freeze.py [LEAVES]

For a mirror of LEAVES leaves (default 1,000,000) it prints the milliseconds of one freeze, by maker and by how many
writes lie unflushed in memory, and how fast each view is read.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from flatdb import FlatDB, HeightRecord, Identity, WriteLog
from flatdb.db import FreezeMaker

MAKERS: tuple[FreezeMaker, ...] = ("iterators", "directory")
UNFLUSHED = (0, 5_000, 100_000)
REPEATS = 5


def main(leaf_count: int) -> None:
    with TemporaryDirectory() as folder:
        build(Path(folder) / "mirror", leaf_count)
        with FlatDB.open(Path(folder) / "mirror") as db:
            for maker in MAKERS:
                for unflushed in UNFLUSHED:
                    print(f"{maker:9}  {unflushed:7} fresh writes  freeze {freeze_ms(db, maker, unflushed):8.2f} ms")
                print(f"{maker:9}  read {read_rate(db, maker) / 1e6:.2f} M leaves/s")


def build(path: Path, leaf_count: int) -> None:
    leaves = ((index.to_bytes(32, "big"), bytes(40)) for index in range(leaf_count))
    with FlatDB.stage(path, Identity("plain"), b"bench") as staging:
        staging.ingest(b"all", leaves)
        staging.seal(HeightRecord(0, None, verified=False))


def freeze_ms(db: FlatDB, maker: FreezeMaker, unflushed: int) -> float:
    """Median over REPEATS freezes, each behind `unflushed` writes in memory."""
    samples = []
    for _ in range(REPEATS):
        db.flush()
        if unflushed:
            write(db, unflushed)
        with ExitStack() as stack:
            samples.append(elapsed(lambda: stack.enter_context(db.freeze(maker))))
    return 1000 * sorted(samples)[REPEATS // 2]


def write(db: FlatDB, count: int) -> None:
    assert db.head is not None
    rng = Random(db.head.height)
    writes = {rng.randbytes(32): rng.randbytes(40) for _ in range(count)}
    db.apply(WriteLog(db.head.height + 1, writes=tuple(sorted(writes.items()))))


def read_rate(db: FlatDB, maker: FreezeMaker) -> float:
    """Leaves per second of a whole pass over keys and values."""
    with db.freeze(maker) as view:
        leaf_count = 0

        def read() -> None:
            nonlocal leaf_count
            leaf_count = sum(1 for _ in view.items())

        duration_s = elapsed(read)
    return leaf_count / duration_s


def elapsed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
