"""How RocksDB is set: what each setting was measured to be good for is in docs/performance.md."""

from __future__ import annotations

from typing import Final

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options

__all__ = ["database_options", "family_options", "table_options"]

MEMTABLE_BYTES: Final = 64 * 2**20
BLOCK_CACHE_BYTES: Final = 64 * 2**20


def database_options() -> Options:
    """Of the whole database, whoever opens it."""
    options = Options(raw_mode=True)
    options.create_if_missing(False)
    # A database of an earlier release gets the families that came since.
    options.create_missing_column_families(True)
    options.set_keep_log_file_num(2)
    return options


def family_options() -> Options:
    """Of every column family; those that share one result share its block cache."""
    options = table_options(Cache(BLOCK_CACHE_BYTES))
    options.set_write_buffer_size(MEMTABLE_BYTES)
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
