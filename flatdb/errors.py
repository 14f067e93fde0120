"""What can go wrong with a leaf database, split by what the caller can do about it.

Every class carries fields and builds its message from them; operator-facing ones end with a `hint`: what to run or
do next. Nothing in this package raises a foreign exception for bad input, a damaged file or a held lock.
Mistakes of the calling code are ValueError or RuntimeError and are not in this tree.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "CatalogCorruptError",
    "DatabaseAccessError",
    "DatabaseCorruptError",
    "DatabaseError",
    "DatabaseExistsError",
    "DatabaseLockedError",
    "DatabaseNotFoundError",
    "DatabaseReadOnlyError",
    "FlatDBError",
    "HeightConflictError",
    "HeightGapError",
    "IncompleteDatabaseError",
    "InvalidWriteLogError",
    "RestoreKeyConflictError",
    "UnknownSuffixError",
    "UnsupportedFormatError",
]


class FlatDBError(Exception):
    """Root of this package's errors. `hint` is what the operator should do next, or empty."""

    hint: str = ""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; {self.hint}" if self.hint else message)


class DatabaseError(FlatDBError):
    """Something about one database on disk; `path` is its directory or file."""

    def __init__(self, path: Path, message: str) -> None:
        self.path = path
        super().__init__(f"{path}: {message}")


class DatabaseLockedError(DatabaseError):
    """Another writer holds the database."""

    hint = "stop the process that has it open (a running sidecar, usually), or open it read-only"

    def __init__(self, path: Path) -> None:
        super().__init__(path, "the database is open for writing elsewhere")


class DatabaseNotFoundError(DatabaseError):
    """There is no database at this path."""

    hint = "create one with `leafmirror init`, or restore one"

    def __init__(self, path: Path) -> None:
        super().__init__(path, "no leaf database here")


class DatabaseExistsError(DatabaseError):
    """The path is taken: by a database, or by files that are none of ours."""

    hint = "choose another directory, or remove this one if it is not needed"

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(path, reason)


class DatabaseCorruptError(DatabaseError):
    """What is on disk is not what was written; `violation` says what was seen."""

    hint = "run `leafmirror check`, then restore from a checkpoint"

    def __init__(self, path: Path, violation: str) -> None:
        self.violation = violation
        super().__init__(path, f"damaged: {violation}")


class DatabaseAccessError(DatabaseError):
    """The operating system refused: no space, no permission, a read-only or failing disk.

    After a refused write nothing more is written through the same handle, because the handle cannot know
    how much of the write reached the disk; opening again finds exactly one height.
    """

    hint = "free space or fix permissions, then run the command again"

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(path, reason)


class DatabaseReadOnlyError(DatabaseError):
    """A write through a handle that was opened for reading."""

    hint = "open it without read_only"

    def __init__(self, path: Path) -> None:
        super().__init__(path, "opened read-only")


class UnsupportedFormatError(DatabaseError):
    """The database was written by a format this version does not know."""

    hint = "use the leafmirror version that wrote it"

    def __init__(self, path: Path, found: str, supported: tuple[str, ...]) -> None:
        self.found = found
        self.supported = supported
        super().__init__(path, f"format {found!r}, this version reads {', '.join(supported)}")


class IncompleteDatabaseError(DatabaseError):
    """A restore has begun here and has not been sealed: it is no mirror yet."""

    hint = "run the same restore again; it continues where it stopped"

    def __init__(self, path: Path, restore_key: bytes) -> None:
        self.restore_key = restore_key
        super().__init__(path, "an unfinished restore, not a mirror")


class RestoreKeyConflictError(DatabaseError):
    """The directory belongs to the unfinished restore of something else."""

    hint = "finish that restore, or restore into another directory"

    def __init__(self, path: Path, expected: bytes, found: bytes) -> None:
        self.expected = expected
        self.found = found
        super().__init__(path, f"holds the unfinished restore {found.hex()}, not {expected.hex()}")


class HeightGapError(FlatDBError):
    """A write log that does not follow the last height, and repeats no height that is remembered.

    `latest` is the last height applied (None: none yet) and `root` its root; `height` and `parent_root` are the
    write log's.
    """

    hint = "apply the write logs in between, or restore at a later height"

    def __init__(
        self, *, height: int, parent_root: bytes | None, latest: int | None, root: bytes | None, reason: str
    ) -> None:
        self.height = height
        self.parent_root = parent_root
        self.latest = latest
        self.root = root
        self.reason = reason
        super().__init__(f"height {height} does not follow height {latest}: {reason}")


class HeightConflictError(FlatDBError):
    """A height that was applied already comes again with other content: the source contradicts itself.

    `expected` is the root that was applied and `found` the one that came now (None: none claimed, the content differs).
    """

    hint = "check the source: finalised heights never change"

    def __init__(self, *, height: int, expected: bytes | None, found: bytes | None) -> None:
        self.height = height
        self.expected = expected
        self.found = found
        super().__init__(f"height {height} was applied with root {_hex(expected)}, now comes root {_hex(found)}")


class InvalidWriteLogError(FlatDBError):
    """A write log (or its line in a file) that is not well formed.

    `entry` says where: `height`, `writes[12]`, `line 3`. `reason` says what is wrong with it.
    """

    hint = "fix or re-export the write log; nothing of it was applied"

    def __init__(self, entry: str, reason: str) -> None:
        self.entry = entry
        self.reason = reason
        super().__init__(f"{entry}: {reason}")


class UnknownSuffixError(InvalidWriteLogError):
    """A file name that does not say how the file is encoded."""

    hint = "rename the file, or convert it; docs/format.md says what each suffix means"


class CatalogCorruptError(DatabaseError):
    """The catalog cannot be read. It is only an index: nothing is lost with it."""

    hint = "run `leafmirror doctor --rebuild-catalog`"

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(path, reason)


def _hex(root: bytes | None) -> str:
    return "none" if root is None else root.hex()
