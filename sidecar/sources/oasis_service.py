"""The storage service by itself: a mirror's state and a store's checkpoints, as a node would serve them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from flatdb import Preset, WriteLog
from proofs.oasis.messages import OasisRoot
from sidecar.oasis_backend import OasisBackend
from sidecar.oasis_checkpoint import oasis_root
from sidecar.sources.oasis_grpc import OasisServer
from sidecar.stop import Stop, run_until_stopped
from sync.mirror import Mirror
from sync.oasis.store import OasisStore

__all__ = ["mirror_backend", "run_oasis_service"]


def mirror_backend(store: OasisStore, mirror: Mirror | None, stack: ExitStack) -> OasisBackend:
    """Answers of a store and, at the height that it has now, of a mirror: one fold of its leaves.

    Raises:
        ValueError: the mirror is not of an Oasis state, or no root was claimed for its height.
        OasisCallError: its leaves fold to another root.
    """
    if mirror is None:
        return OasisBackend(store)
    claimed = mirror.claimed_root
    if claimed is None:
        raise ValueError("no root was claimed for the mirror's height: there is nothing to prove against")
    root = oasis_root(claimed)

    def find(end: OasisRoot) -> WriteLog | None:
        log = mirror.db.write_log(end.version)
        mine = (end.namespace, end.root_type) == (root.namespace, root.root_type)
        return log if mine and log is not None and log.root == end.hash else None

    backend = OasisBackend(store, find)
    backend.add_state(root, stack.enter_context(mirror.freeze()))
    return backend


def run_oasis_service(
    store: OasisStore,
    mirror_path: Path | None,
    addresses: Sequence[str],
    *,
    listening: Callable[[list[str]], None],
) -> int | None:
    """Serve until SIGTERM or SIGINT; the signal. `listening` is told the addresses once they answer.

    Raises:
        SourceUnavailableError: an address that cannot be had.
        ValueError, FlatDBError, OasisCallError: the mirror cannot be served.
    """

    async def serve(stop: Stop) -> None:
        with ExitStack() as stack:
            mirror = None
            if mirror_path is not None:
                mirror = stack.enter_context(
                    await asyncio.to_thread(Mirror.open, mirror_path, read_only=True, preset=Preset.SERVE)
                )
            server = OasisServer(await asyncio.to_thread(mirror_backend, store, mirror, stack))
            listening(await server.start(*addresses))
            await stop.wait()
            await server.stop()

    return run_until_stopped(serve)
