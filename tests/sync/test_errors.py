"""The tree of errors: one root, fields kept, hints in the message, every class exported."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from sync import errors

CASES: dict[type[errors.SyncError], errors.SyncError] = {
    type(error): error
    for error in (
        errors.FormatError("chunk", "short"),
        errors.UnsupportedFormatError("chunk", 9, (1,)),
        errors.DigestMismatchError("run", expected=b"\1", computed=b"\2"),
        errors.OversizeError("chunk", limit="chunk_bytes_max", allowed=1, seen=2),
        errors.PeerError("a", "odd"),
        errors.PeerUnavailableError("a", "timeout"),
        errors.PeerRefusedError("a", 429, 2.0),
        errors.PeerMisbehavedError("a", "lie"),
        errors.InvalidManifestError("a", "gap"),
        errors.InvalidChunkError("a", 3, "root"),
        errors.LimitExceededError("a", "chunks_max", 7),
        errors.CheckpointError("odd"),
        errors.CheckpointNotFoundError("chunk 00"),
        errors.CheckpointExistsError(b"\1"),
        errors.CheckpointCorruptError("chunk 00", "digest"),
        errors.CheckpointMismatchError(expected=b"\1", computed=b"\2"),
        errors.InvalidStateError("slots without their account"),
        errors.CodeUnavailableError(b"\1", "gone"),
        errors.UnsupportedCutError("subtree", "solana-lattice"),
        errors.WorkerLostError(3),
        errors.StoreLockedError(Path("store")),
        errors.StoreAccessError(Path("store"), "full"),
        errors.MirrorMismatchError(height=7, expected=b"\1", computed=b"\2"),
        errors.UnprovableError(b"\1", None, "too many"),
        errors.RestoreError("odd"),
        errors.NoPeersLeftError({"a": "timeout"}),
        errors.RestoreMismatchError(expected=b"\1", computed=b"\2"),
        errors.RestoreConflictError(Path("db")),
        errors.NoSpaceError(Path("db"), needed=2, free=1),
        errors.SyncError("odd"),
    )
}


def test_every_class_is_exported_and_has_a_case() -> None:
    classes = {c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__}
    assert classes == set(CASES)
    assert {c.__name__ for c in classes} == set(errors.__all__)


@pytest.mark.parametrize("error", CASES.values(), ids=lambda e: type(e).__name__)
def test_a_message_holds_its_fields_and_its_hint(error: errors.SyncError) -> None:
    assert isinstance(error, errors.SyncError)
    assert error.hint in str(error)
    for value in vars(error).values():
        if isinstance(value, bytes):
            assert value.hex() in str(error)
        elif isinstance(value, (str, int)) and not isinstance(value, bool):
            assert str(value) in str(error)
