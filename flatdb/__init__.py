"""flatdb: where leaves live. A sorted leaf database (RocksDB), write logs, and a catalog (SQLite).

It knows puts, deletes and prefix clears, and no chain: keys, values and roots are opaque bytes, and (key, value) tuples
are all that it exchanges. It imports nothing of ours.
"""

from flatdb.db import RECORDS_KEPT, FlatDB
from flatdb.types import HeightRecord, Identity, StoreLimits, Violation, WriteLog
from flatdb.view import FrozenView

__all__ = ["RECORDS_KEPT", "FlatDB", "FrozenView", "HeightRecord", "Identity", "StoreLimits", "Violation", "WriteLog"]
