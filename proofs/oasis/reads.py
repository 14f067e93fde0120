"""The three reads that answer with proofs: SyncGet, SyncIterate, SyncGetPrefixes.

A proof is judged by its root hash alone, yet which nodes it holds is part of the protocol: a caller that
knows a subtree asks for no more than it lacks, and two honest nodes give equal bytes. So the walks below
follow the reference step by step, also where they look at more than they need. Source: oasis-core
`go/storage/mkvs/{lookup,iterator,prefetch}` and `syncer/proof`.
"""

from __future__ import annotations

from collections.abc import Iterator

from proofs.errors import MalformedProofError, ProofError
from proofs.oasis.messages import EMPTY_HASH, MESSAGE_BYTES_MAX, GetPrefixesRequest, GetRequest, IterateRequest, Proof
from proofs.oasis.node import NO_LEAF, encode_branch, encode_leaf, label
from proofs.oasis.proof import VERSION_MAX
from proofs.oasis.tree import Branch, Leaf, Node, Opened, Tree
from proofs.schemes.mkvs import MKVS

_BEFORE, _AT, _LEFT, _AFTER = range(4)
_path = MKVS().path


class ReadTooLargeError(ProofError):
    """An answer would be larger than any message: ask for less at once."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        super().__init__(f"the proof would have more than {bytes_max} bytes")


class ProofBuilder:
    """The set of nodes that a proof includes, by hash.

    `size` is the running figure that the chunkers of the reference go by: one byte and the encoding of each
    included node; in version 0 an embedded leaf that is included for itself counts again.
    """

    def __init__(self, tree: Tree, version: int, position: bytes | None = None) -> None:
        if not 0 <= version <= VERSION_MAX:
            raise MalformedProofError(f"proof version {version}, known: up to {VERSION_MAX}")
        self._tree = tree
        self._version = version
        self._position = tree.root_hash if position is None else position
        self._included: dict[bytes, Opened] = {}
        self.size = 0

    def include(self, node: Node | None) -> Opened | None:
        """Add a node (None: no child) and give it back opened.

        Raises:
            ReadTooLargeError: what is included would not fit into a message.
        """
        if node is None:
            return None
        opened = self._included.get(node.hash)
        if opened is None:
            opened = self._included[node.hash] = self._tree.open(node)
            self.size += 1 + len(self._encode(opened))
            if self.size > MESSAGE_BYTES_MAX:
                raise ReadTooLargeError(MESSAGE_BYTES_MAX)
        return opened

    def build(self) -> Proof:
        """The proof of everything included, from the caller's position where that was reached."""
        start: Node | None = self._included.get(self._position, self._tree.root)
        entries: list[bytes | None] = []
        pending = [start]
        while pending:
            node = pending.pop()
            if node is None:
                entries.append(None)
            elif node.hash not in self._included:
                entries.append(b"\2" + node.hash)
            else:
                opened = self._included[node.hash]
                entries.append(b"\1" + self._encode(opened))
                if isinstance(opened, Branch):
                    pending += opened.right, opened.left
                    if self._version:
                        pending.append(opened.leaf)
        return Proof(self._version, tuple(entries), start.hash if start else EMPTY_HASH)

    def _encode(self, node: Opened) -> bytes:
        if isinstance(node, Leaf):
            return encode_leaf(node.key, node.value)
        embedded = NO_LEAF if self._version or node.leaf is None else encode_leaf(node.leaf.key, node.leaf.value)
        return encode_branch(node.end - node.start, label(node.key, node.start, node.end), embedded)


