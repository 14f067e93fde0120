"""What our copy of the node's storage service answers: proofs from the mirror, checkpoints from the store.

Decides what is known and what is not; how calls arrive is `sources.oasis_grpc`. Proofs are given at the roots whose
spine was added; a spine costs one fold of the leaves and some 400 bytes for each 64 of them. Threads may read at once;
they take turns.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from flatdb import FrozenView, WriteLog
from proofs.errors import MalformedProofError
from proofs.oasis.messages import (
    ChunkMetadata,
    GetCheckpointsRequest,
    GetDiffRequest,
    GetPrefixesRequest,
    GetRequest,
    IterateRequest,
    LogEntry,
    Metadata,
    OasisRoot,
    Proof,
)
from proofs.oasis.reads import ReadTooLargeError, sync_get, sync_get_prefixes, sync_iterate
from proofs.oasis.tree import Pair, Tree, build
from sidecar.oasis_status import (
    CHUNK_NOT_FOUND,
    LIMIT_REACHED,
    MUST_FOLLOW,
    ROOT_NOT_FOUND,
    UNSUPPORTED,
    WRITE_LOG_NOT_FOUND,
    OasisCallError,
)
from sync.errors import CheckpointNotFoundError
from sync.oasis.store import OasisStore

STUB_LEAVES: Final = 128
"""Leaves of the subtrees that a spine folds away: a read opens one or two of them."""
TREES_KEPT: Final = 4
PREFIXES_MAX: Final = 4096
"""Prefixes of one request: each is a walk of its own."""
R = TypeVar("R")

FindWriteLog = Callable[[OasisRoot], WriteLog | None]
"""The write log that ends in a root, if it is kept."""


class OasisBackend:
    """Answers of one mirror and one checkpoint store."""

    def __init__(self, store: OasisStore, find_write_log: FindWriteLog = lambda _root: None) -> None:
        self._store = store
        self._find_write_log = find_write_log
        self._trees: OrderedDict[OasisRoot, Tree] = OrderedDict()
        self._lock = threading.Lock()

    def add_state(self, root: OasisRoot, view: FrozenView) -> None:
        """Answer reads at `root` from `view`, which stays open as long as this does. The oldest makes room.

        Raises:
            OasisCallError: the leaves fold to another root.
        """

        def read(first: bytes, count: int) -> Iterable[Pair]:
            return (pair for pair, _ in zip(view.items(first), range(count), strict=False))

        self.add_tree(root, Tree(build(view.items(), stub_leaves=STUB_LEAVES), read))

    def add_tree(self, root: OasisRoot, tree: Tree) -> None:
        """The same from a tree at hand."""
        if tree.root_hash != root.hash:
            raise OasisCallError("mirror", ROOT_NOT_FOUND, f"the leaves fold to {tree.root_hash.hex()}")
        with self._lock:
            self._trees[root] = tree
            while len(self._trees) > TREES_KEPT:
                self._trees.popitem(last=False)

    def sync_get(self, request: GetRequest) -> Proof:
        return self._prove(sync_get, request.tree.root, request)

    def sync_get_prefixes(self, request: GetPrefixesRequest) -> Proof:
        if len(request.prefixes) > PREFIXES_MAX:
            raise OasisCallError("mirror", LIMIT_REACHED, f"at most {PREFIXES_MAX} prefixes at once")
        return self._prove(sync_get_prefixes, request.tree.root, request)

    def sync_iterate(self, request: IterateRequest) -> Proof:
        return self._prove(sync_iterate, request.tree.root, request)

    def get_diff(self, request: GetDiffRequest) -> list[LogEntry]:
        """All entries from one root to the next, in key order; offset and limit are the caller's.

        Raises:
            OasisCallError: roots that do not follow each other, or a log that is not kept.
        """
        start, end = request.start_root, request.end_root
        if not end.follows(start):
            raise OasisCallError("mirror", MUST_FOLLOW, "the end root does not follow the start root")
        if start.hash == end.hash:
            return []
        log = self._find_write_log(end)
        if log is None or log.parent_root not in (None, start.hash) or log.clear:
            raise OasisCallError("mirror", WRITE_LOG_NOT_FOUND, f"no write log of version {end.version}")
        return list(log.writes)

    def get_checkpoints(self, request: GetCheckpointsRequest) -> list[Metadata]:
        """As a node: checkpoints of another version than 1 do not exist. Unlike a node: of this namespace only."""
        if request.version != 1:
            return []
        listed = self._store.list(request.root_version)
        return [metadata for metadata in listed if metadata.root.namespace == request.namespace]

    def get_checkpoint_chunk(self, request: ChunkMetadata) -> bytes:
        """A chunk's file.

        Raises:
            OasisCallError: it is not here, or here with another digest.
        """
        try:
            return self._store.chunk(request)
        except CheckpointNotFoundError as error:
            raise OasisCallError("store", CHUNK_NOT_FOUND, str(error)) from error

    def _prove(self, read: Callable[[Tree, R], Proof], root: OasisRoot, request: R) -> Proof:
        """An answer, one at a time: a tree keeps what it has opened."""
        with self._lock:
            tree = self._trees.get(root)
            if tree is None:
                raise OasisCallError("mirror", ROOT_NOT_FOUND, f"no reads at version {root.version}")
            try:
                return read(tree, request)
            except MalformedProofError as error:
                raise OasisCallError("mirror", UNSUPPORTED, error.reason) from error
            except ReadTooLargeError as error:
                raise OasisCallError("mirror", LIMIT_REACHED, str(error)) from error
