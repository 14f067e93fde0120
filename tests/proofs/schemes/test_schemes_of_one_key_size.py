"""What every scheme refuses whose keys all have one size, and what it answers where it has nothing to say."""

from __future__ import annotations

import pytest

from proofs import InvalidLeafError, MalformedProofError, get_scheme
from proofs.schemes import jam, nomt, solana

NAMES = ("jam", "nomt-blake3", "nomt-sha2", "solana-lattice")


@pytest.mark.parametrize("name", NAMES)
def test_no_branch_holds_a_value(name: str) -> None:
    """Fails if a key may be the start of another."""
    scheme = get_scheme(name)
    key = bytes(scheme.capabilities.key_sizes[0])
    with pytest.raises(InvalidLeafError):
        scheme.value(key, b"v")
    with pytest.raises(MalformedProofError):
        scheme.check_value(key, bytes(32))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_implied(name: str) -> None:
    """Fails if a write clears what it does not name, or a leaf is taken to name code."""
    scheme = get_scheme(name)
    key = bytes(scheme.capabilities.key_sizes[0])
    assert scheme.implied_clears([(key, None), (key, b"v")]) == []
    assert scheme.code_hash(key, b"v") is None


@pytest.mark.parametrize(("name", "module"), [("jam", jam), ("nomt-sha2", nomt), ("solana-lattice", solana)])
def test_values_are_bounded(name: str, module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if a value of any size is a leaf."""
    scheme = get_scheme(name)
    key = bytes(scheme.capabilities.key_sizes[0])
    monkeypatch.setattr(module, "VALUE_BYTES_MAX", 99)
    with pytest.raises(InvalidLeafError):
        scheme.check_leaf(key, b"\1" * 100)


def test_a_sum_is_not_lifted() -> None:
    """Fails if depth changes what a part adds to a sum."""
    part = bytes(2048)
    assert get_scheme("solana-lattice").lift(part, bytes(32), 0, 9) == part
