"""The gate: never a height while it is closed, and nobody waits for ever."""

import threading

import pytest

from sidecar.errors import GateTimeoutError
from sidecar.gate import Gate

TIMEOUT_S = 10.0


def test_nothing_passes_while_closed() -> None:
    """Fails if `height` does not wait for closers: the writer would pass while the gate is shut."""
    gate, passed = Gate(), threading.Event()

    def write() -> None:
        with gate.height():
            passed.set()

    with gate.closed(timeout_s=TIMEOUT_S):
        writer = threading.Thread(target=write)
        writer.start()
        assert gate.is_closed
        assert not passed.wait(0.05)
    assert passed.wait(TIMEOUT_S)
    writer.join()
    assert not gate.is_closed


def test_a_busy_writer_lets_a_closer_in() -> None:
    """Fails if a closer has to win a race against a writer that passes again and again."""
    gate, stop, heights = Gate(), threading.Event(), 0

    def write() -> None:
        nonlocal heights
        while not stop.is_set():
            with gate.height():
                heights += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            with gate.closed(timeout_s=TIMEOUT_S):
                seen = heights
                assert seen == heights
    finally:
        stop.set()
        writer.join()


def test_closers_take_turns() -> None:
    gate, inside, most = Gate(), 0, 0

    def close() -> None:
        nonlocal inside, most
        for _ in range(50):
            with gate.closed(timeout_s=TIMEOUT_S):
                inside += 1
                most = max(most, inside)
                inside -= 1

    closers = [threading.Thread(target=close) for _ in range(4)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()
    assert most == 1


def test_timeout_leaves_the_gate_open() -> None:
    gate = Gate()
    with gate.height(), pytest.raises(GateTimeoutError) as caught, gate.closed(timeout_s=0.01):
        pytest.fail("closed in the middle of a height")
    assert caught.value.timeout_s == 0.01
    with gate.height():
        assert not gate.is_closed


def test_the_pause_is_observed_and_ends_on_errors() -> None:
    pauses: list[float] = []
    gate = Gate(observe_pause_s=pauses.append)
    with pytest.raises(ZeroDivisionError), gate.closed(timeout_s=TIMEOUT_S):
        raise ZeroDivisionError
    assert len(pauses) == 1
    assert pauses[0] >= 0
    with gate.height():
        pass
