"""The daemon's decisions, in one process over a source that the test writes: what is due, skipped, failed, fatal."""

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from flatdb import WriteLog
from flatdb.errors import HeightConflictError, HeightGapError
from sidecar.config import Config, load_config
from sidecar.cutter import StoppableView, open_mirror
from sidecar.daemon import Daemon
from sidecar.errors import (
    CheckpointStoppedError,
    GateTimeoutError,
    SourceChangedError,
    SourceGapError,
    SourceUnavailableError,
)
from sidecar.log import open_log
from sidecar.stop import Stop
from sync.errors import CheckpointMismatchError, StoreAccessError
from tests.e2e.cli import make_chain

CHAIN = make_chain(12, leaf_count=10)
TIMEOUT_S = 30.0

CONFIG = """
[mirror]
path = "{folder}/mirror"
scheme = "mkvs"
[source]
path = "{folder}/unused.ndjson"
[checkpoint]
store = "{folder}/store"
every_heights = 4
[serve]
listen = "127.0.0.1:0"
[ready]
free_bytes_min = 0
"""

Event = WriteLog | Exception


class ScriptedSource:
    """Gives and raises what the test says, then asks the daemon to stop."""

    name = "script"
    backlog_bytes = 0

    def __init__(self, events: list[Event], at_end: Callable[[], bool]) -> None:
        self.latest_height: int | None = None
        self.asked: list[int | None] = []
        self._events = events
        self._at_end = at_end
        self.stop: Stop | None = None

    async def follow(self, after: int | None) -> AsyncIterator[WriteLog]:
        self.asked.append(after)
        while self._events:
            event = self._events.pop(0)
            if isinstance(event, Exception):
                raise event
            self.latest_height = event.height
            yield event
        while not self._at_end():  # noqa: ASYNC110  (the log is what it waits for, and that has no event)
            await asyncio.sleep(0.001)
        assert self.stop is not None
        self.stop.ask(15)
        await asyncio.Event().wait()


class Run:
    """One run of a daemon to its end."""

    def __init__(self, folder: Path, events: list[Event], at_end: Callable[[], bool] = lambda: True) -> None:
        (folder / "sidecar.toml").write_text(CONFIG.format(folder=folder))
        self.config: Config = load_config(folder / "sidecar.toml")
        self.lines = io.StringIO()
        self.source = ScriptedSource(events, at_end)
        self.mirror = open_mirror(self.config.mirror)
        self.daemon = Daemon(
            self.config, self.mirror, self.source, open_log(style="json", level="debug", stream=self.lines)
        )

    async def to_end(self) -> list[str]:
        """Run; the events of the log."""
        self.source.stop = Stop()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self.daemon.run(self.source.stop, lambda _: None)
        finally:
            self.height = None if self.mirror.head is None else self.mirror.head.height
            self.mirror.close()
        return [json.loads(line)["event"] for line in self.lines.getvalue().splitlines()]

    def said(self, event: str) -> bool:
        return f'"event": "{event}"' in self.lines.getvalue()


async def test_checkpoints_at_multiples_only(tmp_path: Path) -> None:
    run = Run(tmp_path, [*CHAIN[:9]], at_end=lambda: run.said("checkpoint_published"))
    events = await run.to_end()
    assert run.height == 9
    assert events.count("checkpoint_published") + events.count("checkpoint_skipped") == 2
    assert events[-1] == "stopped"


async def test_a_mirror_looks_back(tmp_path: Path) -> None:
    """A second run knows the height and the checkpoint of the first, and asks the source for what follows."""
    first = Run(tmp_path, [*CHAIN[:4]], at_end=lambda: first.said("checkpoint_published"))
    await first.to_end()
    second = Run(tmp_path, [*CHAIN[4:6]])
    await second.to_end()
    assert second.source.asked == [4]
    assert second.daemon._health.checkpoint_height == 4
    assert second.daemon._health.checkpoint_time is not None


