"""Leaves to measure with: made up, the same for the same seed, streamed in key order so that 10^7 need no memory.

Shapes. `uniform`: random keys. `oasis`: module prefixes of uneven weight, as a ParaTime's state has them.
`ethereum`: accounts and storage with a heavy tail, one giant contract among them; storage roots are right, so the
state folds to a root; nobody has code. `accounts`: Solana's, token accounts for the most part.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

from proofs import LeafRun, frontier_root, get_kernel, get_scheme
from proofs.rlp import encode_integer
from proofs.schemes.ethereum import Account
from proofs.schemes.solana import OWNER_BYTES, AccountLeaf

Leaf = tuple[bytes, bytes]

_BUCKETS = 4096
"""Keys are drawn bucket by bucket (12 bits of prefix), so that only one bucket is sorted at a time."""


def uniform(count: int, seed: int, *, key_bytes: int = 32, value_bytes: int = 70) -> Iterator[Leaf]:
    """`count` random keys, each with a random value (incompressible)."""
    rng = random.Random(seed)
    for key in _sorted_keys(rng, count, key_bytes):
        yield key, rng.randbytes(value_bytes)


MODULES = ((0x01, 21, 0.12), (0x02, 53, 0.55), (0x03, 37, 0.02), (0x05, 29, 0.001), (0x07, 53, 0.3), (0xF0, 9, 0.009))
"""Prefix byte, key size behind it, share of the leaves: balances, EVM storage, code, consensus, tokens, the rest."""


def oasis(count: int, seed: int) -> Iterator[Leaf]:
    """Keys behind module prefixes of uneven weight; values of 8 to 120 bytes, half of each compressible."""
    rng = random.Random(seed)
    left = count
    for index, (prefix, size, share) in enumerate(MODULES):
        own = left if index == len(MODULES) - 1 else min(left, int(count * share))
        left -= own
        for key in _sorted_keys(rng, own, size):
            half = rng.randint(4, 60)
            yield bytes((prefix,)) + key, bytes(half) + rng.randbytes(half)


def ethereum(count: int, seed: int) -> Iterator[Leaf]:
    """Accounts, two thirds without storage, the others with a heavy tail; one holds a tenth of all leaves."""
    rng = random.Random(seed)
    mpt, kernel = get_scheme("mpt"), get_kernel()
    accounts = max(1, int(count * 0.28))
    giant = accounts // 2
    left = count
    for index, owner in enumerate(_sorted_keys(rng, accounts, 32)):
        if left <= 0:
            return
        if index == giant:
            slots = count // 10
        elif rng.random() < 0.67:
            slots = 0
        else:
            slots = min(int(rng.paretovariate(1.1) * 1.2), count // 50 + 1)
        slots = left - 1 if index == accounts - 1 else min(slots, left - 1)
        left -= 1 + slots
        keys = list(_sorted_keys(rng, slots, 32))
        values = [encode_integer(_slot(rng)) for _ in keys]
        account = Account(rng.randint(0, 200), rng.getrandbits(64))
        if keys:
            root = frontier_root(mpt, kernel.frontier(mpt, LeafRun(keys, values)))
            account = Account(1, rng.getrandbits(32), root)
        yield owner, account.slim()
        for key, value in zip(keys, values, strict=True):
            yield owner + key, value


def _small_accounts(count: int, seed: int) -> Iterator[Leaf]:
    """As `uniform`: keys of 32 bytes, values of 70, which are accounts here."""
    for key, value in uniform(count, seed, value_bytes=68):
        yield key, b"\1" + value[:-OWNER_BYTES] + b"\0" + value[-OWNER_BYTES:]


ACCOUNT_DATA = ((165, 0.7), (0, 0.15), (82, 0.08), (512, 0.05), (10_240, 0.02))
"""Bytes of data in an account, share of the accounts: token accounts, wallets, mints, the rest."""


def accounts(count: int, seed: int) -> Iterator[Leaf]:
    """Solana's accounts: most of them token accounts, a few of 10 kB; data half zeros."""
    rng = random.Random(seed)
    sizes, shares = zip(*ACCOUNT_DATA, strict=True)
    for key in _sorted_keys(rng, count, 32):
        size = rng.choices(sizes, shares)[0]
        data = rng.randbytes(size // 2) + bytes(size - size // 2)
        yield key, AccountLeaf(rng.randint(1, 2**40), rng.randbytes(32), False, data).encode()


SHAPES: dict[str, tuple[str, Callable[[int, int], Iterator[Leaf]]]] = {
    "uniform-mkvs": ("mkvs", uniform),
    "uniform-mpt": ("mpt", uniform),
    "uniform-jam": ("jam", partial(uniform, key_bytes=31)),
    "uniform-nomt-blake3": ("nomt-blake3", uniform),
    "uniform-nomt-sha2": ("nomt-sha2", uniform),
    "oasis": ("mkvs", oasis),
    "ethereum": ("ethereum", ethereum),
    "uniform-solana": ("solana-lattice", _small_accounts),
    "accounts": ("solana-lattice", accounts),
}
"""Name -> scheme and generator."""


def _slot(rng: random.Random) -> int:
    """Small numbers, addresses and hashes, as storage holds them."""
    return rng.getrandbits(rng.choice((8, 64, 160, 256))) or 1


def _sorted_keys(rng: random.Random, count: int, size: int) -> Iterator[bytes]:
    """`count` different keys of `size` >= 2 bytes in ascending order, spread evenly."""
    buckets = min(_BUCKETS, max(1, count // 8))
    done = 0
    for bucket in range(buckets):
        wanted = count * (bucket + 1) // buckets - done
        done += wanted
        low = (bucket << 8 * size) // buckets
        width = ((bucket + 1) << 8 * size) // buckets - low
        keys: set[int] = set()
        while len(keys) < wanted:
            keys.add(low + rng.randrange(width))
        for key in sorted(keys):
            yield key.to_bytes(size)
