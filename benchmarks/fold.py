"""How fast does the kernel fold, on one core? Reading and encoding the leaves is not timed.

Beside it, with `--peers 1`: go-ethereum's StackTrie on the same leaves, and the PyPI package `trie`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice

from benchmarks.answer import Fields, main
from benchmarks.peers import geth, pytrie
from benchmarks.workload import SHAPES
from sidecar.bench import time_fold

PYTRIE_LEAVES = 20_000


OPTIONS: Fields = {"repeat": 3, "peers": 0}


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    scheme, generate = SHAPES[options.shape]
    leaves = list(generate(options.leaves, options.seed))
    best = min((time_fold(scheme, leaves) for _ in range(options.repeat)), key=lambda figure: figure.cpu_s)
    yield {
        "who": "leafmirror",
        "scheme": scheme,
        "seconds": best.elapsed_s,
        "cpu_seconds": best.cpu_s,
        "leaves_per_second": len(leaves) / best.cpu_s,
    }
    if options.peers and scheme == "mpt":
        yield geth.fold(leaves, options.repeat)
        yield pytrie.fold(list(islice(leaves, PYTRIE_LEAVES)))


if __name__ == "__main__":
    main("fold", measure, OPTIONS)
