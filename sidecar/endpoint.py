"""The endpoint by itself: a checkpoint store served without a mirror being followed (`leafmirror serve`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from flatdb import Preset
from sidecar.log import EventLog
from sidecar.metrics import Metrics
from sidecar.observer import Observer
from sidecar.stop import Stop, run_until_stopped
from sync.checkpoint_store import CheckpointStore
from sync.mirror import Mirror
from sync.server import make_app, serving

__all__ = ["run_endpoint"]


def run_endpoint(
    store: CheckpointStore,
    mirror_path: Path | None,
    host: str,
    port: int,
    *,
    log: EventLog,
    listening: Callable[[str], None],
) -> int | None:
    """Serve until SIGTERM or SIGINT; the signal. `listening` is told the URL once it answers.

    A mirror is opened read-only: its write logs are served up to the height that it has now.

    Raises:
        OSError: the address cannot be listened on.
        FlatDBError, UnknownSchemeError: the mirror cannot be opened.
    """

    async def serve(stop: Stop) -> None:
        metrics = Metrics()
        with ExitStack() as stack:
            mirror = None
            if mirror_path is not None:
                opened = await asyncio.to_thread(Mirror.open, mirror_path, read_only=True, preset=Preset.SERVE)
                mirror = stack.enter_context(opened)
            app = make_app(
                store,
                mirror=mirror,
                monitor=Observer(metrics, log),
                metrics=lambda: (metrics.encode(), metrics.content_type),
            )
            async with serving(app, host, port) as url:
                listening(url)
                await stop.wait()
                log.info("stopping", signal=stop.signal)

    return run_until_stopped(serve)
