"""Checkpoints on disk, where and as an Oasis node keeps them.

    <directory>/<root version, decimal>/<root hash, hex>/meta             CBOR, mode 0600
                                                        /chunks/<index>   one file a chunk
    <directory>/.staging/…                                                unfinished; no node looks there

The node writes `meta` last and takes its presence for completeness. We publish by one rename instead: of the
whole version where there is none yet (so a round's state and I/O checkpoints appear together), else of
each root's directory. Directories have mode 0700, which the node insists on. Neither chunk size nor
chunker nor root type is part of the path: a directory holds one checkpoint of a root, and a second one is refused
rather than mistaken for the first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proofs.errors import MalformedProofError
from proofs.oasis.messages import ChunkMetadata, Metadata, OasisRoot
from sync.errors import CheckpointCorruptError, CheckpointExistsError, CheckpointNotFoundError, StoreAccessError

METADATA_BYTES_MAX = 64 << 20
_STAGING = ".staging"


class Stage:
    """One checkpoint under construction."""

    def __init__(self, path: Path, root: OasisRoot) -> None:
        self.path = path
        self.root = root
        self.metadata: Metadata | None = None
        (path / "chunks").mkdir(mode=0o700, parents=True)
        path.chmod(0o700)

    def put_chunk(self, index: int, data: bytes) -> None:
        """Write a chunk's file."""
        _write(self.path / "chunks" / str(index), data, 0o644)

    def finish(self, digests: list[bytes]) -> Metadata:
        """Write the metadata: all chunks are there. Everything is synced when this returns."""
        self.metadata = Metadata(self.root, tuple(digests))
        _write(self.path / "meta", self.metadata.encode(), 0o600)
        # All at once: the first sync writes most of what the others then find written.
        for path in (*(self.path / "chunks").iterdir(), self.path / "meta", self.path / "chunks", self.path):
            _sync(path)
        return self.metadata


class OasisStore:
    """A directory of checkpoints. Reading is safe beside one writer; a node may share the directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def stage(self, *roots: OasisRoot) -> Iterator[list[Stage]]:
        """Stages for checkpoints of one version, published together when the block ends; none if it raises.

        Raises:
            CheckpointExistsError: the store has a checkpoint of one of the roots.
            StoreAccessError: the operating system refused; nothing was published.
        """
        version = roots[0].version
        assert all(root.version == version for root in roots)
        for root in roots:
            self._refuse_existing(root)
        try:
            for folder in (self.directory, self.directory / _STAGING):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(dir=self.directory / _STAGING))
            try:
                folder = work / str(version)
                folder.mkdir(mode=0o700)
                yield [Stage(folder / root.hash.hex(), root) for root in roots]
                self._publish(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        except OSError as error:
            raise StoreAccessError(self.directory, str(error)) from error

    def list(self, version: int | None = None) -> list[Metadata]:
        """Metadata of all checkpoints, or of one root version; ordered by directory names, as a node lists them.

        Raises:
            CheckpointCorruptError: metadata that cannot be read.
        """
        pattern = "*" if version is None else str(version)
        found = self.directory.glob(f"{pattern}/*/meta")
        return [self._read(path) for path in sorted(found) if not path.parts[-3].startswith(".")]

    def metadata(self, root: OasisRoot) -> Metadata:
        """Metadata of the checkpoint of `root`.

        Raises:
            CheckpointNotFoundError, CheckpointCorruptError
        """
        metadata = self._read(self.path(root) / "meta")
        if metadata.root != root:
            raise CheckpointNotFoundError(f"checkpoint of root {root.hash.hex()} at {root.version} of this type")
        return metadata

    def chunk(self, chunk: ChunkMetadata) -> bytes:
        """The file of one chunk.

        Raises:
            CheckpointNotFoundError: no such checkpoint or chunk, or one with another digest.
        """
        metadata = self.metadata(chunk.root)
        if chunk.index >= len(metadata.chunks) or metadata.chunk(chunk.index) != chunk:
            raise CheckpointNotFoundError(f"chunk {chunk.index} with digest {chunk.digest.hex()}")
        return _read(self.path(chunk.root) / "chunks" / str(chunk.index), f"chunk {chunk.index}")

    def delete(self, root: OasisRoot) -> None:
        """Remove a checkpoint: `meta` first, so that no reader takes what remains for whole.

        Raises:
            CheckpointNotFoundError
        """
        self.metadata(root)
        path = self.path(root)
        (path / "meta").unlink()
        shutil.rmtree(path)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()

    def path(self, root: OasisRoot) -> Path:
        return self.directory / str(root.version) / root.hash.hex()

    def _refuse_existing(self, root: OasisRoot) -> None:
        path = self.path(root)
        if (path / "meta").exists():
            raise CheckpointExistsError(self._read(path / "meta").encoded_hash)
        if path.exists():
            raise CheckpointCorruptError(str(path), "it has no metadata: something was left unfinished here")

    def _publish(self, staged: Path) -> None:
        _sync(staged)
        target = self.directory / staged.name
        if not target.exists():
            staged.rename(target)
        else:
            for checkpoint in sorted(staged.iterdir()):
                checkpoint.rename(target / checkpoint.name)
            _sync(target)
        _sync(self.directory)

    def _read(self, path: Path) -> Metadata:
        data = _read(path, f"checkpoint {path.parent.name} at {path.parent.parent.name}")
        try:
            metadata = Metadata.decode(data, size_max=METADATA_BYTES_MAX)
            metadata.check()
        except MalformedProofError as error:
            raise CheckpointCorruptError(str(path), error.reason) from error
        return metadata


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointNotFoundError(name) from None
    except OSError as error:
        raise StoreAccessError(path, str(error)) from error


def _write(path: Path, data: bytes, mode: int) -> None:
    with path.open("xb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
