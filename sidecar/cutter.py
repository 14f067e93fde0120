"""The cutter: freezes the mirror under the gate, and turns a frozen height into a published checkpoint.

Plain and blocking. `freeze`, and closing what it gave, belong to the thread that owns the mirror; the rest to one other
thread. Which height is frozen, and when, is the daemon's decision.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from flatdb import FrozenView, HeightRecord
from flatdb.errors import DatabaseNotFoundError
from sidecar.catalog import published_s, record_checkpoint
from sidecar.config import Config, MirrorConfig
from sidecar.errors import CheckpointStoppedError, ConfigError
from sidecar.gate import Gate
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.errors import CheckpointExistsError
from sync.manifest import Cut
from sync.mirror import Mirror
from sync.monitor import Monitor
from sync.root import Root

__all__ = ["Cutter", "Frozen", "StoppableView", "open_mirror"]

STOP_CHECK_LEAVES = 4096


def open_mirror(config: MirrorConfig) -> Mirror:
    """The mirror of this configuration, made if there is none.

    Raises:
        ConfigError: another chain's mirror is there.
        FlatDBError: as `Mirror.open` and `Mirror.create`.
    """
    namespace = bytes.fromhex(config.namespace)
    try:
        mirror = Mirror.open(config.path)
    except DatabaseNotFoundError:
        return Mirror.create(config.path, scheme=config.scheme, kind=config.kind, namespace=namespace)
    found, wanted = mirror.db.identity, (config.scheme, config.kind, namespace)
    if (found.scheme, found.kind, found.namespace) != wanted:
        mirror.close()
        held = f"{found.scheme} {found.kind} {found.namespace.hex()}".rstrip()
        raise ConfigError("mirror.scheme", f"the mirror at {config.path} holds {held}")
    return mirror


@dataclass(frozen=True, slots=True)
class Frozen:
    """The leaves of one height, held, and the root that they must fold to."""

    view: FrozenView
    root: Root


class Cutter:
    """Freezes and cuts, one checkpoint at a time."""

    def __init__(
        self,
        mirror: Mirror,
        store: CheckpointStore,
        config: Config,
        gate: Gate,
        monitor: Monitor,
        stopping: threading.Event,
    ) -> None:
        self._mirror = mirror
        self._store = store
        self._config = config
        self._gate = gate
        self._monitor = monitor
        self._stopping = stopping

    def freeze(self) -> Frozen:
        """Hold the leaves as they are now. Precondition: a root was claimed for this height.

        Raises:
            GateTimeoutError, DatabaseAccessError
        """
        # Written to disk first: the gate then waits for no more than what is written from here on.
        self._mirror.flush()
        with self._gate.closed(timeout_s=self._config.checkpoint.gate_timeout_s):
            root = self._mirror.claimed_root
            assert root is not None
            return Frozen(self._mirror.freeze(), root)

    def cut(self, frozen: Frozen) -> CheckpointInfo:
        """Publish what is frozen, and throw away what is old. The view stays open.

        Raises:
            CheckpointStoppedError: the daemon is stopping.
            SyncError: as `create_checkpoint`.
        """
        info = self._publish(StoppableView(frozen.view, self._stopping), frozen.root)
        self._store.prune(self._config.checkpoint.keep_last)
        return info

    def newest(self) -> tuple[CheckpointInfo, float] | None:
        """The newest checkpoint of this mirror's chain in the store, and when it was published (epoch seconds)."""
        identity = self._mirror.db.identity
        chain = (identity.scheme, identity.kind, identity.namespace)
        infos = [i for i in self._store.list() if (i.root.scheme, i.root.kind, i.root.namespace) == chain]
        newest = max(infos, key=lambda info: info.root.height, default=None)
        return None if newest is None else (newest, published_s(self._store, newest))

    def count(self) -> int:
        """Checkpoints in the store."""
        return len(self._store.digests())

    def _publish(self, view: StoppableView, root: Root) -> CheckpointInfo:
        config = self._config.checkpoint
        cut = Cut(config.cut, config.chunk_leaves)
        try:
            info = create_checkpoint(view, root, self._store, cut=cut, workers=config.workers, monitor=self._monitor)
        except CheckpointExistsError as error:
            # The process ended between publishing it and applying the next height.
            return next(info for info in self._store.find(root) if info.digest == error.digest)
        location = str(config.store)
        record_checkpoint(
            self._config.mirror.path, location, self._store, info, created_s=time.time(), monitor=self._monitor
        )
        return info


class StoppableView:
    """A frozen view that ends every pass when the daemon stops: a checkpoint of a large state takes minutes."""

    def __init__(self, view: FrozenView, stopping: threading.Event) -> None:
        self._view = view
        self._stopping = stopping

    @property
    def head(self) -> HeightRecord | None:
        return self._view.head

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        for index, leaf in enumerate(self._view.items()):
            if not index % STOP_CHECK_LEAVES and self._stopping.is_set():
                raise CheckpointStoppedError
            yield leaf

    def keys(self) -> Iterator[bytes]:
        for index, key in enumerate(self._view.keys()):
            if not index % STOP_CHECK_LEAVES and self._stopping.is_set():
                raise CheckpointStoppedError
            yield key

    def blob(self, digest: bytes) -> bytes | None:
        return self._view.blob(digest)
