"""Digit geometry against digits written out one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs import get_scheme
from proofs.path import ACCOUNT_DIGITS, STORAGE_DEPTH, AccountPath, Path
from tests.model import MODELS

BYTES = st.binary(max_size=6)
ACCOUNT_KEYS = st.builds(
    lambda account, slot: bytes(30) + account + slot,
    st.sampled_from((b"\0\0", b"\0\1", b"\x10\0")),
    st.sampled_from((b"", bytes(32), bytes(31) + b"\x01", b"\x80" + bytes(31))),
)
KEYS = {"mkvs": BYTES, "mpt": BYTES, "ethereum": ACCOUNT_KEYS}


def _path(name: str) -> Path:
    return get_scheme(name).path


@pytest.mark.parametrize("name", sorted(MODELS))
@settings(max_examples=40)
@given(data=st.data())
def test_digits_and_bounds(name: str, data: st.DataObject) -> None:
    """Fails if a digit, a shared prefix or a padded position is read at the wrong offset."""
    path, model = _path(name), MODELS[name]()
    key, other = data.draw(KEYS[name]), data.draw(KEYS[name])
    digits, others = model.digits(key), model.digits(other)
    assert path.digits(key) == len(digits)
    assert tuple(path.digit(key, depth) for depth in range(len(digits))) == digits
    shared = next((at for at, (a, b) in enumerate(zip(digits, others, strict=False)) if a != b), None)
    assert path.parting(key, other) == (min(len(digits), len(others)) if shared is None else shared)
    for depth in range(len(digits) + 1):
        assert path.bound(key, depth) == model.position(digits[:depth])
    for depth in range(len(digits)):
        for digit in range(path.radix(depth)):
            assert path.child(key, depth, digit) == model.position((*digits[:depth], digit))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_only_whole_keys_end_at_a_branch(name: str) -> None:
    """Fails if a value could be claimed where no legal key ends."""
    model = MODELS[name]()
    legal = {"mkvs": (0, 1, 2, 9), "mpt": (0, 1, 2, 9), "ethereum": (32,)}[name]
    depths = {len(model.digits(bytes(size))) for size in legal}
    longest = max(depths)
    assert {depth for depth in range(longest + 1) if _path(name).is_key(depth)} >= depths
    assert not _path(name).is_key(1)


def test_the_virtual_digit_has_no_freedom() -> None:
    """Fails if the branch between an account and its storage has a second slot."""
    path = AccountPath()
    assert [depth for depth in range(129) if path.radix(depth) == 1] == [ACCOUNT_DIGITS]
    assert not path.is_key(STORAGE_DEPTH)
    assert path.bound(b"\xab" * 64, STORAGE_DEPTH) == b"\xab" * 32 + b"\0"
