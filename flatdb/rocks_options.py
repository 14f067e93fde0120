"""How RocksDB is set, for each of the three jobs: what was measured to be good for what is in docs/performance.md.

Presets differ in how bytes are written and kept in memory, never in how they lie on disk: any of them opens what
another one left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options

from flatdb.types import Preset

__all__ = ["SETTINGS", "Settings", "database_options", "family_options", "table_options"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a preset decides."""

    block_cache_bytes: int = 64 * 2**20
    unsynced_bytes_max: int = 0
    """What a power cut may take with it; 0: every commit is synced."""
    unflushed_bytes_max: int = 64 * 2**20
    """When `Store` writes out the memtables of all families together, counted as `Batch.size_bytes`.

    One bound for all families takes less memory, and leaves larger tables, than one for each of them.
    """
    memtable_bytes: int = 256 * 2**20
    """When RocksDB would write one out by itself.

    INVARIANT: above `unflushed_bytes_max`, so that RocksDB never begins a log behind one that is not synced. It would
    notice a hole between two logs only if a record was torn.
    """


SETTINGS: Final = {
    Preset.LOAD: Settings(unsynced_bytes_max=16 * 2**20),
    Preset.FOLLOW: Settings(),
    Preset.SERVE: Settings(block_cache_bytes=512 * 2**20),
}


def database_options(preset: Preset) -> Options:
    """Of the whole database."""
    options = Options(raw_mode=True)
    options.create_if_missing(False)
    # A database of an earlier release gets the families that came since.
    options.create_missing_column_families(True)
    options.set_keep_log_file_num(2)
    if SETTINGS[preset].unsynced_bytes_max:
        # No table of one family may hold what the log, and so another family, has lost.
        options.set_atomic_flush(True)
    return options


def family_options(preset: Preset) -> Options:
    """Of every column family; those that share one result share its block cache."""
    settings = SETTINGS[preset]
    options = table_options(Cache(settings.block_cache_bytes))
    options.set_write_buffer_size(settings.memtable_bytes)
    return options


def table_options(cache: Cache | None = None) -> Options:
    """How table files are built, by RocksDB or by `ingest`."""
    table = BlockBasedOptions()
    if cache is not None:
        table.set_block_cache(cache)
    table.set_block_size(16 * 2**10)  # scanned 7 % faster than 4 KiB, a quarter of the index (docs/performance.md)
    table.set_bloom_filter(10, False)
    table.set_format_version(5)
    options = Options(raw_mode=True)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_block_based_table_factory(table)
    return options
