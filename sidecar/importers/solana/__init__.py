"""Solana snapshot archives, full and incremental: read as a stream, verified, turned into leaves and write logs.

snapshot_name · what a file name claims          archive · the tar inside the zstd stream, nothing else gets in
bincode, manifest · the bank and its files       account_file · stored accounts
accounts_hash · the older 16-ary hash            snapshot · which record wins, and what must add up
stored_record, damage · where each record lies, and which damaged byte explains a wrong sum
mirror · a mirror out of a full archive, and an incremental one on top of it
"""

from __future__ import annotations

from sidecar.importers.solana.mirror import import_full, import_incremental
from sidecar.importers.solana.snapshot_name import address_bytes

__all__ = ["address_bytes", "import_full", "import_incremental"]
