"""The switch as it is where no native kernel was built, and where one disagrees."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

import proofs
from proofs import InvalidLeafError, Item, LeafRun, MalformedProofError, fold, get_scheme, kernel, leaf_items

NativeFrontier = Callable[[str, bytes, bytes | None, bytes | None, bytes | None], list[Item]]
RUN = LeafRun([b"a", b"b"], [b"1", b"2"])


def _load(monkeypatch: pytest.MonkeyPatch, frontier: NativeFrontier | None) -> ModuleType:
    """A second copy of the switch that meets this native module, for the scheme `mpt` only, or none."""
    native = None
    if frontier is not None:
        native = ModuleType("proofs._native")
        vars(native).update(schemes_known=lambda: ["mpt"], frontier=frontier, split=_refuse, decode=_refuse)
        monkeypatch.setattr(proofs, "_native", native, raising=False)
    else:
        monkeypatch.delattr(proofs, "_native", raising=False)
    monkeypatch.setitem(sys.modules, "proofs._native", native)
    spec = importlib.util.spec_from_file_location("proofs.kernel_alone", kernel.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv(module.VARIABLE, raising=False)
    return module


def _expected(name: str) -> tuple[Item, ...]:
    return fold(get_scheme(name), leaf_items(RUN))


def _refuse(*_: object) -> list[Item]:
    raise ValueError("native says no")


def test_without_a_native_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if an installation without a Rust compiler does not fold, or forcing the kernel it lacks goes unnoticed."""
    alone = _load(monkeypatch, None)
    assert alone.get_kernel().name == "reference"
    assert alone.get_kernel().frontier(get_scheme("mpt"), RUN) == _expected("mpt")
    with pytest.raises(alone.KernelUnavailableError):
        alone.get_kernel("native")


def test_with_a_native_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the fast one is not taken, or is asked for a scheme that it does not know."""
    asked: list[str] = []

    def frontier(
        scheme: str, run: bytes, before: bytes | None, after: bytes | None, hashed: bytes | None
    ) -> list[Item]:
        assert hashed is None
        asked.append(scheme)
        return list(fold(get_scheme(scheme), leaf_items(LeafRun.decode(run, leaves_max=9)), before, after))

    fast = _load(monkeypatch, frontier).get_kernel()
    assert fast.name == "native"
    for name in ("mpt", "mkvs"):
        assert fast.frontier(get_scheme(name), RUN) == _expected(name)
    assert asked == ["mpt"]
    reference = kernel.get_kernel("reference")
    assert fast.pieces(get_scheme("mkvs"), RUN, 1) == reference.pieces(get_scheme("mkvs"), RUN, 1)


def test_errors_are_the_reference_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the native kernel's own words reach the caller, or if a wrong refusal passes for a verdict."""
    fast = _load(monkeypatch, _refuse).get_kernel()
    mpt, illegal = get_scheme("mpt"), LeafRun([b"a"], [b""])
    with pytest.raises(InvalidLeafError):
        fast.frontier(mpt, illegal)
    with pytest.raises(InvalidLeafError):
        fast.pieces(mpt, illegal, 1)
    with pytest.raises(MalformedProofError):
        fast.decode(b"", leaves_max=1)
    with pytest.raises(AssertionError):
        fast.frontier(mpt, RUN)
    with pytest.raises(AssertionError):
        fast.pieces(mpt, RUN, 1)
    with pytest.raises(AssertionError):
        fast.decode(RUN.encode(), leaves_max=2)
