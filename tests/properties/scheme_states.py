"""Legal states of every scheme, for Hypothesis: few digits and shared starts, so that tries are deep and odd."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proofs import leaf_items, state_root
from proofs.rlp import encode_integer
from proofs.schemes import get_scheme
from proofs.schemes.ethereum import Account
from proofs.schemes.solana import AccountLeaf

Leaves = list[tuple[bytes, bytes]]
LEAVES_MAX = 12

_VALUE_SIZES = (0, 1, 8, 31, 32, 33, 100)


def keys_of(size: int) -> SearchStrategy[bytes]:
    """Keys of one size: mostly zero, with a few bytes set near the start, the middle or the end."""
    bits = st.lists(st.integers(0, size * 8 - 1) | st.sampled_from((0, 1, 7, 8, size * 8 - 1)), max_size=4)
    return bits.map(lambda places: sum(1 << place for place in set(places)).to_bytes(size))


def _values(sizes: Sequence[int] = _VALUE_SIZES) -> SearchStrategy[bytes]:
    return st.tuples(st.sampled_from(sizes), st.integers(0, 255)).map(lambda drawn: bytes((drawn[1],)) * drawn[0])


def _state(keys: SearchStrategy[bytes], values: SearchStrategy[bytes]) -> SearchStrategy[Leaves]:
    return st.dictionaries(keys, values, max_size=LEAVES_MAX).map(lambda leaves: sorted(leaves.items()))


_SHORT_KEYS = st.lists(st.sampled_from((0x00, 0x01, 0x10, 0x80, 0xFF)), max_size=4).map(bytes)


@st.composite
def _ethereum(draw: st.DrawFn) -> Leaves:
    """Accounts, some with storage; each names the root of its own slots."""
    numbers = st.integers(1, 2**40).map(encode_integer)
    leaves: dict[bytes, bytes] = {}
    for owner in draw(st.lists(keys_of(32), max_size=5, unique=True)):
        slots = draw(st.dictionaries(keys_of(32), numbers, max_size=4))
        account = Account(nonce=draw(st.integers(0, 300)), balance=draw(st.integers(0, 2**70)))
        if slots:
            root = state_root(get_scheme("mpt"), leaf_items(sorted(slots.items())))
            account = Account(account.nonce, account.balance, root)
        leaves[owner] = account.slim()
        leaves |= {owner + slot: value for slot, value in slots.items()}
    return sorted(leaves.items())


_ACCOUNTS = st.builds(
    AccountLeaf, lamports=st.integers(1, 2**64 - 1), owner=keys_of(32), executable=st.booleans(), data=_values()
).map(AccountLeaf.encode)

STATES: dict[str, SearchStrategy[Leaves]] = {
    "mkvs": _state(_SHORT_KEYS, _values()),
    "mpt": _state(_SHORT_KEYS, _values((1, 8, 31, 32, 33, 100))),
    "ethereum": _ethereum(),
    "jam": _state(keys_of(31), _values()),
    "nomt-blake3": _state(keys_of(32), _values()),
    "nomt-sha2": _state(keys_of(32), _values()),
    "solana-lattice": _state(keys_of(32), _ACCOUNTS),
}
"""Every registered scheme has an entry here; a test holds that."""
