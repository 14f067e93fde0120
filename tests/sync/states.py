"""States large enough to be cut, one a scheme, and what a test of checkpoints needs around them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from flatdb import HeightRecord
from proofs import get_scheme, leaf_items, state_root
from proofs.hashing import keccak256
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.manifest import Cut
from sync.root import Root
from tests.model import slim_account, slot_value

State = Mapping[bytes, bytes]
HEIGHT = 7
SCHEMES = ("mkvs", "mpt", "ethereum")


@dataclass(frozen=True)
class MemoryView:
    """A frozen view of a dict; `reads` counts the leaves that were read with their values."""

    state: State
    code: State = field(default_factory=dict)
    head: HeightRecord | None = None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(self.state.items()))

    def keys(self) -> Iterator[bytes]:
        return iter(sorted(self.state))

    def blob(self, digest: bytes) -> bytes | None:
        return self.code.get(digest)


def root_of(name: str, state: State) -> Root:
    return Root(name, "", b"", HEIGHT, state_root(get_scheme(name), leaf_items(sorted(state.items()))))


@cache
def state_of(name: str) -> MemoryView:
    """About 1,500 leaves, the same in every run."""
    return _BUILDERS[name](random.Random(f"state of {name}"))


def checkpoint(
    name: str, folder: Path, cut: Cut | None = None, view: MemoryView | None = None, *, workers: int = 1
) -> tuple[CheckpointStore, CheckpointInfo]:
    """A store with one checkpoint in it."""
    view = view or state_of(name)
    store = CheckpointStore.folder(folder)
    return store, create_checkpoint(view, root_of(name, view.state), store, cut=cut, workers=workers)


def _mkvs(rng: random.Random) -> MemoryView:
    """Keys inside keys, the empty key, empty values, one crowded prefix."""
    state = {rng.randbytes(rng.choice((1, 2, 3, 8, 40))): rng.randbytes(rng.randint(0, 60)) for _ in range(900)}
    crowd = rng.randbytes(5)
    state |= {crowd + rng.randbytes(rng.randint(0, 3)): b"" for _ in range(600)}
    return MemoryView(state | {b"": b"at the root"})


def _mpt(rng: random.Random) -> MemoryView:
    state = {rng.randbytes(rng.choice((2, 3, 32))): rng.randbytes(rng.choice((1, 2, 80))) for _ in range(1500)}
    return MemoryView(state)


def _ethereum(rng: random.Random) -> MemoryView:
    """Accounts, contracts that share code, and one giant with more slots than a piece of the spine."""
    codes = {keccak256(blob): blob for blob in (rng.randbytes(rng.randint(1, 300)) for _ in range(8))}
    state: dict[bytes, bytes] = {}
    for index in range(300):
        count = 700 if index == 150 else rng.choice((0, 0, 0, 1, 2, 9))
        slots = {rng.randbytes(32): slot_value(rng.getrandbits(rng.choice((4, 250))) + 1) for _ in range(count)}
        code = rng.choice(list(codes)) if slots else b""
        key = rng.randbytes(32)
        state[key] = slim_account(rng.getrandbits(6), rng.getrandbits(64), slots, code)
        state |= {key + slot: value for slot, value in slots.items()}
    unused = rng.randbytes(50)
    return MemoryView(state, codes | {keccak256(unused): unused})


_BUILDERS = {"mkvs": _mkvs, "mpt": _mpt, "ethereum": _ethereum}
