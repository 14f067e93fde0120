"""Failures: every error of ours has an exit code, and none tells its hint twice."""

import errno
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from flatdb import errors as flatdb
from proofs import errors as proofs
from sidecar import errors as sidecar
from sidecar.cli.failure import ExitCode, explain
from sync import errors as sync

ROOTS = (flatdb.FlatDBError, proofs.ProofError, sync.SyncError, sidecar.SidecarError)


def classes() -> Iterator[type[Exception]]:
    for module in (flatdb, proofs, sync, sidecar):
        for _, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, ROOTS):
                yield found


@pytest.mark.parametrize("kind", sorted(set(classes()), key=lambda kind: (kind.__module__, kind.__name__)))
def test_no_error_of_ours_is_called_a_bug(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "message")
    failure = explain(error)
    assert failure.kind == kind.__name__
    assert failure.exit_code in (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (flatdb.DatabaseLockedError(Path("d")), ExitCode.REFUSED),
        (flatdb.DatabaseNotFoundError(Path("d")), ExitCode.USAGE),
        (flatdb.DatabaseCorruptError(Path("d"), "bits"), ExitCode.WRONG),
        (sync.PeerUnavailableError("p", "timeout"), ExitCode.UNREACHABLE),
        (sync.NoPeersLeftError({}), ExitCode.UNREACHABLE),
        (sync.CheckpointNotFoundError("x"), ExitCode.USAGE),
        (sync.NoSpaceError(Path("d"), needed=2, free=1), ExitCode.REFUSED),
        (proofs.RootMismatchError(b"a", b"b"), ExitCode.WRONG),
        (proofs.UnknownSchemeError("x", ()), ExitCode.USAGE),
        (sidecar.ConfigError("k", "r"), ExitCode.USAGE),
        (sidecar.GateTimeoutError(1.0), ExitCode.REFUSED),
        (OSError(errno.ENOSPC, "No space left on device", "file"), ExitCode.REFUSED),
        (PermissionError(errno.EACCES, "Permission denied"), ExitCode.REFUSED),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), ExitCode.USAGE),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ExitCode.UNREACHABLE),
        (MemoryError(), ExitCode.REFUSED),
        (typer.BadParameter("no"), ExitCode.USAGE),
        (KeyError("k"), ExitCode.WRONG),
    ],
)
def test_exit_codes(error: Exception, code: ExitCode) -> None:
    assert explain(error).exit_code is code


def test_hints_are_told_once() -> None:
    failure = explain(flatdb.DatabaseLockedError(Path("d")))
    assert failure.hint
    assert failure.hint not in failure.message
    assert "No space" in explain(OSError(errno.ENOSPC, "No space left on device", "file")).message
    assert explain(OSError(errno.ENOSPC, "x")).hint
    assert explain(OSError()).message
