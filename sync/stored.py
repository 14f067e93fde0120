"""StoredObjects: the bytes that an endpoint serves by digest, opened and tagged.

Decides how a checkpoint store's objects are handed out: as an open file where the store has local ones (so that the
kernel can send them), else as bytes. It knows no HTTP. Every method blocks and is thread-safe.

The tag of stored bytes needs their SHA-256, and their bytes never change: they are read once for it, and the tag is
remembered for as long as the file is the same one.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sync.checkpoint_store import CheckpointStore
from sync.errors import CheckpointCorruptError, CheckpointNotFoundError, StoreAccessError
from sync.wire import CHUNK_CODEC, MANIFEST_CODEC, etag

__all__ = ["StoredObject", "StoredObjects", "in_memory"]

TAGS_REMEMBERED: Final = 65536


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Open bytes: `file` is the caller's to close. `is_local`: it has a descriptor that the kernel can send from.

    `codec`: the form in which it travels, or empty.
    """

    file: io.BufferedReader | io.BytesIO
    size: int
    tag: str
    codec: str
    is_local: bool


class StoredObjects:
    """Manifests and chunks of one store, by digest."""

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._tags: OrderedDict[tuple[int, int, int, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def manifest(self, digest: bytes) -> StoredObject:
        """The canonical bytes of a published manifest.

        Raises:
            CheckpointNotFoundError, StoreAccessError
            CheckpointCorruptError: they have another digest; whoever sent them would be called a liar.
        """
        path = self._store.manifest_path(digest)
        if path is None:
            return self._in_memory(self._store.manifest(digest).encoded, digest, MANIFEST_CODEC)
        found = self._open(path, digest, MANIFEST_CODEC)
        if found.tag != etag(digest, MANIFEST_CODEC, digest):
            found.file.close()
            raise CheckpointCorruptError(f"manifest {digest.hex()}", "it has another digest")
        return found

    def chunk(self, digest: bytes) -> StoredObject:
        """The stored bytes of a chunk.

        Raises:
            CheckpointNotFoundError, StoreAccessError
        """
        path = self._store.chunk_path(digest)
        if path is None:
            return self._in_memory(self._store.chunk(digest), digest, CHUNK_CODEC)
        return self._open(path, digest, CHUNK_CODEC)

    def _in_memory(self, data: bytes, digest: bytes, codec: str) -> StoredObject:
        tag = etag(digest, codec, hashlib.sha256(data).digest())
        return StoredObject(io.BytesIO(data), len(data), tag, codec, is_local=False)

    def _open(self, path: Path, digest: bytes, codec: str) -> StoredObject:
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise CheckpointNotFoundError(path.name) from error
        except OSError as error:
            raise StoreAccessError(path, error.strerror or str(error)) from error
        try:
            status = os.fstat(file.fileno())
            stored_digest = self._digest(file, (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size))
        except BaseException:
            file.close()
            raise
        return StoredObject(file, status.st_size, etag(digest, codec, stored_digest), codec, is_local=True)

    def _digest(self, file: io.BufferedReader, identity: tuple[int, int, int, int]) -> bytes:
        with self._lock:
            known = self._tags.get(identity)
        if known is None:
            known = hashlib.file_digest(file, "sha256").digest()
            with self._lock:
                self._tags[identity] = known
                while len(self._tags) > TAGS_REMEMBERED:
                    self._tags.popitem(last=False)
        return known


def in_memory(data: bytes) -> StoredObject:
    """An answer that was made just now, tagged by its bytes."""
    return StoredObject(io.BytesIO(data), len(data), f'"{hashlib.sha256(data).hexdigest()[:32]}"', "", is_local=False)
