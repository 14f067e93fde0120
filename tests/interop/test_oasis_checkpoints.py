"""Checkpoints against the real creator and the real restorer over a real node database."""

from __future__ import annotations

import os
import random
import shutil
import struct
from io import BytesIO
from pathlib import Path

import pytest

from proofs import get_kernel
from proofs.hashing import sha512_256
from proofs.oasis.messages import IO, STATE, Metadata, OasisRoot
from sync.oasis.create import Chunking, create_checkpoint
from sync.oasis.cuts import cut
from sync.oasis.draft import Drafter
from sync.oasis.emit import emit
from sync.oasis.restore import OasisLimits, read_checkpoint
from sync.oasis.shape import measure
from sync.oasis.siblings import find_siblings
from sync.oasis.store import OasisStore
from tests.interop.program import Oasis
from tests.oasis_cases import NAMESPACE, Pair, random_state

pytestmark = [pytest.mark.slow, pytest.mark.interop]

STATES = int(os.environ.get("LEAFMIRROR_OASIS_STATES", "200"))
"""Random states of the differential test; 2,000 in the long run."""
BATCHES = 20
CHUNK_BYTES = (1, 4 << 10, 64 << 10, 1 << 20, 8 << 20)
THREADS = (0, 1, 2, 3, 5, 12, 19)
KINDS = ("uniform", "nested", "modules", "edges")
DEEP = OasisLimits(depth_max=70_000)
"""The program's release has no limit on depth yet."""


def draw_state(rng: random.Random) -> list[Pair]:
    kind = rng.choice(KINDS)
    count = rng.choice((0, 1, 2, 5, 30, 60, 150))
    return random_state(rng, kind, count, big_values=rng.random() < 0.4)


def make(pairs: list[Pair], root: OasisRoot, chunk_bytes: int, threads: int) -> Metadata:
    """Metadata of a checkpoint that is thrown away."""
    shape = measure(pairs)
    spool = BytesIO()
    drafter = Drafter(shape, cut(shape, chunk_bytes, threads), spool, get_kernel())
    drafter.read(pairs)
    computed, siblings = find_siblings(drafter.frontiers)
    assert computed == root.hash
    return Metadata(root, tuple(emit(drafter.drafts, siblings, spool, lambda index, data: None)))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_states_give_equal_checkpoints(batch: int, oasis: Oasis, rng: random.Random, tmp_path: Path) -> None:
    for number in range(batch, STATES, BATCHES):
        pairs = draw_state(rng)
        version, root_type = rng.choice((1, 24, 256, 1 << 33)), rng.choice((STATE, IO))
        db, encoded = oasis.state(pairs, namespace=NAMESPACE, version=version, root_type=root_type)
        root = OasisRoot.decode(encoded)
        for chunk_bytes in CHUNK_BYTES:
            for threads in THREADS:
                directory = tmp_path / f"{number}"
                answer = oasis(
                    "checkpoint", db=db, root=encoded, dir=directory, chunk_bytes=chunk_bytes, threads=threads
                )
                metadata = make(pairs, root, chunk_bytes, threads)
                assert metadata.encoded_hash.hex() == answer["encoded_hash"], (len(pairs), chunk_bytes, threads)
                assert metadata.encode().hex() == answer["meta"]
                shutil.rmtree(directory)
        oasis("close", db=db)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [0, 12])
def test_each_side_restores_what_the_other_made(
    kind: str, threads: int, oasis: Oasis, rng: random.Random, tmp_path: Path
) -> None:
    for number, (count, chunk_bytes) in enumerate([(0, 1), (1, 1), (2, 1), (60, 100), (150, 1000), (150, 1 << 20)]):
        pairs = random_state(rng, kind, count)
        db, encoded = oasis.state(pairs, namespace=NAMESPACE, version=5, root_type=STATE)
        root = OasisRoot.decode(encoded)

        ours = OasisStore(tmp_path / f"ours-{number}")
        create_checkpoint(lambda: pairs, root, ours, chunking=Chunking(chunk_bytes=chunk_bytes, threads=threads))  # noqa: B023
        answer = oasis("restore", dir=ours.path(root))
        assert answer["done"] is True
        assert (answer["count"], answer["leaves_hash"]) == (len(pairs), leaves_hash(pairs).hex())

        theirs = tmp_path / f"theirs-{number}"
        theirs.mkdir(mode=0o700)
        oasis("checkpoint", db=db, root=encoded, dir=theirs, chunk_bytes=chunk_bytes, threads=threads)
        found = {pair for chunk in read_checkpoint(OasisStore(theirs), root, DEEP) for pair in chunk.leaves}
        assert sorted(found) == pairs
        oasis("close", db=db)


def leaves_hash(pairs: list[Pair]) -> bytes:
    """As the program sums up a state that it has read back."""
    return sha512_256(b"".join(struct.pack("<II", len(key), len(value)) + key + value for key, value in pairs))


@pytest.mark.parametrize("threads", [0, 12])
def test_a_large_state_travels_both_ways(threads: int, oasis: Oasis, rng: random.Random, tmp_path: Path) -> None:
    """1,000,000 leaves where LEAFMIRROR_OASIS_LEAVES says so, 50,000 otherwise."""
    count = int(os.environ.get("LEAFMIRROR_OASIS_LEAVES", "50000"))
    pairs = sorted({rng.randbytes(21): rng.randbytes(40) for _ in range(count)}.items())
    file = tmp_path / "leaves"
    with file.open("wb") as out:
        out.writelines(struct.pack("<II", len(key), len(value)) + key + value for key, value in pairs)
    db = oasis("open", namespace=NAMESPACE, on_disk=True)["db"]
    encoded = bytes.fromhex(oasis("commit", db=db, version=5, type=STATE, leaves_file=file)["root"])
    oasis("finalize", db=db, roots=[encoded])
    root = OasisRoot.decode(encoded)
    chunking = Chunking(chunk_bytes=1 << 20, threads=threads)

    ours, theirs = OasisStore(tmp_path / "ours"), OasisStore(tmp_path / "theirs")
    theirs.directory.mkdir(mode=0o700)
    metadata = create_checkpoint(lambda: pairs, root, ours, chunking=chunking)
    made = oasis("checkpoint", db=db, root=encoded, dir=theirs.directory, chunk_bytes=1 << 20, threads=threads)
    assert metadata.encode().hex() == made["meta"]
    oasis("close", db=db)

    answer = oasis("restore", dir=ours.path(root), on_disk=True)
    assert (answer["count"], answer["leaves_hash"]) == (len(pairs), leaves_hash(pairs).hex())
    found = {pair for chunk in read_checkpoint(theirs, root) for pair in chunk.leaves}
    assert sorted(found) == pairs