def sync_get(tree: Tree, request: GetRequest) -> Proof:
    """The path of one key, present or not. Labels are not compared on the way: a mismatch shows at the leaf.

    Raises:
        MalformedProofError: a proof version that does not exist.
    """
    builder = ProofBuilder(tree, request.proof_version, request.tree.position)
    key, siblings = request.key, request.include_siblings
    bits = len(key) * 8
    node = builder.include(tree.root)
    while isinstance(node, Branch):
        if bits == node.end:
            if siblings:
                builder.include(node.left)
                builder.include(node.right)
            if request.proof_version:
                builder.include(node.leaf)
            break
        if bits < node.end:
            break
        children = (node.left, node.right)
        side = _path.digit(key, node.end)
        if siblings:
            if request.proof_version:
                builder.include(node.leaf)
            builder.include(children[1 - side])
        node = builder.include(children[side])
    return builder.build()


def sync_iterate(tree: Tree, request: IterateRequest) -> Proof:
    """Seek `key`, then take up to `prefetch` steps; the proof of everything looked at."""
    walk = Walk(tree, ProofBuilder(tree, request.proof_version))
    walk.seek(request.key)
    for _ in range(request.prefetch):
        if walk.current is None:
            break
        walk.next()
    return walk.builder.build()


def sync_get_prefixes(tree: Tree, request: GetPrefixesRequest) -> Proof:
    """All keys under each prefix in turn, at most `limit` of them together."""
    walk = Walk(tree, ProofBuilder(tree, request.proof_version))
    total = 0
    for prefix in request.prefixes:
        walk.seek(prefix)
        while walk.current is not None:
            if total >= request.limit:
                return walk.builder.build()
            if not walk.current.key.startswith(prefix):
                break
            walk.next()
            total += 1
    return walk.builder.build()


class Walk:
    """The reference's iterator: leaves in key order, including every node it looks at.

    `_frames` hold the branches that may have more to give, outermost first, with the phase to go on from.
    """

    def __init__(self, tree: Tree, builder: ProofBuilder) -> None:
        self.builder = builder
        self.current: Leaf | None = None
        self._root = tree.root
        self._frames: list[tuple[Branch, int]] = []

    def seek(self, key: bytes) -> None:
        """Go to the first leaf whose key is at least `key`."""
        self._frames.clear()
        self.current = None
        self._visit(self._root, key, _BEFORE)

    def next(self) -> None:
        """Go to the next leaf; at the end `current` is None."""
        key = self.current.key if self.current else b""
        self.current = None
        while self._frames and self.current is None:
            branch, phase = self._frames.pop()
            self._visit(branch, key, phase)

    def _visit(self, node: Node | None, key: bytes, phase: int) -> None:
        """Depth first below `node`, until a leaf at or after the (moving) key is found."""
        path: list[tuple[Branch, Iterator[tuple[Node | None, bytes, int]]]] = []
        phases: list[int] = []
        while True:
            opened = self.builder.include(node)
            if isinstance(opened, Leaf) and opened.key >= key:
                self.current = opened
                self._frames += [(branch, after) for (branch, _), after in zip(path, phases, strict=True)]
                return
            if isinstance(opened, Branch):
                path.append((opened, _candidates(opened, key, phase)))
                phases.append(phase)
            step = None
            while path and (step := next(path[-1][1], None)) is None:
                path.pop()
                phases.pop()
            if step is None:
                return
            node, key, phases[-1] = step
            phase = _BEFORE


def _candidates(branch: Branch, key: bytes, phase: int) -> Iterator[tuple[Node | None, bytes, int]]:
    """Children to try in turn: (child, key to look for in it, phase to go on from when it had one)."""
    end = branch.end
    bits = len(key) * 8
    first = bits >= end and key < _path.bound(branch.key, end)
    short = bits <= end
    if phase == _BEFORE and (short or first):
        yield branch.leaf, key, _AT
    if phase <= _AT:
        if short:
            key = key.ljust((end + 8) // 8, b"\0")
        if first or not _path.digit(key, end):
            yield branch.left, key, _LEFT
            key = _path.child(key, end, 1)
        yield branch.right, key, _AFTER
    elif phase == _LEFT:
        yield branch.right, _path.child(key, end, 1), _AFTER
