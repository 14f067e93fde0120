"""Every error carries what the caller needs, and its message never grows with the input."""

from __future__ import annotations

import pytest

from proofs import (
    IncompleteRangeError,
    InvalidLeafError,
    LeafOrderError,
    MalformedProofError,
    MisplacedNodeError,
    MissingNodeError,
    ProofError,
    RootMismatchError,
    UnknownSchemeError,
    UnorderedSchemeError,
)

KEY = b"\xab" * 10_000
ERRORS = [
    MalformedProofError("reason"),
    MalformedProofError("reason", 7),
    InvalidLeafError(KEY, "reason"),
    LeafOrderError(KEY, KEY),
    MisplacedNodeError(KEY, 5, 3),
    IncompleteRangeError(KEY, "reason"),
    RootMismatchError(bytes(32), bytes(32)),
    MissingNodeError(KEY, bytes(32)),
    UnknownSchemeError("name", ("mkvs",)),
    UnorderedSchemeError("name", "reason"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors(error: ProofError) -> None:
    """Fails if a class leaves the tree, or prints a whole hostile key."""
    assert isinstance(error, ProofError)
    assert 0 < len(str(error)) < 300
    assert vars(error)


def test_short_keys_are_named_in_full() -> None:
    """Fails if a person cannot find the leaf by the message."""
    assert "0x616263" in str(InvalidLeafError(b"abc", "reason"))
    assert "10000 bytes" in str(InvalidLeafError(KEY, "reason"))
