"""Every error is under one root, has its fields, and tells the operator what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from flatdb import FlatDBError, errors

EXAMPLES: list[FlatDBError] = [
    errors.DatabaseLockedError(Path("db")),
    errors.DatabaseNotFoundError(Path("db")),
    errors.DatabaseExistsError(Path("db"), "taken"),
    errors.DatabaseCorruptError(Path("db"), "block"),
    errors.DatabaseAccessError(Path("db"), "No space left on device"),
    errors.DatabaseReadOnlyError(Path("db")),
    errors.UnsupportedFormatError(Path("db"), "9", ("1",)),
    errors.IncompleteDatabaseError(Path("db"), b"key"),
    errors.RestoreKeyConflictError(Path("db"), b"a", b"b"),
    errors.HeightGapError(height=2, parent_root=None, latest=0, root=None, reason="missing"),
    errors.HeightConflictError(height=2, expected=b"\1", found=None),
    errors.InvalidWriteLogError("height", "negative"),
    errors.UnknownSuffixError("blocks.txt", "the name must end in .ndjson"),
    errors.CatalogCorruptError(Path("db"), "no database"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_end_with_what_to_do(error: FlatDBError) -> None:
    assert error.hint
    assert str(error).endswith(error.hint)


def test_every_public_error_has_an_example() -> None:
    assert {type(error).__name__ for error in EXAMPLES} | {"FlatDBError", "DatabaseError"} == set(errors.__all__)
