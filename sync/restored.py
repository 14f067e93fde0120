"""RestoredState: the database side of a restore, on the one thread that may write.

Decides how verified chunks become durable and how they are found again: a leaf chunk is recorded under its key range,
because that, the root given, is all that decides its leaves. It refuses to know peers and manifests. Every method
blocks; each object belongs to one thread.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Final

from flatdb import FlatDB, HeightRecord, Identity, StagingDB, StoreLimits
from flatdb.errors import DatabaseCorruptError, DatabaseLockedError, RestoreKeyConflictError
from proofs import Kernel, ProofError, get_scheme
from sync.coverage import KeyRange
from sync.errors import NoSpaceError, RestoreConflictError
from sync.held import DisjointRanges, HeldRange
from sync.judge import VerifiedChunk
from sync.limits import Limits
from sync.monitor import NullMonitor
from sync.root import HASH_BYTES, Root
from sync.state_fold import FoldStoppedError, fold_leaves
from sync.values_apart import values_apart

__all__ = ["Fold", "RestoredState"]

PART_LEAVES: Final = 4096
"""Leaves of the final fold that are looked at for code at a time."""
SPACE_FACTOR: Final = 1.1
"""Bytes on disk that a canonical byte of leaves needs at most: keys and values compress, tables have indexes."""
_LEAVES: Final = b"L"
_CODE: Final = b"C"
_STAGED: Final = b"S"
_DIGEST_BYTES: Final = 32
_END: Final = b"\x00"
_NO_END: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class Fold:
    """What the restored leaves come to: the root hash, their number, the code that they name, and what of it lacks."""

    root_hash: bytes
    leaf_count: int
    code: frozenset[bytes]
    code_missing: frozenset[bytes]


class RestoredState:
    """The leaves of one Root on their way into a database. A mirror only once sealed."""

    def __init__(self, path: Path, root: Root, limits: Limits, kernel: Kernel) -> None:
        """Begin in a missing or empty directory, or continue there.

        Raises:
            RestoreConflictError: another restore works here, or has begun here.
            DatabaseExistsError: a mirror or foreign files are here.
            DatabaseAccessError, DatabaseCorruptError, UnsupportedFormatError: from flatdb.
        """
        self.root = root
        self.path = path
        self._scheme = get_scheme(root.scheme)
        self._kernel = kernel
        self._db = _stage(path, root, limits)
        self._disputable = DisjointRanges(one for one in self.ranges() if one.digest)

    def ranges(self) -> list[HeldRange]:
        """Key ranges whose leaves are durable: proven, or staged under the digest of their run."""
        return [
            HeldRange(*decode_range(name[1:])) if name.startswith(_LEAVES) else _decode_staged(name)
            for name in self._db.staged()
            if name.startswith((_LEAVES, _STAGED))
        ]

    def check_space(self, needed: int) -> None:
        """Before anything is fetched: whether `needed` more canonical bytes fit on the disk.

        Raises:
            NoSpaceError
        """
        free = shutil.disk_usage(self.path).free
        if needed * SPACE_FACTOR > free:
            raise NoSpaceError(self.path, needed=int(needed * SPACE_FACTOR), free=free)

    def store(self, chunks: Iterable[VerifiedChunk]) -> None:
        """Make chunks durable, then the record that they are. In any order; those that touch are written as one table.

        Raises:
            DatabaseAccessError, DatabaseCorruptError
        """
        proven: list[VerifiedChunk] = []
        for chunk in chunks:
            if chunk.is_code:
                self._db.ingest_blobs(_CODE + chunk.request.entry.digest, chunk.run)
            elif self._scheme.capabilities.additive:
                self._replace(chunk)
            else:
                proven.append(chunk)
        for group in touching(proven):
            self._db.ingest_columns(
                [_LEAVES + encode_range(chunk.request.entry.start, chunk.request.end) for chunk in group],
                list(chain.from_iterable(chunk.run.keys for chunk in group)),
                list(chain.from_iterable(chunk.run.values for chunk in group)),
            )

    def _replace(self, chunk: VerifiedChunk) -> None:
        request, run = chunk.request, chunk.run
        held = HeldRange(request.entry.start, request.end, request.entry.run_digest)
        # What is staged may be disputed: it gives way to whatever the manifest that is worked now says.
        obsolete = {_encode_staged(old): (old.start, old.end) for old in self._disputable.overlapping(held)}
        self._db.replace(_encode_staged(held), run, held.start, held.end, obsolete=obsolete)
        self._disputable.add(held)

    def fold(self, advanced: Callable[[int], None], stopped: Callable[[], bool]) -> Fold | None:
        """Fold every leaf of the database, from its own disk, in one pass. None if `stopped` says so on the way.

        `advanced` hears how many more leaves were folded. Memory: one piece of leaves and the code hashes.

        Raises:
            DatabaseCorruptError: also for leaves that no state holds, since none such were stored.
        """
        try:
            return self._fold(advanced, stopped)
        except ProofError as error:
            raise DatabaseCorruptError(self.path, str(error)) from error

    def _fold(self, advanced: Callable[[int], None], stopped: Callable[[], bool]) -> Fold | None:
        code: set[bytes] = set()
        leaves = self._naming(code) if self._scheme.capabilities.has_code else self._db.scan()
        counter = _Counter(advanced)
        try:
            root_hash = fold_leaves(self._scheme, leaves, kernel=self._kernel, monitor=counter, stopped=stopped)
        except FoldStoppedError:
            return None
        missing = code.difference(digest for digest, _ in self._db.blobs())
        return Fold(root_hash, counter.count, frozenset(code), frozenset(missing))

    def _naming(self, code: set[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """The leaves, with the hashes of the code that they name put into `code` on the way."""
        stream = self._db.scan()
        while part := list(islice(stream, PART_LEAVES)):
            # A leaf that names code holds its hash: the short ones need not be decoded.
            long = [leaf for leaf in part if len(leaf[1]) >= HASH_BYTES]
            code.update(digest for leaf in long if (digest := self._scheme.code_hash(*leaf)) is not None)
            yield from part

    def seal(self) -> None:
        """Make it a mirror at the root's height. Precondition: its fold is the root, and no code lacks.

        Raises:
            DatabaseAccessError
        """
        self._db.seal(HeightRecord(self.root.height, self.root.hash, verified=True))

    def close(self) -> None:
        """Stop here; the next restore of this root continues. Idempotent."""
        self._db.close()


class _Counter(NullMonitor):
    """Counts the leaves of a fold, and passes on how many more they are."""

    def __init__(self, advanced: Callable[[int], None]) -> None:
        self.count = 0
        self._advanced = advanced

    def advanced(self, phase: str, count: int) -> None:
        self.count += count
        self._advanced(count)


def touching(chunks: Iterable[VerifiedChunk]) -> Iterator[list[VerifiedChunk]]:
    """Leaf chunks in key order, those together of which one begins where the other ends."""
    group: list[VerifiedChunk] = []
    for chunk in sorted(chunks, key=lambda chunk: chunk.request.entry.start):
        if group and group[-1].request.end != chunk.request.entry.start:
            yield group
            group = []
        group.append(chunk)
    if group:
        yield group


def restore_key(root: Root) -> bytes:
    """What a database under restore is marked with: the digest of the Root, every field of it."""
    return sha256(str(root).encode()).digest()


def encode_range(start: bytes, end: bytes | None) -> bytes:
    """A key range as bytes: u16 size of start, start, 0 and end, or 1 for no end."""
    return len(start).to_bytes(2, "big") + start + (_NO_END if end is None else _END + end)


def _encode_staged(held: HeldRange) -> bytes:
    """The record of a staged range: tag, digest of its run, key range."""
    return _STAGED + held.digest + encode_range(held.start, held.end)


def _decode_staged(name: bytes) -> HeldRange:
    behind = len(_STAGED) + _DIGEST_BYTES
    return HeldRange(*decode_range(name[behind:]), name[len(_STAGED) : behind])


def decode_range(encoded: bytes) -> KeyRange:
    """The key range in bytes that `encode_range` made."""
    at = 2 + int.from_bytes(encoded[:2], "big")
    start, tag, end = encoded[2:at], encoded[at : at + 1], encoded[at + 1 :]
    return start, None if tag == _NO_END else end


def _stage(path: Path, root: Root, limits: Limits) -> StagingDB:
    identity = Identity(root.scheme, root.kind, root.namespace)
    store_limits = StoreLimits(value_bytes_max=limits.chunk_bytes_max)
    try:
        return FlatDB.stage(path, identity, restore_key(root), limits=store_limits, apart=values_apart)
    except DatabaseLockedError as error:
        raise RestoreConflictError(path) from error
    except RestoreKeyConflictError as error:
        raise RestoreConflictError(path, "an unfinished restore of another root is here") from error
