"""States to test proofs with: for each scheme, generators named after what is hard about them.

A new scheme adds one `Generators` to GENERATORS and its oracle to `tests.model.MODELS`; every property of
tests/properties then runs on it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from proofs import (
    KernelUnavailableError,
    LeafRun,
    ProofNode,
    RangeProof,
    Scheme,
    fold,
    get_kernel,
    get_scheme,
    leaf_items,
    leaf_run,
    prove_range,
)
from tests.model import MODELS, EthereumModel, Leaf, Model, rlp, slim_account, slot_value, unslim

State = dict[bytes, bytes]
Generator = Callable[[random.Random], State]


@dataclass(frozen=True)
class Generators:
    """`kinds` make states of up to about 20 leaves; `other_value` gives another legal value for a key, `other_forms`
    other bytes that a careless reader takes for the same value.
    """

    kinds: Mapping[str, Generator]
    other_value: Callable[[random.Random, bytes], bytes]
    other_forms: Callable[[bytes], list[bytes]] = lambda value: []


@dataclass(frozen=True)
class World:
    """A state with what is known of it: its leaves in order, its root, and any honest proof."""

    scheme: Scheme
    model: Model
    leaves: tuple[Leaf, ...]
    root: bytes

    @property
    def cuts(self) -> list[tuple[int, int]]:
        """Every non-empty range of leaves."""
        count = len(self.leaves)
        return [(first, last) for first in range(count) for last in range(first + 1, count + 1)]

    def run(self, first: int, last: int) -> LeafRun:
        return leaf_run(self.leaves[first:last])

    def prove(self, first: int, last: int) -> RangeProof:
        """The product's own proof."""
        leaves = self.leaves
        before = fold(self.scheme, leaf_items(leaves[:first]), None, leaves[first][0])
        after = fold(self.scheme, leaf_items(leaves[last:]), leaves[last - 1][0], None)
        return prove_range(self.scheme, before, leaves[first][0], leaves[last - 1][0], after)

    def honest(self, first: int, last: int) -> RangeProof:
        """The oracle's proof."""
        return _honest(self, first, last)

    def is_honest(self, proof: RangeProof, run: LeafRun) -> bool:
        """Whether this is a true statement in its one form; nothing else may be accepted."""
        keys = [key for key, _ in self.leaves]
        if not run or run.keys[0] not in keys:
            return False
        first = keys.index(run.keys[0])
        last = first + len(run)
        return tuple(run) == self.leaves[first:last] and proof == self.honest(first, last)


@lru_cache(maxsize=4096)
def _honest(world: World, first: int, last: int) -> RangeProof:
    start, end, left, right = world.model.prove(world.leaves, first, last)
    return RangeProof(start, end, tuple(ProofNode(*node) for node in left), tuple(ProofNode(*node) for node in right))


def make_world(name: str, state: State) -> World:
    """The state under the scheme called `name`, with the root that the oracle gives it."""
    model = MODELS[name]()
    return World(get_scheme(name), model, tuple(sorted(state.items())), model.root(state))


def mkvs_uniform(rng: random.Random) -> State:
    return {rng.randbytes(rng.randint(3, 9)): rng.randbytes(rng.randint(0, 40)) for _ in range(rng.randint(1, 12))}


def mkvs_clustered(rng: random.Random) -> State:
    prefixes = [rng.randbytes(rng.randint(2, 6)) for _ in range(2)]
    return {rng.choice(prefixes) + rng.randbytes(1): rng.randbytes(3) for _ in range(rng.randint(2, 14))}


def mkvs_nested(rng: random.Random) -> State:
    """Keys inside keys, the empty key, empty values, and last bytes whose zeros look like padding."""
    return {
        bytes(rng.choices((0, 0x80, 0xFF), k=rng.randint(0, 4))): rng.randbytes(rng.randint(0, 1))
        for _ in range(rng.randint(1, 14))
    }


def mkvs_dense(rng: random.Random) -> State:
    """Neighbours that part in the last bits: branches under branches, no slot free."""
    base = rng.randrange(200)
    return {bytes((base + at,)): bytes((at,)) for at in range(rng.randint(2, 16))}


def mpt_uniform(rng: random.Random) -> State:
    return {rng.randbytes(rng.randint(2, 6)): rng.randbytes(rng.randint(1, 60)) for _ in range(rng.randint(1, 12))}


def mpt_clustered(rng: random.Random) -> State:
    prefixes = [rng.randbytes(rng.randint(1, 20)) for _ in range(2)]
    return {rng.choice(prefixes) + rng.randbytes(2): rng.randbytes(33) for _ in range(rng.randint(2, 14))}


def mpt_nested(rng: random.Random) -> State:
    """Keys inside keys, so that branches hold values; zero nibbles that look like padding."""
    return {
        bytes(rng.choices((0, 1, 0x10, 0x11), k=rng.randint(0, 3))): rng.randbytes(rng.choice((1, 1, 33)))
        for _ in range(rng.randint(1, 14))
    }


