"""Stopping: the first signal asks, the second one does not."""

import asyncio
import os
import signal

import pytest

from sidecar.stop import Stop, run_until_stopped


def test_the_first_signal_ends_it_gracefully() -> None:
    async def daemon(stop: Stop) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 10)

    assert run_until_stopped(daemon) == signal.SIGTERM


def test_one_that_ends_by_itself() -> None:
    async def daemon(stop: Stop) -> None:
        pass

    assert run_until_stopped(daemon) is None


async def test_the_second_signal_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    stop = Stop()
    stop.ask(signal.SIGTERM)
    assert codes == []
    stop.ask(signal.SIGINT)
    assert codes == [130]
