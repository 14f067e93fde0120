"""The only switch between the Python reference and the native kernel.

A kernel does one thing: fold a run of leaves, each checked to be legal, to its frontier. Formats, limits, trust and
joins of frontiers live above it, once. `fold` is the definition and the fallback; the native twin, where it was built,
answers the same. LEAFMIRROR_KERNEL=native|reference forces one and fails loudly if it is absent.
"""

from __future__ import annotations

import os
from typing import Protocol

from proofs.errors import ProofError
from proofs.fold import Frontier, fold, run_items
from proofs.leafrun import LeafRun
from proofs.scheme import Scheme

try:
    from proofs import _native
except ImportError:  # built only where a Rust compiler was at hand
    _NATIVE_SCHEMES: frozenset[str] = frozenset()
else:
    _NATIVE_SCHEMES = frozenset(_native.schemes_known())

VARIABLE = "LEAFMIRROR_KERNEL"


class KernelUnavailableError(ProofError):
    """A kernel was asked for by name that this installation does not have."""

    def __init__(self, name: str, available: tuple[str, ...]) -> None:
        self.name = name
        self.available = available
        super().__init__(f"no {name!r} kernel here; set {VARIABLE} to one of: {', '.join(available)}")


class Kernel(Protocol):
    """Folds whole runs of leaves. Implementations are thread-safe."""

    @property
    def name(self) -> str: ...

    def frontier(
        self, scheme: Scheme, run: LeafRun, before: bytes | None = None, after: bytes | None = None
    ) -> Frontier:
        """`fold` of the run's leaves, after `Scheme.check_leaf` of each.

        Raises:
            LeafOrderError, InvalidLeafError: as `fold`.
        """
        ...


class ReferenceKernel:
    """The readable one: the definition."""

    name = "reference"

    def frontier(
        self, scheme: Scheme, run: LeafRun, before: bytes | None = None, after: bytes | None = None
    ) -> Frontier:
        for key, value in run:
            scheme.check_leaf(key, value)
        return fold(scheme, run_items(run.keys, run.values), before, after)


class NativeKernel:
    """The Rust twin; a scheme that it does not know yet is folded by the reference.

    It only says that a run is bad. The reference then says what is bad, so that errors exist once.
    """

    name = "native"

    def __init__(self) -> None:
        self._reference = ReferenceKernel()

    def frontier(
        self, scheme: Scheme, run: LeafRun, before: bytes | None = None, after: bytes | None = None
    ) -> Frontier:
        if scheme.name not in _NATIVE_SCHEMES:
            return self._reference.frontier(scheme, run, before, after)
        try:
            return tuple(_native.frontier(scheme.name, run.encode(), before, after))
        except ValueError as refusal:
            self._reference.frontier(scheme, run, before, after)
            raise AssertionError(f"the native kernel refused what the reference accepts: {refusal}") from refusal


_KERNELS: dict[str, Kernel] = {"reference": ReferenceKernel()}
if _NATIVE_SCHEMES:
    _KERNELS = {"native": NativeKernel(), **_KERNELS}


def get_kernel(name: str | None = None) -> Kernel:
    """The kernel called `name`, or the one that the environment forces, or the fastest there is.

    Raises:
        KernelUnavailableError
    """
    wanted = name or os.environ.get(VARIABLE) or next(iter(_KERNELS))
    try:
        return _KERNELS[wanted]
    except KeyError:
        raise KernelUnavailableError(wanted, tuple(_KERNELS)) from None
