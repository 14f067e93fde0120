"""Workers: results in key order whatever they are, bounded work ahead, and nobody left behind by a failure."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from proofs import Frontier, get_kernel, get_scheme, leaf_run
from sync.cut import CutRun, cut_runs
from sync.errors import InvalidStateError, WorkerLostError
from sync.fold_pool import default_workers, folded_runs
from sync.manifest import Cut
from tests.sync.states import MemoryView, state_of
from tests.sync.test_checkpoint import ThreadedKernel


def test_results_come_in_key_order_and_alike() -> None:
    view, scheme = state_of("mkvs"), get_scheme("mkvs")
    made = [
        list(folded_runs(cut_runs(view, scheme, Cut("range", 64)), "mkvs", level=1, kernel=kernel, workers=workers))
        for kernel, workers in [(get_kernel("reference"), 1), (get_kernel("reference"), 2), (ThreadedKernel(), 3)]
    ]
    assert made[0] == made[1] == made[2]
    assert [folded.first for folded in made[0]] == sorted(view.state)[::64]


def test_threads_are_the_default_and_processes_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if processes are started that nobody asked for, or more threads than there are cores."""
    assert default_workers(get_kernel("reference")) == 1
    for cpus, workers in ((None, 1), (1, 1), (2, 2), (64, 2)):
        monkeypatch.setattr("os.cpu_count", lambda cpus=cpus: cpus)
        assert default_workers(ThreadedKernel()) == workers


def test_only_so_many_runs_are_read_ahead() -> None:
    """Fails when the queue is unbounded: a state would be read into memory as fast as the disk gives it."""
    read = 0

    def runs() -> Iterator[CutRun]:
        nonlocal read
        for _, run, after in cut_runs(
            MemoryView({bytes((at,)): b"" for at in range(100)}), get_scheme("mkvs"), Cut("range", 1)
        ):
            read += 1
            yield CutRun(bytes((run.keys[0][0] - 1,)) if run.keys[0][0] else None, run, after)

    results = folded_runs(runs(), "mkvs", level=0, kernel=ThreadedKernel(), workers=2)
    next(results)
    assert read <= 4
    results.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fold")]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_worker_refuses_is_raised_here(workers: int) -> None:
    """Fails when an exception with fields is sent through a pipe: the pool would break instead."""
    broken = CutRun(None, leaf_run([(bytes(64), b"\1")]), None)
    with pytest.raises(InvalidStateError):
        list(folded_runs([broken], "ethereum", level=0, kernel=get_kernel("reference"), workers=workers))


class DeadlyKernel(ThreadedKernel):
    """Takes its process with it, like the kernel's out-of-memory killer."""

    name = "reference"

    def pieces(self, *arguments: object, **options: object) -> list[Frontier]:
        os._exit(1)


def test_a_lost_worker_is_told() -> None:
    run = CutRun(None, leaf_run([(b"a", b"1")]), None)
    with pytest.raises(WorkerLostError) as caught:
        list(folded_runs([run], "mkvs", level=0, kernel=DeadlyKernel(), workers=2))
    assert caught.value.workers == 2


class ShieldedKernel(ThreadedKernel):
    """Dies where Ctrl-C would end it with a traceback."""

    name = "reference"

    def pieces(self, *arguments: object, **options: object) -> list[Frontier]:
        if signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
            os._exit(1)
        return super().pieces(*arguments, **options)


def test_an_interrupt_does_not_reach_the_workers() -> None:
    """Also not while they are being started. Fails without the block around `submit`."""
    runs = [CutRun(None, leaf_run([(b"a", b"1")]), b"b"), CutRun(b"a", leaf_run([(b"b", b"2")]), None)]
    assert len(list(folded_runs(runs, "mkvs", level=0, kernel=ShieldedKernel(), workers=2))) == 2
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
