"""Drafts: what a chunk shows, and where hashes belong, for runs of any size."""

from __future__ import annotations

import random
from io import BytesIO

import pytest

from proofs import get_kernel
from proofs.hashing import sha512_256
from proofs.oasis.chunk import read_entries
from proofs.oasis.proof import verify_entries
from sync.oasis import runs
from sync.oasis.cuts import cut
from sync.oasis.draft import Drafter
from sync.oasis.emit import emit
from sync.oasis.shape import measure
from sync.oasis.siblings import find_siblings
from sync.oasis.snappy import decompress
from tests.oasis_cases import Pair, random_state, root_of


def made(pairs: list[Pair], chunk_bytes: int, threads: int, kernel: str | None) -> dict[int, bytes]:
    shape, spool = measure(pairs), BytesIO()
    drafter = Drafter(shape, cut(shape, chunk_bytes, threads), spool, get_kernel(kernel))
    drafter.read(pairs)
    files: dict[int, bytes] = {}
    digests = emit(drafter.drafts, find_siblings(drafter.frontiers)[1], spool, files.__setitem__)
    assert digests == [sha512_256(files[index]) for index in range(len(files))]
    return files


@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
@pytest.mark.parametrize("threads", [0, 3, 12])
def test_runs_and_kernels_do_not_matter(
    kind: str, threads: int, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in (0, 1, 2, 9, 80):
        pairs = random_state(rng, kind, count, big_values=count == 9)
        for chunk_bytes in (1, 400, 1 << 20):
            expected = made(pairs, chunk_bytes, threads, "reference")
            for run_leaves, kernel in ((1, "reference"), (1, None), (5, None)):
                monkeypatch.setattr(runs, "RUN_LEAVES_MAX", run_leaves)
                assert made(pairs, chunk_bytes, threads, kernel) == expected
            monkeypatch.undo()
            root = root_of(pairs).hash
            for data in expected.values():
                entries = read_entries(b"".join(decompress(data, bytes_max=1 << 24)), 1 << 20)
                verify_entries(root, entries, 0, depth_max=1000)
