"""CheckpointStore: whole checkpoints, by digest.

    manifests/<manifest digest>   canonical bytes; written last: with it the checkpoint is there
    chunks/<chunk digest>         stored bytes; shared by the checkpoints that name the same chunk
    spines/<manifest digest>      derived, may be deleted
    staging/                      what a creation is working on, and the lock

A checkpoint is staged in a directory of its own and published by moving chunks, spine and, last, the manifest to
their names. A chunk that no manifest names is not visible to anyone; the next creation removes what a crash left.
Creating and pruning exclude each other by a lock; reading needs none.
"""

from __future__ import annotations

import fcntl
import re
import shutil
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from sync.errors import (
    CheckpointCorruptError,
    CheckpointExistsError,
    CheckpointNotFoundError,
    FormatError,
    StoreLockedError,
)
from sync.limits import Limits
from sync.manifest import Cut, Manifest, chunk_entries
from sync.monitor import MONITOR_NONE, Monitor
from sync.object_store import FolderObjects, ObjectStore, os_errors
from sync.root import Root

__all__ = ["CheckpointInfo", "CheckpointStore", "Staging", "parse_digest"]

MANIFESTS: Final = "manifests"
CHUNKS: Final = "chunks"
SPINES: Final = "spines"
STAGING: Final = "staging"

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MANIFESTS_CACHED: Final = 16


def parse_digest(text: str) -> bytes:
    """The digest written as 64 lower-case hex digits: the only form of a name that this package takes from outside.

    Raises:
        ValueError
    """
    if not _DIGEST.fullmatch(text):
        raise ValueError("a digest is 64 lower-case hex digits")
    return bytes.fromhex(text)


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """One line about a published checkpoint. `chunk_bytes`: canonical bytes of all its runs and proofs."""

    digest: bytes
    root: Root
    cut: Cut
    leaf_count: int
    chunk_count: int
    code_count: int
    chunk_bytes: int

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        chunk_count = len(manifest.leaf_chunks) + len(manifest.code_chunks)
        return cls(
            manifest.digest,
            manifest.root,
            manifest.cut,
            manifest.leaf_count,
            chunk_count,
            manifest.code_count,
            manifest.chunk_bytes,
        )


