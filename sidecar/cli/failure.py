"""What an error means to whoever ran the command: an exit code, one line, and a hint.

The one place that knows the exit codes. An error that is not in the table is a bug of ours and says so.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from enum import IntEnum

import typer

from flatdb import errors as flatdb
from proofs import errors as proofs
from proofs.kernel import KernelUnavailableError
from sidecar import errors as sidecar
from sync import errors as sync

__all__ = ["ExitCode", "Failure", "explain"]


class ExitCode(IntEnum):
    """The promise of docs/cli.md."""

    DONE = 0
    WRONG = 1
    """The thing checked is wrong."""
    USAGE = 2
    UNREACHABLE = 3
    """A peer or node could not be reached."""
    REFUSED = 4
    """No space, no permission, or held by another process."""
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Failure:
    """One error, told for people and for programs."""

    exit_code: ExitCode
    kind: str
    """The error's class, for programs."""
    message: str
    hint: str


# The first row whose class fits decides: subclasses stand above their base.
_EXIT_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (flatdb.DatabaseAccessError, ExitCode.REFUSED),
    (flatdb.DatabaseLockedError, ExitCode.REFUSED),
    (flatdb.DatabaseCorruptError, ExitCode.WRONG),
    (flatdb.CatalogCorruptError, ExitCode.WRONG),
    (flatdb.DatabaseError, ExitCode.USAGE),
    (flatdb.UnknownSuffixError, ExitCode.USAGE),
    (flatdb.FlatDBError, ExitCode.WRONG),
    (sync.PeerError, ExitCode.UNREACHABLE),
    (sync.NoPeersLeftError, ExitCode.UNREACHABLE),
    (sync.NoSpaceError, ExitCode.REFUSED),
    (sync.StoreAccessError, ExitCode.REFUSED),
    (sync.StoreLockedError, ExitCode.REFUSED),
    (sync.RestoreConflictError, ExitCode.REFUSED),
    (sync.CheckpointNotFoundError, ExitCode.USAGE),
    (sync.SyncError, ExitCode.WRONG),
    (proofs.UnknownSchemeError, ExitCode.USAGE),
    (KernelUnavailableError, ExitCode.USAGE),
    (proofs.ProofError, ExitCode.WRONG),
    (sidecar.ConfigError, ExitCode.USAGE),
    (sidecar.DemoDataMissingError, ExitCode.USAGE),
    (sidecar.SourceUnavailableError, ExitCode.UNREACHABLE),
    (sidecar.GateTimeoutError, ExitCode.REFUSED),
    (sidecar.SidecarError, ExitCode.WRONG),
    (FileNotFoundError, ExitCode.USAGE),
    (NotADirectoryError, ExitCode.USAGE),
    (IsADirectoryError, ExitCode.USAGE),
    (ConnectionError, ExitCode.UNREACHABLE),
    (TimeoutError, ExitCode.UNREACHABLE),
    (OSError, ExitCode.REFUSED),
    (MemoryError, ExitCode.REFUSED),
)

# They reach us within the errors of a package that could not open what the user named.
_NO_SUCH_PATH = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

_HINTS = {
    errno.ENOSPC: "free space on that disk, then run the command again",
    errno.EDQUOT: "free space or raise the quota, then run the command again",
    errno.EACCES: "fix the permissions, or run as the user that owns the files",
    errno.EADDRINUSE: "another process listens there; choose another port, or 0 for any free one",
    errno.ENOENT: "check the path",
}


def explain(error: BaseException) -> Failure:
    """Never raises, whatever comes in."""
    kind = type(error).__name__
    if isinstance(error, typer.TyperException):
        return Failure(ExitCode.USAGE, "UsageError", error.format_message(), _usage_hint(error))
    if isinstance(error, (flatdb.DatabaseAccessError, sync.StoreAccessError)) and isinstance(
        error.__cause__, _NO_SUCH_PATH
    ):
        return Failure(ExitCode.USAGE, kind, str(error).removesuffix(f"; {error.hint}"), _HINTS[errno.ENOENT])
    for known, exit_code in _EXIT_CODES:
        if isinstance(error, known):
            hint = getattr(error, "hint", "")
            message = str(error)
            if isinstance(error, OSError):
                message, hint = _os_message(error), _HINTS.get(error.errno or 0, "")
            # The errors of our packages end with their hint, because they are also read in logs.
            return Failure(exit_code, kind, message.removesuffix(f"; {hint}") or kind, hint)
    hint = "this is a bug; run again with LEAFMIRROR_TRACEBACK=1 and report what it prints"
    return Failure(ExitCode.WRONG, "InternalError", f"{kind}: {error}", hint)


def _os_message(error: OSError) -> str:
    reason = error.strerror or os.strerror(error.errno or 0)
    return f"{error.filename}: {reason}" if error.filename else reason


def _usage_hint(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "leafmirror"
    return f"`{path} --help` shows how"
