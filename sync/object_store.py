"""ObjectStore: named immutable bytes, and the folder that holds them as files.

Decides only how an object becomes visible whole and stays. Knows no checkpoints. A name is `<group>/<hex>` and is made
by this package from parsed digests alone, never from text that came over a wire.

Whoever implements it elsewhere (an object store) needs no rename and no locks: objects are immutable, the same name
always means the same canonical bytes, and the manifest is written after all that it names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from sync.errors import CheckpointNotFoundError, OversizeError, StoreAccessError

__all__ = ["FolderObjects", "ObjectStore", "os_errors", "sync_directory"]

_SYNCS_AT_ONCE: Final = 8
"""A journal commits what waits for it together: a few threads make many small files durable much sooner."""


class ObjectStore(Protocol):
    """Named immutable objects. All methods may be called from any thread.

    Raises:
        StoreAccessError: the storage refused.
    """

    def read(self, name: str, *, size_max: int, start: int = 0, size: int | None = None) -> bytes:
        """The object, or `size` bytes of it from `start` (fewer at its end).

        Raises:
            CheckpointNotFoundError: no such object.
            OversizeError: more than `size_max` bytes would have to be read.
        """
        ...

    def write(self, files: Mapping[str, Path]) -> None:
        """Take over finished local files as objects. Each appears whole or not at all; on return all are durable."""
        ...

    def list(self, group: str) -> Iterator[str]:
        """Names of all objects in a group, in any order."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object if it is there."""
        ...

    def path(self, name: str) -> Path | None:
        """A local file that is exactly this object, if this store has one and it exists."""
        ...


class FolderObjects:
    """Objects as files below one folder, one directory a group. Files to take over must be on its file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str, *, size_max: int, start: int = 0, size: int | None = None) -> bytes:
        with self._open_errors(name), (self.folder / name).open("rb") as file:
            there = max(0, os.fstat(file.fileno()).st_size - start)
            wanted = there if size is None else min(size, there)
            if wanted > size_max:
                raise OversizeError(name, limit="size_max", allowed=size_max, seen=wanted)
            file.seek(start)
            return file.read(wanted)

    def write(self, files: Mapping[str, Path]) -> None:
        with os_errors(self.folder):
            with ThreadPoolExecutor(_SYNCS_AT_ONCE, thread_name_prefix="fsync") as pool:
                list(pool.map(_sync_file, files.values()))
            groups = {(self.folder / name).parent for name in files}
            for group in groups:
                group.mkdir(parents=True, exist_ok=True)
            for name, file in files.items():
                file.replace(self.folder / name)
            for group in groups:
                sync_directory(group)
            sync_directory(self.folder)

    def list(self, group: str) -> Iterator[str]:
        with os_errors(self.folder):
            try:
                names = [entry.name for entry in os.scandir(self.folder / group) if entry.is_file()]
            except FileNotFoundError:
                names = []
        return (f"{group}/{name}" for name in names)

    def delete(self, name: str) -> None:
        with os_errors(self.folder):
            (self.folder / name).unlink(missing_ok=True)

    def path(self, name: str) -> Path | None:
        path = self.folder / name
        return path if path.is_file() else None

    @contextmanager
    def _open_errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise CheckpointNotFoundError(name) from error
        except OSError as error:
            raise StoreAccessError(self.folder / name, error.strerror or str(error)) from error


@contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into StoreAccessError."""
    try:
        yield
    except OSError as error:
        raise StoreAccessError(Path(error.filename or path), error.strerror or str(error)) from error


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
