"""The only switch between the Python reference and the native kernel.

A kernel does one thing: fold a run of leaves to its frontier. Formats, limits, trust and joins of frontiers live
above it, once. `fold` is the definition and the fallback; the native twin, where it was built, must answer the same.
LEAFMIRROR_KERNEL=native|reference forces one and fails loudly if it is absent.
"""

from __future__ import annotations

import os
from typing import Protocol

from proofs.errors import ProofError
from proofs.fold import Frontier, fold, run_items
from proofs.leafrun import LeafRun
from proofs.scheme import Scheme

VARIABLE = "LEAFMIRROR_KERNEL"


class KernelUnavailableError(ProofError):
    """A kernel was asked for by name that this installation does not have."""

    def __init__(self, name: str, available: tuple[str, ...]) -> None:
        self.name = name
        self.available = available
        super().__init__(f"no {name!r} kernel here; set {VARIABLE} to one of: {', '.join(available)}")


class Kernel(Protocol):
    """Folds whole runs of leaves."""

    name: str

    def frontier(
        self, scheme: Scheme, run: LeafRun, before: bytes | None = None, after: bytes | None = None
    ) -> Frontier:
        """`fold` of the run's leaves.

        Raises:
            LeafOrderError, InvalidLeafError: as `fold`.
        """
        ...


class ReferenceKernel:
    """The readable one."""

    name = "reference"

    def frontier(
        self, scheme: Scheme, run: LeafRun, before: bytes | None = None, after: bytes | None = None
    ) -> Frontier:
        return fold(scheme, run_items(run.keys, run.values), before, after)


_KERNELS: dict[str, Kernel] = {"reference": ReferenceKernel()}


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
