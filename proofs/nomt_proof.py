"""NOMT's own proofs: one path, or many paths with shared siblings (nomt-core 1.0, borsh).

Reading: what a proof shows is opened into items. A sibling becomes a STEM at its position, a terminal leaf becomes a
leaf known by the hash of its value, a terminator becomes nothing; the fold of all of them must give the trusted root.
Then everything that lies under no sibling is known: a leaf that was shown, or proven absent.
Writing: a recording scheme keeps what the fold of a state hashes beside the wanted path.

Canonical or refused: a terminator is nothing that a leaf or another terminator stands beside, and a leaf stands as high
as its key is unique. Bits behind the depth of a terminator's position are free in NOMT, and ignored here.
Source: nomt-core `proof::{path_proof, multi_proof}`, `trie_pos`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from proofs.errors import MalformedProofError, RootMismatchError
from proofs.fold import LEAF, STEM, Item, fold, frontier_root
from proofs.path import BitPath
from proofs.scheme import HashedValue
from proofs.schemes.nomt import KEY_BYTES, NODE_BYTES, NOMT, TERMINATOR

DEPTH_MAX = KEY_BYTES * 8
_PATH = BitPath()
_PAGE_DEPTH = 6
_PATH_BYTES_MIN = 1 + KEY_BYTES + 2 + 8 + 8
"""A terminator and its depth; a leaf is longer."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a path ends: at a leaf (`value_hash` given) or at nothing; `key` begins with its position."""

    key: bytes
    value_hash: bytes | None


@dataclass(frozen=True, slots=True)
class PathProof:
    """A terminal and the nodes beside its path, the root's children first."""

    terminal: Terminal
    siblings: tuple[bytes, ...]

    def encode(self) -> bytes:
        """NOMT's borsh bytes."""
        return _encode_terminal(self.terminal, len(self.siblings)) + _encode_nodes(self.siblings)

    @classmethod
    def decode(cls, data: bytes) -> PathProof:
        """Read NOMT's borsh bytes.

        Raises:
            MalformedProofError
        """
        read = _Reader(data)
        terminal, position_depth = read.terminal()
        proof = cls(terminal, read.nodes())
        if position_depth not in (None, len(proof.siblings)):
            raise MalformedProofError("a terminator's depth is the number of its siblings")
        read.finish()
        return proof


@dataclass(frozen=True, slots=True)
class MultiProof:
    """Paths in key order as (terminal, depth), and siblings: common ones, then the left half's, then the right's."""

    paths: tuple[tuple[Terminal, int], ...]
    siblings: tuple[bytes, ...]

    def encode(self) -> bytes:
        """NOMT's borsh bytes."""
        paths = b"".join(
            _encode_terminal(terminal, depth) + depth.to_bytes(8, "little") for terminal, depth in self.paths
        )
        return len(self.paths).to_bytes(4, "little") + paths + _encode_nodes(self.siblings)

    @classmethod
    def decode(cls, data: bytes) -> MultiProof:
        """Read NOMT's borsh bytes.

        Raises:
            MalformedProofError
        """
        read = _Reader(data)
        paths = []
        for _ in range(read.count(_PATH_BYTES_MIN)):
            terminal, position_depth = read.terminal()
            depth = read.integer(8)
            if position_depth not in (None, depth):
                raise MalformedProofError("a path's depth is that of its terminal")
            paths.append((terminal, depth))
        proof = cls(tuple(paths), read.nodes())
        read.finish()
        return proof

    @classmethod
    def join(cls, proofs: Sequence[PathProof]) -> MultiProof:
        """The same paths with every shared or computable sibling left out.

        Precondition: the proofs are of one root, their terminals in key order and all different.
        """
        siblings: list[bytes] = []
        for group, start, end in _groups([(proof.terminal.key, len(proof.siblings)) for proof in proofs]):
            siblings.extend(proofs[group.start].siblings[start:end])
        return cls(tuple((proof.terminal, len(proof.siblings)) for proof in proofs), tuple(siblings))


