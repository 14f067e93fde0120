"""flatdb: where leaves live. A sorted leaf database (RocksDB), write logs and their files, and a catalog (SQLite).

It knows puts, deletes and prefix clears, and no chain: keys, values and roots are opaque bytes, and (key, value) tuples
are all that it exchanges. It imports nothing of ours. Errors are in `flatdb.errors`. Lowest first:

`errors`, `types`, `nesting` (of foreign JSON), `writelog` (rules and encodings), `writelog_file` (files and streams),
`rocks_error`, `rocks_options`, `store` (all else of rocksdict), `catalog` (all of sqlite3), `ledger` (what the small
families hold), `leaves` (the families that leaves lie in, read as one), `view` (FrozenView), `overlay` (leaves merged
with a pending write log), `check`, `staging` (an unfinished restore), `db` (FlatDB: the one commit point).
"""

from flatdb.catalog import CATALOG_NAME, Catalog, CheckpointEntry, PeerEntry, RestoreEntry
from flatdb.db import RECORDS_KEPT, Expand, FlatDB
from flatdb.errors import FlatDBError
from flatdb.staging import StagingDB
from flatdb.types import HeightRecord, Identity, Preset, StoreLimits, ValuesApart, Violation, WriteLog
from flatdb.view import FrozenView
from flatdb.writelog import decode_json, encode_json
from flatdb.writelog_file import read_write_logs, save_write_logs

__all__ = [
    "CATALOG_NAME",
    "RECORDS_KEPT",
    "Catalog",
    "CheckpointEntry",
    "Expand",
    "FlatDB",
    "FlatDBError",
    "FrozenView",
    "HeightRecord",
    "Identity",
    "PeerEntry",
    "Preset",
    "RestoreEntry",
    "StagingDB",
    "StoreLimits",
    "ValuesApart",
    "Violation",
    "WriteLog",
    "decode_json",
    "encode_json",
    "read_write_logs",
    "save_write_logs",
]
