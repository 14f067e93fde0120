"""Sort more records than memory holds: sorted runs on disk, merged while they are read.

Keys may repeat; equal keys come out in the order in which they went in. Files are temporary, nameless after a
crash at most in the folder that the caller gave, and gone when the sorter closes.
"""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import IO

__all__ = ["ExternalSorter"]

_SIZES = struct.Struct("<II")
_RECORD_OVERHEAD_BYTES = 200
"""What Python adds to two byte strings and their tuple, about."""
_RUNS_MAX = 64
"""Open files at a time; more runs are merged into one."""

Record = tuple[bytes, bytes]


class ExternalSorter:
    """Collects (key, value) records, then yields them in key order. Not thread-safe; a context manager."""

    def __init__(self, folder: Path, *, memory_bytes_max: int = 256 * 2**20) -> None:
        self._folder = folder
        self._memory_bytes_max = memory_bytes_max
        self._records: list[Record] = []
        self._bytes = 0
        self._runs: list[IO[bytes]] = []

    def __enter__(self) -> ExternalSorter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in self._runs:
            run.close()
        self._runs.clear()
        self._records.clear()

    def add(self, key: bytes, value: bytes) -> None:
        """Take one record."""
        self._records.append((key, value))
        self._bytes += len(key) + len(value) + _RECORD_OVERHEAD_BYTES
        if self._bytes >= self._memory_bytes_max:
            self._spill()

    def sorted(self) -> Iterator[Record]:
        """All records in key order; may be asked for again."""
        self._records.sort(key=itemgetter(0))
        return heapq.merge(*map(_read, self._runs), iter(self._records), key=itemgetter(0))

    def _spill(self) -> None:
        if len(self._runs) == _RUNS_MAX:
            merged = self._write(heapq.merge(*map(_read, self._runs), key=itemgetter(0)))
            for run in self._runs:
                run.close()
            self._runs = [merged]
        self._records.sort(key=itemgetter(0))
        self._runs.append(self._write(self._records))
        self._records, self._bytes = [], 0

    def _write(self, records: Iterable[Record]) -> IO[bytes]:
        run: IO[bytes] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (closed with the sorter)
        for key, value in records:
            run.write(_SIZES.pack(len(key), len(value)))
            run.write(key)
            run.write(value)
        return run


def _read(run: IO[bytes]) -> Iterator[Record]:
    run.seek(0)
    while header := run.read(_SIZES.size):
        key_size, value_size = _SIZES.unpack(header)
        yield run.read(key_size), run.read(value_size)
