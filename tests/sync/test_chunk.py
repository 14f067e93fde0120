"""Chunks: parts come back, the name depends on canonical bytes alone, and no damage goes unseen."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import (
    IncompleteRangeError,
    InvalidLeafError,
    LeafRun,
    ProofError,
    RangeProof,
    RootMismatchError,
    fold,
    get_scheme,
    leaf_items,
    leaf_run,
    prove_range,
    state_root,
)
from proofs.hashing import keccak256
from sync.chunk import (
    LeafChunk,
    decode_code_chunk,
    decode_leaf_chunk,
    encode_proof_part,
    encode_run_part,
    verify_code,
    verify_leaf_chunk,
)
from sync.chunk_name import CODE_CHUNK, LEAF_CHUNK, chunk_digest
from sync.errors import DigestMismatchError, FormatError, OversizeError, UnsupportedFormatError
from sync.limits import Limits
from sync.manifest import CodeEntry, LeafEntry

SCHEME = get_scheme("mkvs")
LEAVES = [(bytes((at, at)), b"value" * at) for at in range(20)]
ROOT = state_root(SCHEME, leaf_items(LEAVES))
LIMITS = Limits()
CODE = sorted((keccak256(blob), blob) for blob in (b"one", b"two" * 50, b"three"))


def prove(first: int, last: int) -> tuple[LeafRun, RangeProof]:
    """The run LEAVES[first:last] and its proof."""
    left = fold(SCHEME, leaf_items(LEAVES[:first]), None, LEAVES[first][0])
    right = fold(SCHEME, leaf_items(LEAVES[last:]), LEAVES[last - 1][0], None)
    return leaf_run(LEAVES[first:last]), prove_range(SCHEME, left, LEAVES[first][0], LEAVES[last - 1][0], right)


def leaf_chunk(run: LeafRun, proof: RangeProof, level: int = 3) -> tuple[bytes, LeafEntry]:
    """Stored bytes of a chunk and its entry in the manifest."""
    parts = run.encode(), proof.encode()
    stored = encode_run_part(LEAF_CHUNK, parts[0], level=level) + encode_proof_part(parts[1], level=level)
    digests = [sha256(part).digest() for part in parts]
    return stored, LeafEntry(proof.start, len(run), len(parts[0]), digests[0], len(parts[1]), digests[1])


def code_chunk(code: list[tuple[bytes, bytes]]) -> tuple[bytes, CodeEntry]:
    encoded = leaf_run(code).encode()
    entry = CodeEntry(code[0][0], len(code), len(encoded), sha256(encoded).digest())
    return encode_run_part(CODE_CHUNK, encoded), entry


@pytest.mark.parametrize("level", [0, 1, 19])
def test_a_chunk_comes_back_whatever_the_compression(level: int) -> None:
    run, proof = prove(5, 15)
    stored, entry = leaf_chunk(run, proof, level)
    assert decode_leaf_chunk(stored, entry, limits=LIMITS) == LeafChunk(run, proof)
    assert entry == leaf_chunk(run, proof)[1]


def test_code_comes_back() -> None:
    stored, entry = code_chunk(CODE)
    blobs = decode_code_chunk(stored, entry, limits=LIMITS)
    assert list(blobs) == CODE
    verify_code(get_scheme("ethereum"), blobs, entry)


def test_the_name_of_a_chunk_is_fixed_for_all_releases() -> None:
    """Fails when the name depends on anything but kind, run and proof; stores and peers rely on it."""
    run_digest, proof_digest = sha256(b"run").digest(), sha256(b"proof").digest()
    assert chunk_digest(LEAF_CHUNK, run_digest, proof_digest) == sha256(b"\1\1" + run_digest + proof_digest).digest()
    assert chunk_digest(CODE_CHUNK, run_digest, None) == sha256(b"\1\2" + run_digest).digest()


@given(st.data())
def test_no_changed_byte_goes_unseen(data: st.DataObject) -> None:
    """Fails when a digest is not compared, or a byte of the header is not looked at."""
    run, proof = prove(5, 15)
    stored, entry = leaf_chunk(run, proof, data.draw(st.sampled_from([0, 3])))
    damaged = bytearray(stored)
    damaged[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decoded = decode_leaf_chunk(bytes(damaged), entry, limits=LIMITS)
    except (FormatError, ProofError):
        return
    assert decoded == LeafChunk(run, proof), "another encoding of the same canonical bytes is the only thing allowed"


@given(st.data())
def test_no_changed_byte_of_code_goes_unseen(data: st.DataObject) -> None:
    stored, entry = code_chunk(CODE)
    damaged = bytearray(stored)
    damaged[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decoded = decode_code_chunk(bytes(damaged), entry, limits=LIMITS)
    except (FormatError, ProofError):
        return
    assert list(decoded) == CODE


def test_cut_and_grown_chunks_are_refused() -> None:
    stored, entry = leaf_chunk(*prove(5, 15))
    for size in range(len(stored)):
        with pytest.raises(FormatError):
            decode_leaf_chunk(stored[:size], entry, limits=LIMITS)
    with pytest.raises(FormatError):
        decode_leaf_chunk(stored + b"\0", entry, limits=LIMITS)
    code, code_entry = code_chunk(CODE)
    for size in range(len(code)):
        with pytest.raises(FormatError):
            decode_code_chunk(code[:size], code_entry, limits=LIMITS)
    with pytest.raises(FormatError):
        decode_code_chunk(code + b"\0", code_entry, limits=LIMITS)


def test_an_entry_is_held_to_every_word() -> None:
    run, proof = prove(5, 15)
    stored, entry = leaf_chunk(run, proof)
    for field in ("run_size", "proof_size"):
        with pytest.raises(FormatError):
            decode_leaf_chunk(stored, replace(entry, **{field: getattr(entry, field) + 1}), limits=LIMITS)
    for field in ("run_digest", "proof_digest"):
        with pytest.raises(DigestMismatchError) as caught:
            decode_leaf_chunk(stored, replace(entry, **{field: bytes(32)}), limits=LIMITS)
        assert caught.value.expected == bytes(32)
    for count in (9, 11):
        with pytest.raises(ProofError):
            decode_leaf_chunk(stored, replace(entry, leaf_count=count), limits=LIMITS)
    code, code_entry = code_chunk(CODE)
    with pytest.raises(ProofError):
        decode_code_chunk(code, replace(code_entry, blob_count=4), limits=LIMITS)


def test_other_formats_and_kinds_are_refused() -> None:
    stored, entry = leaf_chunk(*prove(5, 15))
    code, code_entry = code_chunk(CODE)
    with pytest.raises(UnsupportedFormatError) as caught:
        decode_leaf_chunk(b"\2" + stored[1:], entry, limits=LIMITS)
    assert caught.value.found == 2
    for forged in (code, stored[:3] + b"\1" + stored[4:]):
        with pytest.raises(FormatError):
            decode_leaf_chunk(forged, entry, limits=LIMITS)
    with pytest.raises(FormatError):
        decode_code_chunk(stored, code_entry, limits=LIMITS)


def test_limits_come_before_the_work() -> None:
    stored, entry = leaf_chunk(*prove(5, 15))
    tight = Limits(chunk_bytes_max=1, proof_bytes_max=1)
    with pytest.raises(OversizeError) as caught:
        decode_leaf_chunk(stored, entry, limits=tight)
    assert caught.value.limit == "stored_chunk_bytes_max"
    code, code_entry = code_chunk(CODE)
    with pytest.raises(OversizeError) as caught:
        decode_code_chunk(code, code_entry, limits=Limits(code_bytes_max=100))
    assert caught.value.limit == "code_bytes_max"


def test_a_verified_chunk_is_exactly_the_announced_range() -> None:
    """Fails when the proof's own bounds are believed instead of the manifest's."""
    run, proof = prove(5, 15)
    _, entry = leaf_chunk(run, proof)
    chunk = LeafChunk(run, proof)
    assert verify_leaf_chunk(SCHEME, ROOT, chunk, entry, proof.end).run == run
    for start, end in [(b"", proof.end), (proof.start, None), (proof.start, b"\xff")]:
        with pytest.raises(IncompleteRangeError):
            verify_leaf_chunk(SCHEME, ROOT, chunk, replace(entry, start=start), end)
    with pytest.raises(RootMismatchError):
        verify_leaf_chunk(SCHEME, bytes(32), chunk, entry, proof.end)
    with pytest.raises(ProofError):
        verify_leaf_chunk(SCHEME, ROOT, LeafChunk(run[:9], proof), entry, proof.end)


def test_code_proves_itself() -> None:
    scheme = get_scheme("ethereum")
    _, entry = code_chunk(CODE)
    forged = leaf_run([*CODE[:1], (CODE[1][0], b"other"), *CODE[2:]])
    with pytest.raises(InvalidLeafError):
        verify_code(scheme, forged, entry)
    with pytest.raises(IncompleteRangeError):
        verify_code(scheme, leaf_run(CODE[1:]), entry)
    with pytest.raises(IncompleteRangeError):
        verify_code(SCHEME, leaf_run(CODE), entry)
