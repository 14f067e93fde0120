"""Checkpoints taken apart: complete, or refused with the one to blame."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from proofs.errors import MalformedProofError, RootMismatchError
from proofs.hashing import sha512_256
from proofs.oasis.entries import entry
from proofs.oasis.messages import EMPTY_HASH, Metadata, OasisRoot, TreeID
from proofs.oasis.messages import IterateRequest as Iterate
from proofs.oasis.reads import sync_iterate
from sync.errors import DigestMismatchError, OversizeError
from sync.oasis.create import Chunking, create_checkpoint
from sync.oasis.restore import (
    BadCheckpointError,
    IncompleteCheckpointError,
    OasisLimits,
    OasisRestore,
    read_checkpoint,
)
from sync.oasis.snappy import SnappyWriter
from sync.oasis.store import OasisStore
from tests.oasis_cases import (
    Pair,
    apply_ops,
    numbered,
    random_state,
    reference_cases,
    root_of,
    tree_of,
    write_checkpoint,
)

PAIRS = numbered(200)
ROOT = root_of(PAIRS)


def chunk_of(entries: list[bytes | None], *, tail: bytes = b"") -> bytes:
    """A chunk file with these proof entries."""
    out = bytearray()
    writer = SnappyWriter(out.extend)
    for one in entries:
        writer.write(b"\xf6" if one is None else entry(one))
    writer.write(tail)
    writer.flush()
    return bytes(out)


def restore_of(chunks: list[bytes], root: OasisRoot = ROOT, limits: OasisLimits | None = None) -> OasisRestore:
    return OasisRestore(root, Metadata(root, tuple(map(sha512_256, chunks))), limits)


def made(pairs: list[Pair], tmp_path: Path, chunk_bytes: int = 1000, threads: int = 0) -> list[bytes]:
    store, root = OasisStore(tmp_path), root_of(pairs)
    metadata = create_checkpoint(
        lambda: pairs, root, store, chunking=Chunking(chunk_bytes=chunk_bytes, threads=threads)
    )
    return [store.chunk(metadata.chunk(index)) for index in range(len(metadata.chunks))]


def test_recorded_checkpoints_come_apart(data: Path, tmp_path: Path) -> None:
    """Directories as a node wrote them."""
    seen = 0
    for case in reference_cases(data):
        pairs, root = apply_ops(case["ops"]), OasisRoot.decode(bytes.fromhex(case["root_cbor"]))
        for number, recorded in enumerate(case["checkpoints"]):
            if chunks := recorded.get("chunks"):
                directory = tmp_path / case["name"] / str(number)
                write_checkpoint(
                    directory, Metadata.decode(bytes.fromhex(recorded["meta"])), list(map(bytes.fromhex, chunks))
                )
                leaves = {pair for chunk in read_checkpoint(OasisStore(directory), root) for pair in chunk.leaves}
                assert sorted(leaves) == pairs
                seen += 1
    assert seen > 100


@pytest.mark.parametrize("kind", ["uniform", "nested", "modules", "edges"])
@pytest.mark.parametrize("threads", [0, 12])
def test_own_checkpoints_come_apart_in_any_order(kind: str, threads: int, rng: random.Random, tmp_path: Path) -> None:
    for count in (0, 1, 2, 30, 128):
        pairs = random_state(rng, kind, count)
        chunks = made(pairs, tmp_path / str(count), rng.choice((1, 300, 3000)), threads)
        restore = restore_of(chunks, root_of(pairs))
        order = rng.sample(range(len(chunks)), len(chunks))
        leaves = {pair for index in order for pair in restore.accept(index, chunks[index]).leaves}
        restore.finish()
        assert sorted(leaves) == pairs
        assert list(restore.wanted()) == []


def test_other_bytes_are_the_sender_s_fault(tmp_path: Path) -> None:
    chunks = made(PAIRS, tmp_path)
    restore = restore_of(chunks)
    with pytest.raises(DigestMismatchError) as caught:
        restore.accept(0, chunks[1])
    assert (caught.value.expected, caught.value.computed) == (sha512_256(chunks[0]), sha512_256(chunks[1]))
    assert 0 in restore.missing
    restore.accept(0, chunks[0])


def test_a_chunk_that_holds_only_the_root_hash_does_not_count() -> None:
    """The reference takes it for restored."""
    chunk = chunk_of([b"\2" + ROOT.hash])
    with pytest.raises(BadCheckpointError):
        restore_of([chunk]).accept(0, chunk)


def test_chunks_that_leave_keys_open_are_not_a_checkpoint(tmp_path: Path) -> None:
    chunks = made(PAIRS, tmp_path)
    assert len(chunks) > 4
    for left_out in range(len(chunks)):
        rest = chunks[:left_out] + chunks[left_out + 1 :]
        restore = restore_of(rest)
        hidden = set(PAIRS) - {pair for index, chunk in enumerate(rest) for pair in restore.accept(index, chunk).leaves}
        with pytest.raises(IncompleteCheckpointError) as caught:
            restore.finish()
        start, end = caught.value.gap
        first = min(hidden)[0]
        assert start <= first
        assert end is None or first < end


def test_one_leaf_in_the_middle_that_nobody_shows() -> None:
    tree = tree_of(PAIRS)
    where = TreeID(ROOT, tree.root_hash)
    before = sync_iterate(tree, Iterate(where, b"", 98)).entries
    after = sync_iterate(tree, Iterate(where, PAIRS[100][0], 200)).entries
    chunks = [chunk_of(list(before)), chunk_of(list(after))]
    restore = restore_of(chunks)
    shown = {pair for index, chunk in enumerate(chunks) for pair in restore.accept(index, chunk).leaves}
    assert set(PAIRS) - shown == {PAIRS[99]}
    with pytest.raises(IncompleteCheckpointError):
        restore.finish()


def test_an_empty_state_has_one_empty_chunk() -> None:
    chunk, root = chunk_of([None]), root_of([])
    assert root.hash == EMPTY_HASH
    restore = restore_of([chunk], root)
    assert list(restore.accept(0, chunk).leaves) == []
    restore.finish()


def bad_chunks(tmp_path: Path) -> dict[str, bytes]:
    (good,) = made(PAIRS, tmp_path, 1 << 20)
    entries = list(sync_iterate(tree_of(PAIRS), Iterate(TreeID(ROOT, ROOT.hash), b"", 1000)).entries)
    assert chunk_of(entries) == good
    first = entries[0]
    assert first is not None
    return {
        "nothing": b"",
        "not snappy": b"\0" + good,
        "truncated": good[:-1],
        "a partial header at the end": chunk_of(entries, tail=b"\x59\x01"),
        "other values": chunk_of([one[:-1] + b"?" if one and one[:2] == b"\1\0" else one for one in entries]),
        "an entry too many": chunk_of([*entries, None]),
        "bytes behind a node": chunk_of([first + b"\0", *entries[1:]]),
    }


NAMES = [
    "nothing",
    "not snappy",
    "truncated",
    "a partial header at the end",
    "other values",
    "an entry too many",
    "bytes behind a node",
]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_wrong_behind_a_right_digest_is_the_checkpoint_s_fault(name: str, tmp_path: Path) -> None:
    chunk = bad_chunks(tmp_path)[name]
    with pytest.raises(BadCheckpointError) as caught:
        restore_of([chunk]).accept(0, chunk)
    assert caught.value.index == 0


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (OasisLimits(chunk_file_bytes_max=1000), OversizeError),
        (OasisLimits(chunk_bytes_max=1000), BadCheckpointError),
        (OasisLimits(entries_max=100), BadCheckpointError),
        (OasisLimits(depth_max=3), BadCheckpointError),
    ],
)
def test_limits_are_checked_before_the_work(limits: OasisLimits, error: type[Exception], tmp_path: Path) -> None:
    (chunk,) = made(PAIRS, tmp_path, 1 << 20)
    with pytest.raises(error):
        restore_of([chunk], limits=limits).accept(0, chunk)


def test_metadata_is_judged_first() -> None:
    metadata = Metadata(ROOT, (bytes(32), bytes(32)))
    with pytest.raises(RootMismatchError):
        OasisRestore(replace(ROOT, version=2), metadata)
    with pytest.raises(MalformedProofError):
        OasisRestore(ROOT, replace(metadata, chunks=()))
    with pytest.raises(OversizeError):
        OasisRestore(ROOT, metadata, OasisLimits(chunks_max=1))


def test_gaps_at_either_end_are_named() -> None:
    """Keys that part in their first bit: nothing is known of a side that is not shown."""
    pairs = [(b"\0", b"1"), (b"\x80", b"2")]
    root, tree = root_of(pairs), tree_of(pairs)
    for key, gap in ((b"\0", (b"\x80", None)), (b"\x80", (b"\0", b"\x80"))):
        proof = sync_iterate(tree, Iterate(TreeID(root, root.hash), key, 0))
        chunk = chunk_of(list(proof.entries))
        restore = restore_of([chunk], root)
        restore.accept(0, chunk)
        with pytest.raises(IncompleteCheckpointError) as caught:
            restore.finish()
        assert caught.value.gap == gap
