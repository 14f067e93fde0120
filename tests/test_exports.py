"""The public package: what it names is there, is documented by an example that runs, and covers the error trees."""

import doctest
import inspect
import tomllib
from pathlib import Path
from typing import get_args

import flatdb.errors
import leafmirror
import proofs.errors
import sync.errors
import sync.events
from tests.source import ROOT

# The promise of CHANGELOG.md: a name is added here on purpose, and never taken away.
PUBLIC = {
    "CheckpointCorruptError", "CheckpointError", "CheckpointExistsError", "CheckpointInfo",
    "CheckpointMismatchError", "CheckpointNotFoundError", "CheckpointStore", "ChunkStored",
    "CodeUnavailableError", "Cut", "DatabaseAccessError", "DatabaseCorruptError", "DatabaseError",
    "DatabaseExistsError", "DatabaseLockedError", "DatabaseNotFoundError", "DatabaseReadOnlyError", "Event",
    "FlatDBError", "FormatError", "FrozenView", "HeightConflictError", "HeightGapError", "HeightRecord",
    "IncompleteDatabaseError", "IncompleteRangeError", "InvalidChunkError", "InvalidLeafError",
    "InvalidManifestError", "InvalidStateError", "InvalidWriteLogError", "LeafOrderError", "LeafRun",
    "LimitExceededError", "Limits", "MalformedProofError", "ManifestChosen", "ManifestDropped", "Mirror",
    "MirrorMismatchError", "MisplacedNodeError", "MissingNodeError", "NoPeersLeftError", "NoSpaceError",
    "OversizeError", "PeerError", "PeerFaulted", "PeerMisbehavedError", "PeerRefusedError", "PeerReport",
    "PeerUnavailableError", "ProofError", "RangeProof", "Report", "Restore", "RestoreConflictError",
    "RestoreError", "RestoreMismatchError", "RestoreState", "Root", "RootMismatchError", "StateChanged",
    "StoreAccessError", "StoreLockedError", "SyncError", "UnknownSchemeError", "UnknownSuffixError",
    "UnprovableError", "UnsupportedCutError", "Verdict",
    "VerifiedRange", "WorkerLostError", "WriteLog", "create_checkpoint", "get_scheme", "make_app", "prove",
    "restore", "verify_range",
}  # fmt: skip
# The same name in two packages, so that neither can be exported; their roots and FormatError are.
AMBIGUOUS = {"UnsupportedFormatError"}
# Raised only where the public names do not reach: staging a restore, the catalog, decoders below `restore`, the table
# of schemes.
INTERNAL = {"CatalogCorruptError", "DigestMismatchError", "RestoreKeyConflictError", "UnorderedSchemeError"}


def test_names_are_sorted_unique_and_there() -> None:
    assert leafmirror.__all__ == sorted(set(leafmirror.__all__))
    assert all(hasattr(leafmirror, name) for name in leafmirror.__all__)


def test_the_public_names_are_exactly_these() -> None:
    """Fails when a name goes, or comes without being meant to."""
    assert set(leafmirror.__all__) == PUBLIC


def test_every_event_of_a_restore_can_be_matched() -> None:
    assert set(sync.events.__all__) <= set(leafmirror.__all__)
    assert {event.__name__ for event in get_args(leafmirror.Event)} <= set(leafmirror.__all__)


def test_types_are_shipped() -> None:
    """Without the marker, type checkers ignore every annotation of an installed package."""
    assert (Path(leafmirror.__file__).parent / "py.typed").is_file()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "py.typed" in settings["tool"]["setuptools"]["package-data"]["leafmirror"]


def test_the_error_trees_are_whole() -> None:
    """Fails when a package raises something that a user of the public one cannot name."""
    found = {
        name
        for module in (proofs.errors, flatdb.errors, sync.errors)
        for name, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Exception) and member.__module__ == module.__name__
    }
    assert found - set(leafmirror.__all__) == AMBIGUOUS | INTERNAL


def test_the_example_runs() -> None:
    result = doctest.testmod(leafmirror)
    assert result.attempted > 5
    assert result.failed == 0
