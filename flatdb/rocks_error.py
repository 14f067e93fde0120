"""What RocksDB's failures mean for the caller. rocksdict raises bare Exceptions: only their text tells them apart.

A failure that fits no other class counts as damage: carrying on after something unknown would be the worse mistake.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from flatdb.errors import DatabaseAccessError, DatabaseCorruptError, DatabaseError, DatabaseLockedError

__all__ = ["check_name", "check_writable", "classify"]

LOCKED: Final = ("lock hold by current process", "While lock file")
REFUSED: Final = (
    "No space left",
    "Disk quota exceeded",
    "File too large",
    "Permission denied",
    "Read-only file system",
    "Input/output error",
    "Too many open files",
    "Cannot allocate memory",
)


def check_name(path: Path) -> None:
    """Before a directory is made. Raises ValueError for a path that rocksdict cannot take."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{str(path)!r}: a database needs a path in UTF-8; choose another name") from error


def check_writable(path: Path) -> None:
    """Before a database is opened for reading only: rocksdict rewrites its rocksdict-config.json even then.

    Raises DatabaseAccessError.
    """
    if not os.access(path, os.W_OK):
        raise DatabaseAccessError(path, "reading a database needs permission to write in this directory too")


def classify(error: Exception, path: Path) -> DatabaseError:
    """The error of ours for what rocksdict raised while it worked on `path`."""
    text = str(error)
    if any(reason in text for reason in REFUSED):
        return DatabaseAccessError(path, text)
    if any(reason in text for reason in LOCKED):
        return DatabaseLockedError(path)
    return DatabaseCorruptError(path, text)
