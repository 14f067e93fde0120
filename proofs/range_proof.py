"""Range proofs: all leaves of a key range, and why nothing else is in it.

A proof holds the frontier of everything left of the range and of everything right of it. The verifier folds
left + leaves + right; only the honest leaves fold to the trusted root, *if* these rules hold:

1. Ranges meet where the trie branches. The bound between two neighbours is the second one's digits up to and
   including the one where it parts from the first, zero-padded. Start inclusive, end exclusive; no end is None.
2. A proof node sits where the root says: one below the branch of its parent, as the fold finds it.
3. No proof node reaches into the range.
4. Canonical or refused: exactly the nodes that the prover would write, each reference in its one form.

On the wire a node is (depth of its parent's branch, slot, reference), its path being that of the bound: left
nodes follow `start` and turn to a smaller digit, right nodes follow `end` and turn to a larger one (or are `end`
itself). That makes rules 3 and 4 hold by construction and leaves rules 1 and 2 to be checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from proofs import cbor
from proofs.errors import IncompleteRangeError, LeafOrderError, MalformedProofError, RootMismatchError
from proofs.fold import NODE, VALUE, Frontier, Item, fold, frontier_root
from proofs.kernel import Kernel, get_kernel
from proofs.leafrun import LeafRun
from proofs.scheme import Scheme

PROOF_FORMAT = 1
VALUE_SLOT = -1
"""Slot of a branch's own value: before its children, as in key order."""


class ProofNode(NamedTuple):
    """A closed subtree beside a range: what hangs in `slot` of the branch at `depth` on the bound's path."""

    depth: int
    slot: int
    ref: bytes


@dataclass(frozen=True, slots=True)
class RangeProof:
    """Where a range lies and what surrounds it. Untrusted until `verify_range` has seen it."""

    start: bytes
    end: bytes | None
    left: tuple[ProofNode, ...]
    right: tuple[ProofNode, ...]

    def encode(self) -> bytes:
        """Canonical CBOR: [format, start, end or null, [[depth, slot, ref]…], [[depth, slot, ref]…]]."""
        return cbor.encode(
            [PROOF_FORMAT, self.start, self.end, [list(n) for n in self.left], [list(n) for n in self.right]]
        )

    @classmethod
    def decode(cls, data: bytes, *, size_max: int) -> RangeProof:
        """Read the fields and their types; what they claim is for `verify_range` to judge.

        Raises:
            MalformedProofError
        """
        match cbor.decode(data, size_max=size_max):
            case [int(version), bytes(start), bytes() | None as end, list(left), list(right)]:
                if version != PROOF_FORMAT or isinstance(version, bool):
                    raise MalformedProofError(
                        f"a range proof of a format that this release does not read ({PROOF_FORMAT})"
                    )
                return cls(start, end, _nodes(left), _nodes(right))
            case _:
                raise MalformedProofError("a range proof has a format, start, end, left and right nodes")


