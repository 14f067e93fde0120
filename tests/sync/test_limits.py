"""Limits: positive, and wide enough for the largest legal leaf."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from flatdb import StoreLimits
from proofs import leaf_run
from sync.limits import Limits


def test_the_largest_leaf_that_a_mirror_takes_fits_into_a_chunk() -> None:
    """Fails when a default is lowered below what `apply` accepts: such a state could not be restored."""
    store = StoreLimits()
    empty = len(leaf_run([(b"", b"")]).encode())
    assert empty + store.key_bytes_max + store.value_bytes_max <= Limits().chunk_bytes_max


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_every_limit_is_positive(name: str) -> None:
    with pytest.raises(ValueError):
        replace(Limits(), **{name: 0})
