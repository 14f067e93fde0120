"""How fast are range proofs verified, on one core? Beside it, with `--peers 1`: go-ethereum's VerifyRangeProof.

Proofs are made before the clock starts. Ours arrive as bytes and are decoded within it; go-ethereum's are in memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from benchmarks.answer import Fields, main
from benchmarks.peers import geth
from benchmarks.workload import SHAPES
from proofs import LeafRun, RangeProof, fold, frontier_root, get_kernel, get_scheme, prove_range, verify_range

PROOF_BYTES_MAX = 2**20


OPTIONS: Fields = {"leaves": 200_000, "range_leaves": 2_000, "ranges": 50, "repeat": 3, "peers": 0}


def measure(options: argparse.Namespace) -> Iterator[Fields]:
    name, generate = SHAPES[options.shape]
    leaves = list(generate(options.leaves, options.seed))
    scheme, kernel = get_scheme(name), get_kernel()
    keys, values = [key for key, _ in leaves], [value for _, value in leaves]

    def frontier(start: int, end: int) -> tuple[tuple[bytes, bytes, int, int], ...]:
        before = keys[start - 1] if start else None
        after = keys[end] if end < len(keys) else None
        return kernel.frontier(scheme, LeafRun(keys[start:end], values[start:end]), before, after)

    root = frontier_root(scheme, fold(scheme, frontier(0, len(keys))))
    claims = []
    for index in range(options.ranges):
        start = index * (len(keys) - options.range_leaves) // options.ranges
        end = start + options.range_leaves
        left, right = frontier(0, start), frontier(end, len(keys))
        proof = prove_range(scheme, left, keys[start], keys[end - 1], right)
        claims.append((proof.encode(), LeafRun(keys[start:end], values[start:end]).encode()))
    best = min(_verify(name, root, claims) for _ in range(options.repeat))
    count = options.ranges * options.range_leaves
    yield {"who": "leafmirror", "scheme": name, "cpu_seconds": best, "leaves_per_second": count / best}
    if options.peers and name == "mpt":
        yield geth.verify(leaves, options.range_leaves, options.ranges, options.repeat)


def _verify(name: str, root: bytes, claims: list[tuple[bytes, bytes]]) -> float:
    scheme, kernel = get_scheme(name), get_kernel()
    began = time.process_time()
    for proof, run in claims:
        leaves = kernel.decode(run, leaves_max=2**20)
        verify_range(scheme, root, RangeProof.decode(proof, size_max=PROOF_BYTES_MAX), leaves, kernel=kernel)
    return time.process_time() - began


if __name__ == "__main__":
    main("verify", measure, OPTIONS)