class CheckpointStore:
    """Checkpoints over an ObjectStore. Reading is thread-safe; creating and pruning hold the store's lock.

    `staging` is a local directory; with FolderObjects it must be on the same file system.
    """

    def __init__(self, objects: ObjectStore, staging: Path, *, limits: Limits | None = None) -> None:
        self.objects = objects
        self.staging = staging
        self.limits = limits or Limits()
        self._manifests: OrderedDict[bytes, Manifest] = OrderedDict()

    @classmethod
    def folder(cls, path: Path, *, limits: Limits | None = None) -> Self:
        """The store in this folder, which the first creation makes."""
        return cls(FolderObjects(path), path / STAGING, limits=limits)

    def digests(self) -> tuple[bytes, ...]:
        """Manifest digests of all published checkpoints, ascending."""
        return self._digests(MANIFESTS)

    def list(self, *, monitor: Monitor = MONITOR_NONE) -> tuple[CheckpointInfo, ...]:
        """All published checkpoints by scheme, kind, namespace, height and digest.

        A manifest that cannot be read is left out and reported as the event `checkpoint_corrupt`.
        """
        infos = []
        for digest in self.digests():
            try:
                infos.append(CheckpointInfo.of(self.manifest(digest)))
            except CheckpointNotFoundError:
                continue  # pruned meanwhile
            except CheckpointCorruptError as error:
                monitor.event("checkpoint_corrupt", digest=digest.hex(), reason=error.reason)
        return tuple(sorted(infos, key=_order))

    def find(self, root: Root) -> tuple[CheckpointInfo, ...]:
        """The published checkpoints of exactly this Root."""
        return tuple(info for info in self.list() if info.root == root)

    def manifest(self, digest: bytes) -> Manifest:
        """The manifest of this digest.

        Raises:
            CheckpointNotFoundError, CheckpointCorruptError
        """
        name = _name(MANIFESTS, digest)
        cached = self._manifests.get(digest)
        if cached is not None and self.objects.path(name) is not None:
            return cached
        data = self.objects.read(name, size_max=self.limits.manifest_bytes_max)
        if sha256(data).digest() != digest:
            raise CheckpointCorruptError(name, "it has another digest")
        try:
            manifest = Manifest.decode(data, limits=self.limits)
        except FormatError as error:
            raise CheckpointCorruptError(name, str(error)) from error
        self._manifests[digest] = manifest
        while len(self._manifests) > _MANIFESTS_CACHED:
            self._manifests.popitem(last=False)
        return manifest

    def manifest_path(self, digest: bytes) -> Path | None:
        """The file that holds the manifest, if it is a local one."""
        return self.objects.path(_name(MANIFESTS, digest))

    def chunk(self, digest: bytes) -> bytes:
        """Stored bytes of a chunk, as they are.

        Raises:
            CheckpointNotFoundError
        """
        return self.objects.read(_name(CHUNKS, digest), size_max=self.limits.stored_chunk_bytes_max)

    def chunk_path(self, digest: bytes) -> Path | None:
        """The file that holds the stored bytes of a chunk, if it is a local one."""
        return self.objects.path(_name(CHUNKS, digest))

    def spine(self, digest: bytes, *, start: int, size: int) -> bytes:
        """Part of the spine beside the checkpoint of this digest.

        Raises:
            CheckpointNotFoundError: there is none.
        """
        name = _name(SPINES, digest)
        return self.objects.read(name, size_max=self.limits.spine_bytes_max, start=start, size=size)

    @contextmanager
    def stage(self) -> Iterator[Staging]:
        """A place to build one checkpoint in. What is not published when the block ends is gone.

        Raises:
            StoreLockedError, StoreAccessError
        """
        with self._locked():
            self._sweep()
            work = self.staging / "work"
            with os_errors(work):
                work.mkdir()
            staging = Staging(self, work)
            try:
                yield staging
            finally:
                shutil.rmtree(work, ignore_errors=True)
                if not staging.published:
                    self._sweep()

    def remove(self, digest: bytes) -> None:
        """Remove one checkpoint and the chunks that only it names; a damaged one too.

        Raises:
            CheckpointNotFoundError, StoreLockedError, StoreAccessError
        """
        with self._locked():
            if digest not in self.digests():
                raise CheckpointNotFoundError(_name(MANIFESTS, digest))
            self._forget(digest)
            self._sweep()

    def prune(self, keep: int) -> tuple[CheckpointInfo, ...]:
        """Remove all but the `keep` >= 1 greatest heights of each scheme, kind and namespace; return what was removed.

        Raises:
            StoreLockedError, StoreAccessError
        """
        if keep < 1:
            raise ValueError("prune keeps at least one height")
        with self._locked():
            heights: dict[tuple[str, str, bytes], set[int]] = {}
            infos = self.list()
            for info in infos:
                heights.setdefault(_chain(info), set()).add(info.root.height)
            kept = {chain: sorted(all_heights)[-keep:] for chain, all_heights in heights.items()}
            removed = tuple(info for info in infos if info.root.height not in kept[_chain(info)])
            for info in removed:
                self._forget(info.digest)
            self._sweep()
            return removed

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with os_errors(self.staging):
            self.staging.mkdir(parents=True, exist_ok=True)
            lock = (self.staging / "lock").open("wb")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreLockedError(self.staging.parent) from error
            yield

    def _forget(self, digest: bytes) -> None:
        """Manifest first: from then on nobody finds the checkpoint."""
        self.objects.delete(_name(MANIFESTS, digest))
        self._manifests.pop(digest, None)
        self.objects.delete(_name(SPINES, digest))

    def _sweep(self) -> None:
        """Remove what no published checkpoint names: leftovers of a crash or of a prune. Needs the lock.

        While some manifest cannot be read, nobody knows which chunks are its own: then all chunks stay.
        """
        shutil.rmtree(self.staging / "work", ignore_errors=True)
        digests = self.digests()
        for digest in set(self._digests(SPINES)) - set(digests):
            self.objects.delete(_name(SPINES, digest))
        named: set[bytes] = set()
        for digest in digests:
            try:
                named.update(entry.digest for entry in chunk_entries(self.manifest(digest)))
            except CheckpointCorruptError:
                return
        for digest in set(self._digests(CHUNKS)) - named:
            self.objects.delete(_name(CHUNKS, digest))

    def _digests(self, group: str) -> tuple[bytes, ...]:
        names = (name.rpartition("/")[2] for name in self.objects.list(group))
        return tuple(sorted(bytes.fromhex(name) for name in names if _DIGEST.fullmatch(name)))


class Staging:
    """One checkpoint in the making: a directory for its files, and the one moment when it becomes visible."""

    def __init__(self, store: CheckpointStore, directory: Path) -> None:
        self.directory = directory
        self.published = False
        self._store = store

    def publish(self, manifest: Manifest, chunks: dict[bytes, Path], spine: Path) -> CheckpointInfo:
        """Make the checkpoint visible and durable. `chunks`: a finished file for each digest the manifest names.

        Raises:
            CheckpointExistsError: this very checkpoint is there already; nothing changes.
            StoreAccessError: nothing is visible.
        """
        objects = self._store.objects
        if manifest.digest in self._store.digests():
            raise CheckpointExistsError(manifest.digest)
        table = self.directory / "manifest"
        with os_errors(table):
            table.write_bytes(manifest.encoded)
        objects.write({_name(CHUNKS, digest): path for digest, path in chunks.items()})
        objects.write({_name(SPINES, manifest.digest): spine})
        objects.write({_name(MANIFESTS, manifest.digest): table})
        self.published = True
        return CheckpointInfo.of(manifest)


def _name(group: str, digest: bytes) -> str:
    if len(digest) != 32:
        raise ValueError(f"a digest has 32 bytes, not {len(digest)}")
    return f"{group}/{digest.hex()}"


def _chain(info: CheckpointInfo) -> tuple[str, str, bytes]:
    return info.root.scheme, info.root.kind, info.root.namespace


def _order(info: CheckpointInfo) -> tuple[str, str, bytes, int, bytes]:
    return (*_chain(info), info.root.height, info.digest)
