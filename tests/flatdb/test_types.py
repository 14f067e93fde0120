"""Limits that contradict themselves are refused; the end of a prefix is exact."""

from __future__ import annotations

import pytest
from hypothesis import given

from flatdb import StoreLimits
from flatdb.types import prefix_end
from tests.flatdb.leaf_model import keys


@pytest.mark.parametrize(
    "limits",
    [
        {"key_bytes_max": 0},
        {"key_bytes_max": 8192},
        {"value_bytes_max": 0},
        {"value_bytes_max": 2**31},
        {"log_bytes_max": 2**31},
        {"entry_count_max": 0},
        {"hash_bytes_max": 0},
    ],
)
def test_impossible_limits(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        StoreLimits(**limits)


@given(keys, keys)
def test_prefix_end_parts_what_starts_with_the_prefix_from_the_rest(prefix: bytes, key: bytes) -> None:
    """Fails for a prefix that ends in 0xff if the last byte alone is raised."""
    end = prefix_end(prefix)
    assert key.startswith(prefix) == (key >= prefix and (end is None or key < end))
