"""Texts that RocksDB really wrote, and what each means for the caller."""

from __future__ import annotations

from pathlib import Path

import pytest

from flatdb.errors import DatabaseAccessError, DatabaseCorruptError, DatabaseError, DatabaseLockedError
from flatdb.rocks_error import classify


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("IO error: While lock file: db/LOCK: Resource temporarily unavailable", DatabaseLockedError),
        ("IO error: lock hold by current process, acquire time 1 acquiring thread 2: db/LOCK: No locks available",
         DatabaseLockedError),
        ("IO error: While open a file for lock: db/LOCK: Permission denied", DatabaseAccessError),
        ("IO error: No space left on device: While appending to file: db/000012.log: No space left on device",
         DatabaseAccessError),
        ("Corruption: block checksum mismatch: stored = 1, computed = 2, type = 4 in db/000009.sst",
         DatabaseCorruptError),
        ("something never seen before", DatabaseCorruptError),
    ],
)  # fmt: skip
def test_each_text_has_one_meaning(text: str, kind: type[DatabaseError]) -> None:
    error = classify(Exception(text), Path("db"))
    assert type(error) is kind
    assert error.path == Path("db")