class VerifiedPaths:
    """What paths to a trusted root show. Only `verify_path` and `verify_paths` make one."""

    __slots__ = ("_leaves", "_stems", "root_hash", "scheme")

    def __init__(self, scheme: NOMT, root_hash: bytes, items: Sequence[Item], *, _verifier: object) -> None:
        if _verifier is not _VERIFIER:
            raise TypeError("VerifiedPaths come from verify_path and verify_paths only")
        self.scheme = scheme
        self.root_hash = root_hash
        self._leaves = {key: bytes(payload) for key, payload, kind, _ in items if kind == LEAF}
        self._stems = [(key.ljust(KEY_BYTES, b"\0"), depth) for key, _, kind, depth in items if kind == STEM]

    def value_hash(self, key: bytes) -> bytes | None:
        """The hash of the value of `key` (32 bytes), or None where the key is proven absent.

        Raises:
            KeyError: the key lies under a sibling, of which nothing is known.
        """
        index = bisect_right(self._stems, (key, DEPTH_MAX)) - 1
        if len(key) != KEY_BYTES or (index >= 0 and _holds(*self._stems[index], key)):
            raise KeyError(key)
        return self._leaves.get(key)

    def holds(self, key: bytes, value: bytes) -> bool:
        """Whether the state has exactly this leaf.

        Raises:
            KeyError: as `value_hash`.
        """
        return self.value_hash(key) == self.scheme.digest(value)


def _holds(position: bytes, depth: int, key: bytes) -> bool:
    return _PATH.parting(position, key) >= depth


_VERIFIER = object()


def verify_path(scheme: NOMT, root_hash: bytes, proof: PathProof) -> VerifiedPaths:
    """Judge one path against a trusted root.

    Raises:
        MalformedProofError: a proof that no NOMT database gives.
        RootMismatchError: another root.
    """
    return verify_paths(scheme, root_hash, MultiProof(((proof.terminal, len(proof.siblings)),), proof.siblings))


def verify_paths(scheme: NOMT, root_hash: bytes, proof: MultiProof) -> VerifiedPaths:
    """Judge many paths against a trusted root.

    Raises:
        MalformedProofError: a proof that no NOMT database gives.
        RootMismatchError: another root.
    """
    items = sorted(_open(proof))
    computed = frontier_root(scheme, fold(scheme, items))
    if computed != root_hash:
        raise RootMismatchError(root_hash, computed)
    return VerifiedPaths(scheme, root_hash, items, _verifier=_VERIFIER)


def prove_path(scheme: NOMT, items: Iterable[Item], key: bytes) -> PathProof:
    """The path of `key`, present or not, from items that cover the whole state and hold the leaves around the key.

    Raises:
        ProofError: items that do not fold.
    """
    recorder = _Recorder(scheme, key)
    frontier_root(recorder, fold(recorder, items))
    siblings = tuple(recorder.siblings[depth] for depth in range(len(recorder.siblings)))
    return PathProof(
        recorder.terminal or Terminal(_PATH.bound(key, len(siblings)).ljust(KEY_BYTES, b"\0"), None), siblings
    )


class _Recorder(NOMT):
    """NOMT, keeping the nodes beside the path of one key, by depth, and the leaf at its end."""

    def __init__(self, scheme: NOMT, target: bytes) -> None:
        super().__init__(scheme.name, scheme.digest)
        self._target = target
        self.siblings: dict[int, bytes] = {}
        self.terminal: Terminal | None = None

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        value_hash = self.hash_of(value)
        if _PATH.parting(key, self._target) >= depth:
            self.terminal = Terminal(key, value_hash)
        return self.leaf_node(key, value_hash)

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        if _PATH.parting(key, self._target) >= depth:
            self.siblings[depth] = slots[1 - _PATH.digit(self._target, depth)] or TERMINATOR
        return super().branch(slots, value, key, start, depth)

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        shared = _PATH.parting(key, self._target)
        for at in range(depth - 1, start - 1, -1):
            if shared >= at:
                self.siblings[at] = TERMINATOR if shared > at else ref
            ref = super().lift(ref, key, at, at + 1)
        return ref


