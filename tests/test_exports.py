"""The public package: what it names is there, is documented by an example that runs, and covers the error trees."""

import doctest
import inspect

import flatdb.errors
import leafmirror
import proofs.errors
import sync.errors

# The same name in two packages, so that neither can be exported; their roots and FormatError are.
AMBIGUOUS = {"UnsupportedFormatError"}
# Raised only where the public names do not reach: staging a restore, the catalog, decoders below `restore`.
INTERNAL = {"CatalogCorruptError", "DigestMismatchError", "RestoreKeyConflictError"}


def test_names_are_sorted_unique_and_there() -> None:
    assert leafmirror.__all__ == sorted(set(leafmirror.__all__))
    assert all(hasattr(leafmirror, name) for name in leafmirror.__all__)


def test_the_names_of_the_design() -> None:
    promised = {
        "Limits", "Mirror", "Report", "Restore", "Root", "VerifiedRange", "create_checkpoint", "make_app", "prove",
        "restore", "verify_range",
    }  # fmt: skip
    assert promised <= set(leafmirror.__all__)


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
