"""The only switch between the Python reference and the native kernel.

A kernel does what costs time for every leaf: read an encoded run, fold a run of leaves, each checked to be legal, to
its frontier or to its pieces, write its entries for an Oasis chunk, and open such a chunk. Formats, limits, trust and
joins of frontiers live above it, once. `LeafRun.decode`, `fold`, `cut.pieces`, `oasis.entries` and `oasis.chunk` are
the definition and the fallback; the native twin, where it was built, answers the same.
LEAFMIRROR_KERNEL=native|reference forces one and fails loudly if it is absent.
"""

from __future__ import annotations

import os
from typing import Protocol

from proofs.cut import pieces
from proofs.errors import MalformedProofError
from proofs.fold import Frontier, fold, run_items
from proofs.leafrun import LeafRun
from proofs.oasis.chunk import OpenedChunk, open_chunk
from proofs.oasis.entries import Entries, write_entries
from proofs.scheme import HashedValue, Scheme

try:
    from proofs import _native
except ImportError:  # built only where a Rust compiler was at hand
    _NATIVE_SCHEMES: frozenset[str] = frozenset()
else:
    _NATIVE_SCHEMES = frozenset(_native.schemes_known())

VARIABLE = "LEAFMIRROR_KERNEL"


class KernelUnavailableError(RuntimeError):
    """A kernel was asked for by name that this installation does not have."""

    def __init__(self, name: str, available: tuple[str, ...]) -> None:
        self.name = name
        self.available = available
        super().__init__(f"no {name!r} kernel here; set {VARIABLE} to one of: {', '.join(available)}")


FoldedPiece = tuple[int, int, int, bytes]
"""A closed subtree of a run: leaf count, depth, kind, payload (depth to payload as in an `Item`)."""


class Kernel(Protocol):
    """Works on whole runs of leaves. Implementations are thread-safe."""

    @property
    def name(self) -> str: ...

    def frontier(
        self, scheme: Scheme, run: LeafRun, before: bytes | None = None, after: bytes | None = None
    ) -> Frontier:
        """`fold` of the run's leaves, after `Scheme.check_leaf` of each. Values may be HashedValues.

        Raises:
            LeafOrderError, InvalidLeafError: as `fold`.
        """
        ...

    def pieces(
        self, scheme: Scheme, run: LeafRun, leaves_max: int, before: bytes | None = None, after: bytes | None = None
    ) -> list[FoldedPiece]:
        """`cut.pieces` of the run, each folded, in key order. Every leaf is checked, and hashed once.

        Raises:
            LeafOrderError, InvalidLeafError: as `fold`.
        """
        ...

    def decode(self, data: bytes, *, leaves_max: int) -> LeafRun:
        """`LeafRun.decode`.

        Raises:
            MalformedProofError, LeafOrderError: as `LeafRun.decode`.
        """
        ...

    def oasis_entries(
        self,
        run: LeafRun,
        shared: memoryview,
        opened: memoryview,
        ends: memoryview,
        path: list[tuple[int, int]],
        *,
        inside: bool,
    ) -> Entries:
        """`oasis.entries.write_entries`; the columns are of native u16. Precondition: they are the run's own shape.

        Raises:
            MalformedProofError: perhaps, if they are not.
        """
        ...

    def open_oasis_chunk(self, plain: bytes, *, entries_max: int, depth_max: int) -> OpenedChunk:
        """`oasis.chunk.open_chunk`.

        Raises:
            ProofError: as `open_chunk`.
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

    def pieces(
        self, scheme: Scheme, run: LeafRun, leaves_max: int, before: bytes | None = None, after: bytes | None = None
    ) -> list[FoldedPiece]:
        found = []
        for start, size, _ in pieces(scheme.path, run.keys, leaves_max, before, after):
            end = start + size
            left = run.keys[start - 1] if start else before
            right = run.keys[end] if end < len(run) else after
            ((_, payload, kind, depth),) = self.frontier(scheme, run[start:end], left, right)
            found.append((size, depth, kind, payload))
        return found

    def decode(self, data: bytes, *, leaves_max: int) -> LeafRun:
        return LeafRun.decode(data, leaves_max=leaves_max)

    def oasis_entries(
        self,
        run: LeafRun,
        shared: memoryview,
        opened: memoryview,
        ends: memoryview,
        path: list[tuple[int, int]],
        *,
        inside: bool,
    ) -> Entries:
        return write_entries(run, shared, opened, ends, path, inside=inside)

    def open_oasis_chunk(self, plain: bytes, *, entries_max: int, depth_max: int) -> OpenedChunk:
        return open_chunk(plain, entries_max=entries_max, depth_max=depth_max)


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
        hashed = None if scheme.capabilities.value_hash is None else _hashed(run)
        try:
            return tuple(_native.frontier(scheme.name, run.encode(), before, after, hashed))
        except ValueError as refusal:
            self._reference.frontier(scheme, run, before, after)
            raise _contradiction(refusal) from refusal

    def pieces(
        self, scheme: Scheme, run: LeafRun, leaves_max: int, before: bytes | None = None, after: bytes | None = None
    ) -> list[FoldedPiece]:
        if scheme.name not in _NATIVE_SCHEMES:
            return self._reference.pieces(scheme, run, leaves_max, before, after)
        try:
            return _native.split(scheme.name, run.encode(), leaves_max, before, after)
        except ValueError as refusal:
            self._reference.pieces(scheme, run, leaves_max, before, after)
            raise _contradiction(refusal) from refusal

    def decode(self, data: bytes, *, leaves_max: int) -> LeafRun:
        if int.from_bytes(data[:4], "little") > leaves_max:
            return self._reference.decode(data, leaves_max=leaves_max)
        try:
            keys, values = _native.decode(data)
        except ValueError as refusal:
            self._reference.decode(data, leaves_max=leaves_max)
            raise _contradiction(refusal) from refusal
        return LeafRun(keys, values, encoded=data)

    def oasis_entries(
        self,
        run: LeafRun,
        shared: memoryview,
        opened: memoryview,
        ends: memoryview,
        path: list[tuple[int, int]],
        *,
        inside: bool,
    ) -> Entries:
        columns = shared.tobytes(), opened.tobytes(), ends.tobytes()
        try:
            return _native.oasis_entries(run.encode(), *columns, path, inside)
        except ValueError as refusal:
            raise MalformedProofError(f"not the shape of these leaves: {refusal}") from refusal

    def open_oasis_chunk(self, plain: bytes, *, entries_max: int, depth_max: int) -> OpenedChunk:
        try:
            root, (keys, values), named = _native.open_oasis_chunk(plain, entries_max, depth_max)
        except ValueError as refusal:
            self._reference.open_oasis_chunk(plain, entries_max=entries_max, depth_max=depth_max)
            raise _contradiction(refusal) from refusal
        return OpenedChunk(root, LeafRun(keys, values), named)


def _hashed(run: LeafRun) -> bytes | None:
    """A byte for each leaf, 1 where its value is a HashedValue; None where no leaf's is."""
    kinds = list(map(type, run.values))
    return bytes(kind is HashedValue for kind in kinds) if HashedValue in kinds else None


def _contradiction(refusal: ValueError) -> AssertionError:
    return AssertionError(f"the native kernel refused what the reference accepts: {refusal}")


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
