"""`checkpoint create --format oasis-1`: from a mirror, and a round's own write log, to a node's checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flatdb import FrozenView, WriteLog, read_write_logs
from flatdb.errors import InvalidWriteLogError
from proofs.oasis.messages import IO, ROOT_TYPES, STATE, Metadata, OasisRoot
from proofs.oasis.tree import Tree, build
from sync.monitor import MONITOR_NONE, Monitor
from sync.oasis.create import Chunking, ReadState, create_round, io_leaves
from sync.oasis.store import OasisStore
from sync.root import Root

__all__ = ["create_oasis_checkpoints", "oasis_root", "read_io_log"]


def oasis_root(root: Root, root_type: int = STATE) -> OasisRoot:
    """A Root of ours as the chain writes it.

    Raises:
        ValueError: the root of another scheme, or a namespace that is not 32 bytes.
    """
    if root.scheme != "mkvs" or len(root.namespace) != 32:
        raise ValueError(f"oasis-1 is a format of mkvs states with a namespace of 32 bytes, not of {root}")
    return OasisRoot(root.namespace, root.height, ROOT_TYPES.get(root.kind, root_type), root.hash)


def read_io_log(path: Path, version: int) -> WriteLog:
    """The one write log in a file, that of round `version`.

    Raises:
        InvalidWriteLogError: none, several, of another round, or with prefix clears, which an I/O tree has not.
        DatabaseAccessError: the file cannot be read.
    """
    logs = list(read_write_logs(path))
    if len(logs) != 1 or logs[0].height != version or logs[0].clear:
        raise InvalidWriteLogError(path.name, f"the I/O tree of round {version} is one write log of that height")
    return logs[0]


def create_oasis_checkpoints(
    store: OasisStore,
    *,
    state: tuple[FrozenView, OasisRoot] | None,
    io: tuple[WriteLog, bytes] | None,
    chunking: Chunking,
    monitor: Monitor = MONITOR_NONE,
) -> Sequence[Metadata]:
    """Make and publish the checkpoints of one round: state, I/O, or both or neither.

    `state`: a frozen view and the finalised root of its leaves. `io`: the round's own I/O write log and namespace; the
    root it claims is checked, and computed where it claims none.

    Raises:
        ValueError: nothing to do, or two rounds.
        CheckpointMismatchError, CheckpointExistsError, StoreAccessError, ProofError: as `create_round`.
    """
    states: list[tuple[ReadState, OasisRoot]] = []
    if io is not None:
        log, namespace = io
        leaves = io_leaves(log.writes)
        root = log.root if log.root is not None else Tree(build(leaves)).root_hash
        states.append((lambda: leaves, OasisRoot(namespace, log.height, IO, root)))
    if state is not None:
        view, state_root = state
        states.append((view.items, state_root))
    return create_round(states, store, chunking=chunking, monitor=monitor)
