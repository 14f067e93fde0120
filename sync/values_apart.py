"""Which values a mirror keeps apart from its leaves: where a leaf commits to the hash of its value, the large ones.

Folding such a mirror reads hashes instead of large values. What is sent, and what is restored, is always the value:
a hash that lies on a disk is believed by the root of one's own mirror and by nothing else, and `check` compares it.
"""

from __future__ import annotations

from typing import Final

from flatdb import Identity, ValuesApart
from proofs import HashedValue, Scheme, get_scheme

__all__ = ["APART_BYTES_MIN", "stand_in", "values_apart"]

APART_BYTES_MIN: Final = 1_333
"""Where NOMT itself moves a value out of its leaf, and about where reading a value costs more than a second seek."""


def values_apart(identity: Identity) -> ValuesApart | None:
    """What of such a mirror is kept apart; None where a fold needs every value itself.

    Raises:
        UnknownSchemeError
    """
    value_hash = get_scheme(identity.scheme).capabilities.value_hash
    return None if value_hash is None else ValuesApart(APART_BYTES_MIN, value_hash)


def stand_in(scheme: Scheme) -> type[HashedValue] | None:
    """What a scan for a fold yields in place of a value that is apart."""
    return None if scheme.capabilities.value_hash is None else HashedValue
