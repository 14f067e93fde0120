"""A mirror from the checkpoints that a storage service offers: a node's, or one of ours.

Several checkpoints of one root are normal: nodes with other settings cut otherwise. They are tried in turn; one whose
chunks prove nothing is given up, and what it made durable is deleted: its leaves were proven, but the restore is known
by its metadata, and another one begins anew.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from flatdb import HeightRecord
from proofs import ProofError
from proofs.oasis.messages import ChunkMetadata, GetCheckpointsRequest, Metadata, OasisRoot
from sidecar.errors import SourceUnavailableError
from sidecar.sources.oasis_grpc import OasisClient
from sync.errors import DigestMismatchError, FormatError, NoPeersLeftError, RestoreMismatchError
from sync.monitor import MONITOR_NONE, Monitor
from sync.oasis.restore import OasisLimits, OasisRestore
from sync.oasis.restored import RestoredMirror

__all__ = ["CheckpointReader", "restore_from_address", "restore_from_endpoint"]


class CheckpointReader(Protocol):
    """What is asked of an endpoint; `oasis_grpc.OasisClient` asks it. Nothing of it is believed unverified."""

    @property
    def address(self) -> str: ...

    async def get_checkpoints(self, request: GetCheckpointsRequest) -> list[Metadata]: ...

    async def get_checkpoint_chunk(self, request: ChunkMetadata, *, bytes_max: int) -> bytes: ...


async def restore_from_endpoint(
    reader: CheckpointReader,
    root: OasisRoot,
    path: Path,
    *,
    limits: OasisLimits | None = None,
    monitor: Monitor = MONITOR_NONE,
) -> HeightRecord:
    """Restore the state of `root`, which is the caller's own, into a mirror at `path`.

    Raises:
        NoPeersLeftError: no checkpoint of this root was offered, or none of them is one.
        SourceUnavailableError, OasisCallError: from the reader; the same call continues later.
        FlatDBError: as `RestoredMirror`.
    """
    limits = limits or OasisLimits()
    offered = await reader.get_checkpoints(GetCheckpointsRequest(root.namespace, root.version))
    failures = {}
    for metadata in (one for one in offered if one.root == root):
        name = f"{reader.address}, checkpoint {metadata.encoded_hash.hex()[:12]}"
        try:
            return await _restore(reader, OasisRestore(root, metadata, limits), path, monitor)
        except (FormatError, ProofError, RestoreMismatchError) as error:
            failures[name] = str(error)
    raise NoPeersLeftError(failures or {reader.address: "it offers no checkpoint of this root"})


def restore_from_address(address: str, root: OasisRoot, path: Path, *, monitor: Monitor = MONITOR_NONE) -> HeightRecord:
    """`restore_from_endpoint` at `unix:PATH` or `HOST:PORT`, for callers without a loop."""

    async def restore() -> HeightRecord:
        client = OasisClient(address)
        try:
            return await restore_from_endpoint(client, root, path, monitor=monitor)
        finally:
            await client.close()

    return asyncio.run(restore())


async def _restore(reader: CheckpointReader, restore: OasisRestore, path: Path, monitor: Monitor) -> HeightRecord:
    mirror = await asyncio.to_thread(RestoredMirror, path, restore)
    with mirror:
        try:
            return await _fill(reader, restore, mirror, monitor)
        except (FormatError, ProofError, RestoreMismatchError):
            mirror.discard()
            raise


async def _fill(
    reader: CheckpointReader, restore: OasisRestore, mirror: RestoredMirror, monitor: Monitor
) -> HeightRecord:
    monitor.phase_started("chunks", total=len(restore.missing), unit="chunks")
    for chunk in list(restore.wanted()):
        data = await reader.get_checkpoint_chunk(chunk, bytes_max=restore.limits.chunk_file_bytes_max)
        try:
            await asyncio.to_thread(mirror.accept, chunk.index, data)
        except DigestMismatchError as error:  # the bytes are at fault, not the checkpoint: what is durable stays
            raise SourceUnavailableError(reader.address, str(error)) from error
        monitor.advanced("chunks", 1)
    monitor.phase_finished("chunks")
    return await asyncio.to_thread(mirror.seal, monitor)
