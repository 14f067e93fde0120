"""Mirror: a leaf database together with the scheme that says what its leaves mean.

The database knows puts and deletes; the scheme knows which leaves are legal, what a write implies and what a root is.
Here they meet: every write log is judged by the scheme before the database sees it, and roots are computed. Only
finalised write logs come here.

Threads: as `flatdb.FlatDB`: one writer thread owns apply, sync, freeze, flush and close.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from flatdb import FlatDB, FrozenView, HeightRecord, Identity, Preset, StoreLimits, Violation, WriteLog
from flatdb.errors import FlatDBError, InvalidWriteLogError
from proofs import InvalidLeafError, Kernel, ProofError, Scheme, get_scheme
from sync.errors import MirrorMismatchError
from sync.monitor import MONITOR_NONE, Monitor
from sync.root import Root
from sync.state_fold import fold_leaves
from sync.values_apart import stand_in, values_apart

__all__ = ["Mirror"]


class Mirror:
    """One chain's leaves at its last finalised height. A context manager; see `create` and `open`."""

    def __init__(self, db: FlatDB, scheme: Scheme, *, kernel: Kernel | None = None) -> None:
        self.db = db
        self.scheme = scheme
        self._kernel = kernel

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        scheme: str,
        kind: str = "",
        namespace: bytes = b"",
        preset: Preset = Preset.FOLLOW,
        limits: StoreLimits | None = None,
        kernel: Kernel | None = None,
    ) -> Self:
        """Make an empty mirror in a directory that is missing or empty. `preset`: what it is opened for.

        Raises:
            UnknownSchemeError: no such scheme.
            ValueError: `kind` or `namespace` cannot be a Root's.
            FlatDBError: as `FlatDB.create`.
        """
        commitment = get_scheme(scheme)
        Root(scheme, kind, namespace, 0, commitment.empty_root)
        identity = Identity(scheme, kind, namespace)
        db = FlatDB.create(
            path,
            identity,
            preset=preset,
            limits=limits,
            expand=lambda write_log: _expand(commitment, write_log),
            apart=values_apart,
        )
        return cls(db, commitment, kernel=kernel)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        preset: Preset = Preset.FOLLOW,
        limits: StoreLimits | None = None,
        kernel: Kernel | None = None,
    ) -> Self:
        """Open a mirror. Read-only works beside a running writer and stays at the height it was opened at.

        `preset`: what it is opened for.

        Raises:
            UnknownSchemeError: it was made by a release that has more schemes.
            FlatDBError: as `FlatDB.open`.
        """
        # The scheme is known only once the database is open, and what it expands with it.
        pending: list[Scheme] = []
        db = FlatDB.open(
            path,
            read_only=read_only,
            preset=preset,
            limits=limits,
            expand=lambda write_log: _expand(pending[0], write_log),
            apart=values_apart,
        )
        try:
            pending.append(get_scheme(db.identity.scheme))
        except BaseException:
            db.close()
            raise
        return cls(db, pending[0], kernel=kernel)

    def close(self) -> None:
        """Close every view, make all durable, and close the database. Idempotent. Raises DatabaseAccessError."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def head(self) -> HeightRecord | None:
        """The last applied height; None in an empty mirror."""
        return self.db.head

    @property
    def claimed_root(self) -> Root | None:
        """The Root that was claimed for the last height, if any height is there and its write log claimed one."""
        head = self.db.head
        return None if head is None or head.root is None else self._root(head.height, head.root)

    def apply(self, write_log: WriteLog, *, verify: bool = False, monitor: Monitor = MONITOR_NONE) -> HeightRecord:
        """Apply one finalised write log: atomic, and on disk when this returns (but see `sync`). A repeat is a no-op.

        `verify` folds the database merged with the write log first and compares with its root (where it claims one):
        a whole pass over the leaves.

        Raises:
            InvalidWriteLogError: an entry that the scheme does not allow, or as `FlatDB.apply`.
            MirrorMismatchError: the leaves would fold to another root. Nothing changed.
            FlatDBError: as `FlatDB.apply`.
        """
        self._check_entries(write_log)
        verified = verify and write_log.root is not None and self.db.follows(write_log)
        if verified:
            self._verify(write_log, monitor)
        return self.db.apply(write_log, verified=verified)

    def sync(self) -> None:
        """Make every applied height durable: with `Preset.LOAD` a power cut may else take the last ones with it."""
        self.db.sync()

    def get(self, key: bytes) -> bytes | None:
        """One leaf's value."""
        return self.db.get(key)

    def scan(
        self, start: bytes = b"", end: bytes | None = None, *, hashed: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Leaves with start <= key < end in key order, as of this call.

        `hashed`: with a HashedValue in place of each value that is kept apart, which is all that a fold needs.
        """
        return self.db.scan(start, end, stand_in=stand_in(self.scheme) if hashed else None)

    def root(self, *, monitor: Monitor = MONITOR_NONE) -> Root:
        """The Root of the leaves as they are: folds all of them anew. Height 0 in an empty mirror.

        Of values that are kept apart it reads the hashes; `check` reads the values too.

        Raises:
            ProofError: leaves that no state of the scheme can hold.
        """
        head = self.db.head
        computed = fold_leaves(self.scheme, self.scan(hashed=True), kernel=self._kernel, monitor=monitor)
        return self._root(0 if head is None else head.height, computed)

    def freeze(self, maker: Literal["iterators", "directory"] = "iterators", *, iterator_count: int = 4) -> FrozenView:
        """The leaves at the present height, immovable while read."""
        return self.db.freeze(maker, iterator_count=iterator_count)

    def flush(self) -> None:
        """Write what is in memory to table files ahead of a freeze, so that the gate closes for a moment only."""
        self.db.flush()

    def check(self, *, monitor: Monitor = MONITOR_NONE) -> Iterator[Violation]:
        """Every violation: of the database's own rules, then of the scheme's, then of the claimed root."""
        yield from self.db.check()
        try:
            yield from self._check_leaves()
            yield from self._check_root(monitor)
        except FlatDBError:
            return  # damaged blocks end a scan here; the database's own check has reported them

    def _check_leaves(self) -> Iterator[Violation]:
        for key, value in self.db.scan():
            try:
                self.scheme.check_leaf(key, value)
            except InvalidLeafError as error:
                yield Violation("leaves", str(error))

    def _check_root(self, monitor: Monitor) -> Iterator[Violation]:
        head = self.db.head
        if head is None or head.root is None:
            return
        try:
            computed = self.root(monitor=monitor).hash
        except ProofError as error:
            yield Violation("leaves", f"they are no state: {error}")
            return
        if computed != head.root:
            yield Violation("leaves", f"they fold to {computed.hex()}, height {head.height} claims {head.root.hex()}")

    def _check_entries(self, write_log: WriteLog) -> None:
        for index, (key, value) in enumerate(write_log.writes):
            if value is not None:
                try:
                    self.scheme.check_leaf(key, value)
                except InvalidLeafError as error:
                    raise InvalidWriteLogError(f"height {write_log.height}, writes[{index}]", str(error)) from error
        digest = self.scheme.capabilities.code_digest
        if write_log.code and digest is None:
            raise InvalidWriteLogError("code", f"leaves of {self.scheme.name} name no code")
        for index, (code_hash, blob) in enumerate(write_log.code):
            if digest is not None and digest(blob) != code_hash:
                raise InvalidWriteLogError(f"height {write_log.height}, code[{index}]", "the code has another hash")

    def _verify(self, write_log: WriteLog, monitor: Monitor) -> None:
        assert write_log.root is not None
        leaves = self.db.preview(write_log, stand_in=stand_in(self.scheme))
        try:
            computed = fold_leaves(self.scheme, leaves, kernel=self._kernel, monitor=monitor, phase="verify")
        except InvalidLeafError as error:
            raise InvalidWriteLogError(f"height {write_log.height}", str(error)) from error
        if computed != write_log.root:
            raise MirrorMismatchError(height=write_log.height, expected=write_log.root, computed=computed)

    def _root(self, height: int, root_hash: bytes) -> Root:
        identity = self.db.identity
        return Root(identity.scheme, identity.kind, identity.namespace, height, root_hash)


def _expand(scheme: Scheme, write_log: WriteLog) -> WriteLog:
    """Add the prefixes that the writes clear by the chain's own rules."""
    implied = scheme.implied_clears(write_log.writes)
    if not implied:
        return write_log
    return replace(write_log, clear=tuple(sorted({*write_log.clear, *implied})))