class VerifiedRange:
    """Leaves that are all the trie holds in [start, end). Only `verify_range` makes one."""

    __slots__ = ("_index", "end", "root_hash", "run", "scheme", "start")

    def __init__(
        self, scheme: Scheme, root_hash: bytes, start: bytes, end: bytes | None, run: LeafRun, *, _verifier: object
    ) -> None:
        if _verifier is not _VERIFIER:
            raise TypeError("a VerifiedRange comes from verify_range only")
        self.scheme = scheme.name
        self.root_hash = root_hash
        self.start = start
        self.end = end
        self.run = run
        self._index: dict[bytes, bytes] | None = None

    def __contains__(self, key: bytes) -> bool:
        """Whether the proof speaks of `key` at all."""
        return self.start <= key and (self.end is None or key < self.end)

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None where it is proven absent.

        Raises:
            KeyError: the key lies outside the range, so nothing is known of it.
        """
        if key not in self:
            raise KeyError(key)
        if self._index is None:
            self._index = dict(zip(self.run.keys, self.run.values, strict=True))
        return self._index.get(key)


_VERIFIER = object()


def bound_between(scheme: Scheme, before: bytes, after: bytes) -> bytes:
    """Where two neighbours' ranges meet: `after` up to the digit where it parts from `before`, zero-padded.

    Raises:
        LeafOrderError: unless before < after; only then does `after` have a digit of its own.
    """
    if before >= after:
        raise LeafOrderError(after, before)
    return scheme.path.bound(after, scheme.path.parting(before, after) + 1)


def prove_range(scheme: Scheme, left: Frontier, first: bytes | None, last: bytes | None, right: Frontier) -> RangeProof:
    """The proof of the range whose leaves run from `first` to `last` (None: the empty state).

    `left` and `right` are the frontiers of everything before `first` and after `last`. Of a sum, which no opaque part
    can prove, the proof holds the bounds alone.
    """
    if first is None or last is None:
        return RangeProof(b"", None, (), ())
    start = bound_between(scheme, left[-1][0], first) if left else b""
    end = bound_between(scheme, last, right[0][0]) if right else None
    if not scheme.capabilities.chunk_proofs:
        return RangeProof(start, end, (), ())
    return RangeProof(
        start, end, tuple(_wire(scheme, item) for item in left), tuple(_wire(scheme, item) for item in right)
    )


def verify_range(
    scheme: Scheme, root_hash: bytes, proof: RangeProof, run: LeafRun, *, kernel: Kernel | None = None
) -> VerifiedRange:
    """Judge leaves and proof against a trusted root (32 bytes).

    Raises:
        InvalidLeafError, LeafOrderError: leaves that no honest state holds.
        MalformedProofError: bounds or nodes that no honest prover writes.
        MisplacedNodeError: a node that does not sit where the root says.
        IncompleteRangeError: bounds that are not where the trie branches.
        RootMismatchError: another root.
    """
    _check_sizes(scheme, proof)
    left = list(expand_left(scheme, proof))
    right = list(expand_right(scheme, proof))
    _check_bounds(scheme, proof, left, run, right)
    return judge(scheme, root_hash, left, run, right, start=proof.start, end=proof.end, kernel=kernel)


def judge(
    scheme: Scheme,
    root_hash: bytes,
    left: Sequence[Item],
    run: LeafRun,
    right: Sequence[Item],
    *,
    start: bytes,
    end: bytes | None,
    kernel: Kernel | None = None,
) -> VerifiedRange:
    """The one verdict: whether left + leaves + right fold to the trusted root.

    Every form of proof is opened into items and ends here. Precondition, for the opener to keep: `left` lies wholly
    before `start`, `right` wholly at or after `end`, and every reference was checked.

    Raises:
        InvalidLeafError, LeafOrderError, MisplacedNodeError, RootMismatchError: as `verify_range`.
    """
    inside: Frontier = ()
    if run:
        before = left[-1][0] if left else None
        after = right[0][0] if right else None
        inside = (kernel or get_kernel()).frontier(scheme, run, before, after)
    computed = frontier_root(scheme, fold(scheme, chain(left, inside, right)))
    if computed != root_hash:
        raise RootMismatchError(root_hash, computed)
    return VerifiedRange(scheme, root_hash, start, end, run, _verifier=_VERIFIER)


def expand_left(scheme: Scheme, proof: RangeProof) -> Iterator[Item]:
    """The nodes left of the range as items, in key order.

    Raises:
        MalformedProofError: a node out of order, off the path of `start`, or in a form that no prover writes.
    """
    path, start = scheme.path, proof.start
    digits = path.digits(start)
    last = (-1, VALUE_SLOT)
    for depth, slot, ref in proof.left:
        if (depth, slot) <= last or not 0 <= depth < digits:
            raise MalformedProofError("left nodes are not in key order along the start of the range")
        last = (depth, slot)
        if slot == VALUE_SLOT:
            if not path.is_key(depth):
                raise MalformedProofError("a value where no key can end")
            key = path.bound(start, depth)
            scheme.check_value(key, ref)
            yield key, ref, VALUE, 0
        elif 0 <= slot < path.digit(start, depth):
            scheme.check_ref(ref)
            yield path.child(start, depth, slot), ref, NODE, depth + 1
        else:
            raise MalformedProofError("a left node does not lie left of the range")


def expand_right(scheme: Scheme, proof: RangeProof) -> Iterator[Item]:
    """The nodes right of the range as items, in key order.

    A branch that holds both `end` and something before it has its own value before `end`: no values here.

    Raises:
        MalformedProofError: a node out of order, off the path of `end`, or in a form that no prover writes.
    """
    if proof.end is None:
        if proof.right:
            raise MalformedProofError("nodes right of a range without end")
        return
    path, end = scheme.path, proof.end
    digits = path.digits(end)
    last: tuple[int, int] | None = None
    for depth, slot, ref in proof.right:
        if not 0 <= depth < digits or (last is not None and (-depth, slot) <= last):
            raise MalformedProofError("right nodes are not in key order along the end of the range")
        if not path.digit(end, depth) + (last is not None) <= slot < path.radix(depth):
            raise MalformedProofError("a right node does not lie right of the range")
        last = (-depth, slot)
        scheme.check_ref(ref)
        yield path.child(end, depth, slot), ref, NODE, depth + 1


def _check_sizes(scheme: Scheme, proof: RangeProof) -> None:
    """No bound is longer than the longest key: every node below costs as much as its path is long."""
    size_max = scheme.capabilities.key_sizes[1]
    if max(len(proof.start), len(proof.end or b"")) > size_max:
        raise MalformedProofError(f"a bound has at most {size_max} bytes, like a key")


def _check_bounds(scheme: Scheme, proof: RangeProof, left: list[Item], run: LeafRun, right: list[Item]) -> None:
    """Rule 1: the bounds are what the neighbours make them, and only the empty state has an empty range."""
    if not run:
        if left or right or proof.start or proof.end is not None:
            raise IncompleteRangeError(proof.start, "a range without leaves proves the empty state only")
        return
    start = bound_between(scheme, left[-1][0], run.keys[0]) if left else b""
    if proof.start != start:
        raise IncompleteRangeError(proof.start, f"begins where the trie does not branch; expected 0x{start.hex()}")
    if not right:
        if proof.end is not None:
            raise IncompleteRangeError(proof.end, "ends before the last key, and nothing follows")
        return
    # The bound is the position of the first node behind it. A node deeper than where it parts from the last leaf has
    # its siblings behind it too: the same subtree, opened, which would be a second form of one proof.
    position, _, _, depth = right[0]
    if proof.end != position or depth != scheme.path.parting(run.keys[-1], position) + 1:
        raise IncompleteRangeError(position, "ends where the trie does not branch")


def _wire(scheme: Scheme, item: Item) -> ProofNode:
    key, payload, kind, depth = item
    if kind == VALUE:
        return ProofNode(scheme.path.digits(key), VALUE_SLOT, payload)
    return ProofNode(depth - 1, scheme.path.digit(key, depth - 1), payload)


def _nodes(untrusted: list[object]) -> tuple[ProofNode, ...]:
    nodes = []
    for node in untrusted:
        match node:
            case [int(depth), int(slot), bytes(ref)] if not (isinstance(depth, bool) or isinstance(slot, bool)):
                nodes.append(ProofNode(depth, slot, ref))
            case _:
                raise MalformedProofError("a proof node is [depth, slot, reference]")
    return tuple(nodes)
