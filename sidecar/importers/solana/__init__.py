"""Solana snapshot archives, full and incremental: read as a stream, verified, turned into leaves and write logs.

    snapshot_name · what a file name claims          archive · the tar inside the zstd stream, nothing else gets in
    bincode, manifest · the bank and its files       account_file · stored accounts
    accounts_hash · the older 16-ary hash            snapshot · which record wins, and what must add up
"""

from __future__ import annotations

from sidecar.importers.solana.archive import SnapshotLimits
from sidecar.importers.solana.snapshot import Base, Snapshot, read_snapshot
from sidecar.importers.solana.snapshot_name import SnapshotName, parse_name

__all__ = ["Base", "Snapshot", "SnapshotLimits", "SnapshotName", "parse_name", "read_snapshot"]
