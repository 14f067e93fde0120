"""The values that cross this package's border: write logs, height records, identities, limits, findings.

Everything here is immutable and knows neither files nor RocksDB. Bytes are opaque: what a key, a value or a root
means is for the commitment scheme to say, never for this package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "HEIGHT_MAX",
    "KEY_BYTES_MAX",
    "ROOT_BYTES",
    "HeightRecord",
    "Identity",
    "Preset",
    "StoreLimits",
    "ValuesApart",
    "Violation",
    "WriteLog",
    "prefix_end",
]

HEIGHT_MAX = 2**63 - 1
"""Largest height: what sqlite3 and every node's own integers can hold."""

KEY_BYTES_MAX = 8191
"""Longest legal leaf key of any scheme (Oasis: a 16-bit bit length)."""

ROOT_BYTES = 32


class Preset(StrEnum):
    """What a database is opened for. The bytes on disk are the same; `rocks_options` says what differs."""

    LOAD = "load"
    """Many write logs one behind the other: commits are durable at the next `sync`, or a bounded number of bytes later.

    A power cut may take the last heights with it, and never leaves part of one; what kills only the process takes none.
    """
    FOLLOW = "follow"
    """One write log now and then: durable when `apply` returns, little memory."""
    SERVE = "serve"
    """Many reads of leaves here and there: as much of the state as fits in half a gigabyte of memory stays there."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose state a database holds. Opaque here; compared by the layers that know schemes."""

    scheme: str
    kind: str = ""
    namespace: bytes = b""


@dataclass(frozen=True, slots=True)
class HeightRecord:
    """One applied height. `root`: claimed by the write log (or the user), None if nobody claimed one.

    `verified`: the leaves at this height were folded and gave `root`; implies that `root` is not None.
    """

    height: int
    root: bytes | None
    verified: bool


@dataclass(frozen=True, slots=True)
class WriteLog:
    """What takes one height to the next: first the prefix clears, then the puts and deletes.

    `clear`, the keys of `writes` and the hashes of `code` are each sorted and unique (`writelog.validate`).
    A value of None deletes its key. `code` is content-addressed data beside the state: it is added, never removed.
    """

    height: int
    parent_root: bytes | None = None
    root: bytes | None = None
    clear: tuple[bytes, ...] = ()
    writes: tuple[tuple[bytes, bytes | None], ...] = ()
    code: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class ValuesApart:
    """Which values are kept apart from their leaves, beside a hash that stands for them: those of `bytes_min` or more.

    `hash` is pure and gives the same for the same value in every version.
    """

    bytes_min: int
    hash: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing `check` found wrong. `where`: the column family or file; `what`: the finding, for a person."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Bounds on one write log, checked before any work is done with it.

    `log_bytes_max` counts keys, values, prefixes and code together. One line or CBOR item of a write-log file may
    hold no more than `record_bytes_max`, derived from the others: hex doubles every byte, and every entry has
    a little punctuation.
    """

    key_bytes_max: int = KEY_BYTES_MAX
    value_bytes_max: int = 64 * 2**20
    hash_bytes_max: int = 64
    entry_count_max: int = 2**20
    log_bytes_max: int = 128 * 2**20
    record_bytes_max: int = field(init=False)

    def __post_init__(self) -> None:
        if not 0 < self.key_bytes_max <= KEY_BYTES_MAX:
            raise ValueError(f"key_bytes_max must be 1 to {KEY_BYTES_MAX}")
        if min(self.value_bytes_max, self.hash_bytes_max, self.entry_count_max, self.log_bytes_max) <= 0:
            raise ValueError("every limit must be positive")
        if self.value_bytes_max >= 2**31 or self.log_bytes_max >= 2**31:
            raise ValueError("a batch is one RocksDB write and must stay below 2 GiB")
        object.__setattr__(self, "record_bytes_max", 2 * self.log_bytes_max + 32 * self.entry_count_max + 4096)


def prefix_end(prefix: bytes) -> bytes | None:
    """The first key behind every key that starts with `prefix`; None if there is no such key."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