async def test_sources_that_fail_are_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.daemon.RETRY_S", (0.001, 0.002))
    unavailable = SourceUnavailableError("script", "gone")
    run = Run(
        tmp_path,
        [unavailable, unavailable, CHAIN[0], SourceChangedError("script", 5, "rewritten"), CHAIN[1]],
    )
    events = await run.to_end()
    assert run.height == 2
    assert run.source.asked == [None, None, None, 1]
    assert events.count("source_unavailable") == 1, "the same reason is told once"
    assert events.count("source_changed") == 1


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ([CHAIN[0], CHAIN[3]], SourceGapError),
        ([CHAIN[0], replace(CHAIN[1], parent_root=bytes(32))], HeightGapError),
        ([CHAIN[0], replace(CHAIN[0], root=bytes(32))], HeightConflictError),
    ],
)
async def test_what_cannot_follow_ends_it(tmp_path: Path, events: list[Event], error: type[Exception]) -> None:
    run = Run(tmp_path, events)
    with pytest.raises(error):
        await run.to_end()
    assert run.height == 1


async def test_a_checkpoint_that_finds_a_wrong_root_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without verification the fault is found when the checkpoint is cut, and then nothing goes on."""
    monkeypatch.setattr("sidecar.daemon.WATCH_S", 0.001)
    run = Run(tmp_path, [*CHAIN[:3], replace(CHAIN[3], root=bytes(32))], at_end=lambda: False)
    with pytest.raises(CheckpointMismatchError):
        await run.to_end()
    assert run.said("checkpoint_failed")


async def test_heights_without_a_root_get_no_checkpoint(tmp_path: Path) -> None:
    run = Run(tmp_path, [*CHAIN[:3], replace(CHAIN[3], root=None)])
    events = await run.to_end()
    assert events.count("checkpoint_skipped") == 1
    assert run.height == 4


async def test_a_store_that_refuses_is_told_and_work_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path, [*CHAIN[:6]], at_end=lambda: run.said("checkpoint_failed"))

    def refuse(*_: object) -> None:
        raise StoreAccessError(tmp_path / "store", "no space")

    run.daemon._cutter.cut = refuse  # type: ignore[method-assign, assignment]
    await run.to_end()
    assert run.height == 6
    assert "no space" in run.daemon._health.checkpoint_error


async def test_a_freeze_that_fails_is_told_and_work_goes_on(tmp_path: Path) -> None:

    run = Run(tmp_path, [*CHAIN[:6]], at_end=lambda: run.said("checkpoint_failed"))

    def refuse() -> None:
        raise GateTimeoutError(1.0)

    run.daemon._cutter.freeze = refuse  # type: ignore[method-assign, assignment]
    await run.to_end()
    assert run.height == 6


async def test_a_checkpoint_that_is_there_already_counts(tmp_path: Path) -> None:
    """The process ended behind the publication: the same height is cut again, and found."""
    first = Run(tmp_path, [*CHAIN[:4]], at_end=lambda: first.said("checkpoint_published"))
    await first.to_end()
    again = tmp_path / "again"
    again.mkdir()
    (tmp_path / "store").rename(again / "store")
    second = Run(again, [*CHAIN[:4]], at_end=lambda: second.said("checkpoint_published"))
    events = await second.to_end()
    assert events.count("checkpoint_failed") == 0


async def test_stopping_gives_a_checkpoint_up(tmp_path: Path) -> None:
    run = Run(tmp_path, [*CHAIN[:4]])
    run.daemon._stopping.set()
    events = await run.to_end()
    assert "checkpoint_published" not in events
    assert events[-1] == "stopped"
    assert not list((tmp_path / "store").glob("manifests/*"))


def test_a_stoppable_view_reads_as_the_view_does() -> None:

    stopping = threading.Event()
    held = SimpleNamespace(
        head=None, items=lambda: iter([(b"a", b"1")] * 3), keys=lambda: iter([b"a"] * 3), blob=lambda digest: digest
    )
    view = StoppableView(cast("object", held), stopping)  # type: ignore[arg-type]
    assert len(list(view.items())) == len(list(view.keys())) == 3
    assert view.blob(b"x") == b"x"
    assert view.head is None
    stopping.set()
    for reading in (view.items, view.keys):
        with pytest.raises(CheckpointStoppedError):
            list(reading())
