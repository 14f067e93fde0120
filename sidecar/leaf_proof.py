"""Proofs of single leaves out of a mirror itself, without any checkpoint: one pass over all leaves.

For many proofs at one height a checkpoint is the better source (`sync.prove`): it has most of this folded already.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice, repeat

from proofs import (
    Frontier,
    LeafRun,
    RangeProof,
    Scheme,
    bound_between,
    fold,
    get_kernel,
    leaf_items,
    leaf_run,
    prove_range,
    verify_range,
)
from proofs.nomt_proof import prove_path
from proofs.range_proof import expand_left, expand_right
from proofs.schemes.nomt import NOMT
from sync.cut import split
from sync.errors import UnprovableError
from sync.mirror import Mirror
from sync.state_fold import RUN_BYTES_MAX, RUN_LEAVES

__all__ = ["nomt_path", "prove_leaf"]


def prove_leaf(mirror: Mirror, key: bytes, root_hash: bytes) -> tuple[RangeProof, LeafRun]:
    """The proof that `key` has its value in the present state, or is absent: that of the one leaf whose range holds it.

    `root_hash` is what the proof must fold to; it is verified before it is handed out. Precondition: nobody writes
    meanwhile (a mirror opened read-only, or frozen by the caller).

    Raises:
        RootMismatchError: the leaves do not fold to this root.
        InvalidLeafError: leaves that no state of the scheme holds.
        UnprovableError: the root is a sum.
    """
    scheme = mirror.scheme
    if not scheme.capabilities.chunk_proofs:
        raise UnprovableError(key, key + b"\0", "no part of a sum can be proven, only the whole state")
    leaf = _leaf_around(mirror, key)
    if leaf is None:
        proof, run = prove_range(scheme, (), None, None, ()), leaf_run(())
    else:
        first = leaf[0]
        left = _frontier(scheme, mirror.scan(b"", first, hashed=True), None, first)
        right = _frontier(scheme, mirror.scan(first + b"\0", hashed=True), first, None)
        proof, run = prove_range(scheme, left, first, first, right), leaf_run((leaf,))
    verify_range(scheme, root_hash, proof, run)
    return proof, run


def nomt_path(scheme: NOMT, proof: RangeProof, run: LeafRun, key: bytes) -> bytes:
    """The same proof in NOMT's own bytes, for its verifier."""
    return prove_path(
        scheme, [*expand_left(scheme, proof), *leaf_items(run), *expand_right(scheme, proof)], key
    ).encode()


def _leaf_around(mirror: Mirror, key: bytes) -> tuple[bytes, bytes] | None:
    """The leaf whose provable range holds `key`: the last one at or before it, or the first one behind it.

    Which one depends on where the trie branches between them, and only the keys say that.
    """
    before = None
    for leaf in mirror.scan(b"", key + b"\0", hashed=True):
        before = leaf
    after = next(islice(mirror.scan(key + b"\0"), 1), None)
    if before is None or (after is not None and bound_between(mirror.scheme, before[0], after[0]) <= key):
        return after
    return next(islice(mirror.scan(before[0]), 1))


def _frontier(
    scheme: Scheme, leaves: Iterable[tuple[bytes, bytes]], before: bytes | None, after: bytes | None
) -> Frontier:
    """The frontier of these leaves between two neighbours, folded run by run. Memory: one run."""
    joined: Frontier = ()
    for low, run, high in split(leaves, repeat(RUN_LEAVES), RUN_BYTES_MAX):
        low, high = before if low is None else low, after if high is None else high
        part = get_kernel().frontier(scheme, run, low, high)
        joined = fold(scheme, chain(joined, part), before, high)
    return joined
