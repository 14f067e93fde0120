"""WriteLogBatches: the kept write logs from a height on, encoded for an endpoint, a bounded batch at a time."""

from __future__ import annotations

from typing import Final

from flatdb import FlatDB, encode_json
from flatdb.writelog import encode_cbor
from sync.limits import Limits

__all__ = ["WriteLogBatches"]

BATCH_BYTES: Final = 2**20


class WriteLogBatches:
    """One answer of write logs. It blocks; one thread at a time calls `next`."""

    def __init__(self, db: FlatDB, height: int, count: int, *, as_cbor: bool, limits: Limits) -> None:
        """At most `count` write logs with heights >= `height`, as CBOR items or as lines of JSON."""
        self._db = db
        self._encode = encode_cbor if as_cbor else encode_json
        self._height = height
        self._count = count
        self._bytes = limits.write_logs_bytes_max

    def next(self) -> bytes:
        """The next batch; empty at the end, or where a limit ends it. The first write log is sent whatever its size.

        Raises:
            FlatDBError: the database cannot be read.
        """
        batch = bytearray()
        for write_log in self._db.write_logs(self._height) if self._count > 0 and self._bytes > 0 else ():
            encoded = self._encode(write_log)
            batch += encoded
            self._height = write_log.height + 1
            self._count -= 1
            self._bytes -= len(encoded)
            if not self._count or self._bytes <= 0 or len(batch) >= BATCH_BYTES:
                break
        return bytes(batch)
