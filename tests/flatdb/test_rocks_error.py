"""Texts that RocksDB really wrote, and what each means for the caller."""

from __future__ import annotations

from pathlib import Path

import pytest

from flatdb.errors import DatabaseAccessError, DatabaseCorruptError, DatabaseError, DatabaseLockedError
from flatdb.rocks_error import check_writable, classify


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


def test_a_directory_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before rocksdict tries; a superuser may write anywhere, so that the answer of the system is put in."""
    check_writable(tmp_path)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(DatabaseAccessError):
        check_writable(tmp_path)