def mpt_inline(rng: random.Random) -> State:
    """Values of one byte under keys that part late: most nodes stand inside their parents."""
    prefix = rng.randbytes(rng.randint(0, 2))
    return {prefix + rng.randbytes(1) + bytes((rng.randrange(3),)): rng.randbytes(1) for _ in range(rng.randint(2, 12))}


def ethereum_accounts(rng: random.Random) -> State:
    return _ethereum(rng, (({}) for _ in range(rng.randint(1, 8))))


def ethereum_contracts(rng: random.Random) -> State:
    return _ethereum(rng, (_slots(rng, rng.choice((0, 1, 2, 4))) for _ in range(rng.randint(1, 5))))


def ethereum_one_slot(rng: random.Random) -> State:
    """The smallest storage tries, and where an account and its only slot part."""
    return _ethereum(rng, (_slots(rng, 1) for _ in range(rng.randint(1, 5))))


def ethereum_giant(rng: random.Random) -> State:
    """One contract with nearly all leaves, between small accounts."""
    return _ethereum(rng, ({}, _slots(rng, rng.randint(6, 14)), {}))


def ethereum_inline(rng: random.Random) -> State:
    """Small numbers at slots that share 60 nibbles: storage leaves inside their branches."""
    prefix = rng.randbytes(30)
    near = {prefix + rng.randbytes(2): slot_value(rng.randint(1, 200)) for _ in range(rng.randint(2, 8))}
    return _ethereum(rng, (near, {}))


def ethereum_clustered(rng: random.Random) -> State:
    """Accounts and slots that share nearly all of their key, zeros next to the bounds included."""
    prefix = rng.randbytes(31)
    state: State = {}
    for last in rng.sample(range(256), rng.randint(1, 4)):
        start = bytes(31) if rng.random() < 0.5 else rng.randbytes(31)
        slots = {start + bytes((at,)): slot_value(1 + at) for at in rng.sample((0, 1, 2, 16, 17), rng.randint(0, 4))}
        state |= _account(rng, prefix + bytes((last,)), slots)
    return state


def _slots(rng: random.Random, count: int) -> State:
    return {rng.randbytes(32): slot_value(rng.getrandbits(rng.choice((8, 200))) + 1) for _ in range(count)}


def _ethereum(rng: random.Random, storages: Iterable[State]) -> State:
    state: State = {}
    for storage in storages:
        state |= _account(rng, rng.randbytes(32), storage)
    return state


def _account(rng: random.Random, key: bytes, storage: State) -> State:
    code = rng.randbytes(32) if storage and rng.random() < 0.8 else b""
    slim = slim_account(rng.getrandbits(rng.choice((0, 6, 64))), rng.getrandbits(rng.choice((0, 100))), storage, code)
    return {key: slim} | {key + slot: value for slot, value in storage.items()}


def _ethereum_value(rng: random.Random, key: bytes) -> bytes:
    if len(key) == 64:
        return slot_value(rng.randint(1, 2**64))
    return slim_account(rng.randrange(2**16), rng.getrandbits(64), {})


def _ethereum_forms(value: bytes) -> list[bytes]:
    """A number in a longer form; a slim account with its empty hashes written out, emptied or zero-led."""
    if value[0] < 0xC0:
        return [b"\x81" + value, b"\0" + value, rlp(value)]
    nonce, balance, storage, code = unslim(value)
    empty_storage, empty_code = EthereumModel.empty_root, EthereumModel.empty_code
    return [
        rlp([nonce, balance, storage or empty_storage, code]),
        rlp([nonce, balance, storage, code or empty_code]),
        rlp([nonce, balance, storage or empty_storage, code or empty_code]),
        rlp([nonce, balance, storage or [], code or []]),
        rlp([b"\0" + nonce, balance, storage, code]),
        rlp([nonce, b"\0" + balance, storage, code]),
    ]


GENERATORS: dict[str, Generators] = {
    "mkvs": Generators(
        {"uniform": mkvs_uniform, "clustered": mkvs_clustered, "nested": mkvs_nested, "dense": mkvs_dense},
        lambda rng, _: rng.randbytes(rng.randint(0, 5)),
    ),
    "mpt": Generators(
        {"uniform": mpt_uniform, "clustered": mpt_clustered, "nested": mpt_nested, "inline": mpt_inline},
        lambda rng, _: rng.randbytes(rng.randint(1, 40)),
    ),
    "ethereum": Generators(
        {
            "accounts": ethereum_accounts,
            "contracts": ethereum_contracts,
            "one_slot": ethereum_one_slot,
            "giant": ethereum_giant,
            "inline": ethereum_inline,
            "clustered": ethereum_clustered,
        },
        _ethereum_value,
        _ethereum_forms,
    ),
}

KINDS = [(name, kind) for name, generators in GENERATORS.items() for kind in generators.kinds]
"""(scheme, kind of state): the parameters of every property over all schemes."""


def random_world(name: str, kind: str, rng: random.Random) -> World:
    return make_world(name, GENERATORS[name].kinds[kind](rng))


def kernel_names() -> list[str]:
    """The kernels of this installation."""
    names = []
    for name in ("reference", "native"):
        with suppress(KernelUnavailableError):
            names.append(get_kernel(name).name)
    return names
