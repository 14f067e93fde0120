"""The compiled module and its side of the switch: what it refuses, and what is left to the reference."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from proofs import InvalidLeafError, LeafOrderError, LeafRun, MalformedProofError, get_scheme, kernel
from proofs.kernel import NativeKernel, ReferenceKernel

native: Any = pytest.importorskip("proofs._native", reason="the native kernel was not built here")

RUN = LeafRun([b"a", b"b", b"ba"], [b"1", b"2", b"3"])


def test_it_names_itself_and_its_schemes() -> None:
    """Fails if a scheme is folded natively under a name that Python does not give it."""
    assert native.__version__
    assert {"mkvs", "mpt", "ethereum"} <= set(native.schemes_known())


@pytest.mark.parametrize(
    "run", [b"", b"\1", b"\xff" * 4, b"\1\0\0\0" + b"\xff" * 8, RUN.encode()[:-1], RUN.encode() + b"x"]
)
def test_malformed_runs_are_value_errors(run: bytes) -> None:
    """Fails if hostile bytes panic, or allocate by what they announce."""
    with pytest.raises(ValueError):
        native.frontier("mkvs", run)
    with pytest.raises(ValueError):
        native.split("mkvs", run, 512)
    with pytest.raises(ValueError):
        native.decode(run)


def test_unknown_schemes_are_value_errors() -> None:
    with pytest.raises(ValueError):
        native.frontier("quantum", RUN.encode())


def test_a_scheme_that_is_not_native_is_folded_by_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the native module is asked for what it does not know."""
    scheme, both = get_scheme("mkvs"), (NativeKernel(), ReferenceKernel())
    monkeypatch.setattr(kernel, "_NATIVE_SCHEMES", frozenset())
    monkeypatch.setattr(kernel, "_native", None)
    assert both[0].frontier(scheme, RUN) == both[1].frontier(scheme, RUN)
    assert both[0].pieces(scheme, RUN, 2) == both[1].pieces(scheme, RUN, 2)


def test_refusals_come_in_the_reference_s_words() -> None:
    """Fails if a caller sees the kernel's own words, or too many leaves are decoded before they are counted."""
    with pytest.raises(InvalidLeafError):
        NativeKernel().pieces(get_scheme("mpt"), LeafRun([b"a"], [b""]), 512)
    with pytest.raises(LeafOrderError):
        NativeKernel().decode(LeafRun([b"b", b"a"], [b"", b""]).encode(), leaves_max=2)
    with pytest.raises(MalformedProofError):
        NativeKernel().decode(RUN.encode(), leaves_max=2)


def test_a_wrong_refusal_is_our_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if a kernel that refuses what is right passes for a verdict on the input."""

    class Refusing:
        @staticmethod
        def refuse(*_: object) -> None:
            raise ValueError("no")

        frontier = split = decode = open_oasis_chunk = refuse

    monkeypatch.setattr(kernel, "_native", Refusing)
    mkvs = get_scheme("mkvs")
    for ask in (
        lambda: NativeKernel().frontier(mkvs, RUN),
        lambda: NativeKernel().pieces(mkvs, RUN, 512),
        lambda: NativeKernel().decode(RUN.encode(), leaves_max=3),
        lambda: NativeKernel().open_oasis_chunk(b"\xf6", entries_max=1, depth_max=0),
    ):
        with pytest.raises(AssertionError):
            ask()


def test_threads_fold_at_once() -> None:
    """Fails if a fold keeps state between calls."""
    mkvs, run = get_scheme("mkvs"), LeafRun([b"%05d" % n for n in range(2_000)], [b"v"] * 2_000)
    run.encode()
    expected, answers = NativeKernel().frontier(mkvs, run), []
    threads = [
        threading.Thread(target=lambda: answers.extend(NativeKernel().frontier(mkvs, run) for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 80