def _open(proof: MultiProof) -> Iterator[Item]:
    """The items that a proof shows, in no order.

    Raises:
        MalformedProofError
    """
    for (a, _), (b, _) in zip(proof.paths, proof.paths[1:], strict=False):
        if a.key >= b.key:
            raise MalformedProofError("paths are not in key order")
    used = 0
    for group, start, end in _groups([(terminal.key, depth) for terminal, depth in proof.paths]):
        terminal, _ = proof.paths[group.start]
        siblings = proof.siblings[used : used + end - start]
        if len(siblings) < end - start:
            raise MalformedProofError("siblings are missing")
        used += end - start
        for at, sibling in enumerate(siblings, start):
            if sibling != TERMINATOR:
                yield _PATH.child(terminal.key, at, 1 - _PATH.digit(terminal.key, at)), sibling, STEM, at + 1
        if len(group) == 1:
            _check_terminal(terminal, siblings)
            if terminal.value_hash is not None:
                yield terminal.key, HashedValue(terminal.value_hash), LEAF, 0
    if used < len(proof.siblings):
        raise MalformedProofError("siblings are left over")


def _check_terminal(terminal: Terminal, siblings: Sequence[bytes]) -> None:
    """The last sibling is what made the path this long."""
    if siblings and (siblings[-1] == TERMINATOR or (terminal.value_hash is None and siblings[-1][0] & 0x80)):
        raise MalformedProofError("a path goes on below the place where it ends")


def _groups(paths: Sequence[tuple[bytes, int]]) -> Iterator[tuple[range, int, int]]:
    """The recursive bisection of a multi-proof: (paths of the group, first depth, end depth) of its common siblings.

    At the end depth of a group of several, the paths part and no sibling is stored. `paths` are (key, depth).

    Raises:
        MalformedProofError: paths that do not part, or end where no path ends.
    """
    pending = [(range(len(paths)), 0)] if paths else []
    while pending:
        group, start = pending.pop()
        key, depth = paths[group.start]
        if len(group) == 1:
            if not start <= depth <= DEPTH_MAX:
                raise MalformedProofError("a path ends above where it parts from its neighbour, or beyond its key")
            yield group, start, depth
            continue
        end = _PATH.parting(key, paths[group.stop - 1][0])
        if end < start or end >= DEPTH_MAX:
            raise MalformedProofError("two paths that do not part")
        yield group, start, end
        middle = next(at for at in group if _PATH.digit(paths[at][0], end))
        pending += [(range(middle, group.stop), end + 1), (range(group.start, middle), end + 1)]


def _encode_terminal(terminal: Terminal, depth: int) -> bytes:
    if terminal.value_hash is not None:
        return b"\0" + terminal.key + terminal.value_hash
    return b"\1" + terminal.key + depth.to_bytes(2, "little") + _node_index(terminal.key, depth).to_bytes(8, "little")


def _encode_nodes(nodes: Sequence[bytes]) -> bytes:
    return len(nodes).to_bytes(4, "little") + b"".join(nodes)


def _node_index(key: bytes, depth: int) -> int:
    """Where the node at `depth` lies in its page of six levels."""
    if not depth:
        return 0
    inside = (depth - 1) % _PAGE_DEPTH + 1
    bits = int.from_bytes(key) >> (DEPTH_MAX - depth) & (1 << inside) - 1
    return (1 << inside) - 2 + bits


class _Reader:
    """A position in borsh bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise MalformedProofError("ends early", self._at)
        self._at += size
        return self._data[self._at - size : self._at]

    def integer(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def count(self, item_bytes_min: int) -> int:
        count = self.integer(4)
        if count * item_bytes_min > len(self._data) - self._at:
            raise MalformedProofError(f"announces {count} items, more than its bytes hold", self._at)
        return count

    def nodes(self) -> tuple[bytes, ...]:
        return tuple(self.take(NODE_BYTES) for _ in range(self.count(NODE_BYTES)))

    def terminal(self) -> tuple[Terminal, int | None]:
        """A terminal, and the depth that a terminator carries."""
        tag = self.integer(1)
        if tag > 1:
            raise MalformedProofError(f"unknown kind of terminal {tag}", self._at)
        key = self.take(KEY_BYTES)
        if not tag:
            return Terminal(key, self.take(NODE_BYTES)), None
        depth, index = self.integer(2), self.integer(8)
        if depth > DEPTH_MAX or index != _node_index(key, depth):
            raise MalformedProofError("a terminator's position is not consistent", self._at)
        return Terminal(key, None), depth

    def finish(self) -> None:
        if self._at != len(self._data):
            raise MalformedProofError("bytes follow the proof", self._at)
