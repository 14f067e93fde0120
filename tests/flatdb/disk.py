"""What a power cut would leave of RocksDB's logs, seen from in front of RocksDB."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from flatdb import FlatDB


class Disk:
    """In front of RocksDB: notes how much of each log was written, and how much of it a sync has put on the disk."""

    def __init__(self, rocks: Any, folder: Path) -> None:
        self._rocks = rocks
        self._folder = folder
        self.durable: dict[str, int] = {}
        self.written: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rocks, name)

    def sizes(self) -> dict[str, int]:
        """Of each log that is there. RocksDB deletes, from a thread of its own, logs whose memtables are written."""
        found = {}
        for path in self._folder.glob("*.log"):
            with suppress(FileNotFoundError):
                found[path.name] = path.stat().st_size
        return found

    def write(self, batch: Any, options: Any) -> None:
        self._rocks.write(batch, options)
        self.written = self.sizes()
        if options.sync:
            self.durable = self.sizes()

    def flush_wal(self, *, sync: bool) -> None:
        self._rocks.flush_wal(sync)
        if sync:
            self.durable = self.sizes()


def watch(db: FlatDB) -> Disk:
    disk = Disk(db._store._rocks, db.path / "rocksdb")
    db._store._rocks = disk  # type: ignore[assignment]
    return disk
