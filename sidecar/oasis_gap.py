"""A write log from proofs: what changed between the leaves at hand and a finalised root.

Production nodes offer no diffs, but they prove reads at any root they keep. A gap is filled by walking: ask for the
first leaf of an interval that is not known to be unchanged; the proof shows that leaf, the path to it and the hashes
beside it; every subtree whose hash is ours at the same place is unchanged and never asked for. So a change costs
about one answer, and nothing is believed that does not fold to the finalised root.

Does no I/O: `request` says what to ask next, `accept` takes the answer. The local trie is a spine over the mirror's
leaves, folded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flatdb import WriteLog
from proofs import MalformedProofError
from proofs.fold import NODE, Item
from proofs.oasis.messages import EMPTY_HASH, IterateRequest, OasisRoot, Proof, TreeID
from proofs.oasis.proof import DEPTH_MAX, interval, verify
from proofs.oasis.tree import Branch, Node, Pair, Tree
from proofs.schemes.mkvs import MKVS
from sync.coverage import Coverage, KeyRange

Scan = Callable[[bytes, bytes | None], Iterable[Pair]]
"""(start, end) -> the mirror's leaves in [start, end), in key order."""

PREFETCH = 15
"""Leaves asked for beyond the first: neighbours of a change have often changed too."""

_path = MKVS().path


class GapFill:
    """One write log under construction, from the local leaves to `root`."""

    def __init__(self, root: OasisRoot, local: Tree, scan: Scan, *, depth_max: int = DEPTH_MAX) -> None:
        self.root = root
        self._local = local
        self._scan = scan
        self._depth_max = depth_max
        self._known = Coverage()
        self._writes: dict[bytes, bytes | None] = {}
        if root.hash == local.root_hash:
            self._known.add(b"", None)
        elif root.hash == EMPTY_HASH:
            self._compare(b"", None, ())

    @property
    def done(self) -> bool:
        return self._known.whole

    def request(self) -> IterateRequest:
        """What to ask the node next. Precondition: not done."""
        return IterateRequest(TreeID(self.root, self.root.hash), self._gap()[0], PREFETCH)

    def accept(self, untrusted: Proof) -> None:
        """Learn from an answer.

        Raises:
            ProofError: it does not prove anything about the root, or does not answer the request.
        """
        asked_for = self._gap()[0]
        verified = verify(self.root.hash, untrusted, depth_max=self._depth_max)
        at: bytes | None = b""
        shown: list[Pair] = []
        for item in verified.items:
            if item[2] == NODE:
                assert at is not None  # an interval without end is the last
                low, high = interval(item)
                self._compare(at, low, shown)
                if self._unchanged(item):
                    self._known.add(low, high)
                at, shown = high, []
            else:
                shown.append((item[0], item[1]))
        if at is not None:
            self._compare(at, None, shown)
        if not self.done and self._gap()[0] <= asked_for:
            raise MalformedProofError("the proof does not show what was asked for")

    def write_log(self, parent_root: bytes | None) -> WriteLog:
        """The result. Precondition: done."""
        return WriteLog(
            height=self.root.version,
            parent_root=parent_root,
            root=self.root.hash,
            writes=tuple(sorted(self._writes.items())),
        )

    def _gap(self) -> KeyRange:
        """The first interval of which nothing is known."""
        ranges = self._known.ranges()
        if not ranges or ranges[0][0]:
            return b"", ranges[0][0] if ranges else None
        end = ranges[0][1]
        assert end is not None
        return end, ranges[1][0] if len(ranges) > 1 else None

    def _compare(self, start: bytes, end: bytes | None, shown: Iterable[Pair]) -> None:
        """Note what differs in an interval whose leaves at the root are all shown."""
        if end is not None and (start >= end or self._known.covers(start, end)):
            return
        there, here = dict(shown), dict(self._scan(start, end))
        for key in there.keys() | here.keys():
            if there.get(key) != here.get(key):
                self._writes[key] = there.get(key)
        self._known.add(start, end)

    def _unchanged(self, item: Item) -> bool:
        """Whether our subtree at the same place has the same hash."""
        key, digest, _, depth = item
        node: Node | None = self._local.root
        while node is not None:
            opened = self._local.open(node)
            if not isinstance(opened, Branch) or opened.start >= depth - 1:
                return opened.hash == digest  # equal hashes are equal leaves, wherever they hang
            if opened.end > depth - 1 or _path.parting(opened.key, key) < opened.end:
                return False
            node = opened.right if _path.digit(key, opened.end) else opened.left
        return False
