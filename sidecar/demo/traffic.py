"""Generated traffic: heights on top of a state, each with the root that its leaves fold to.

A *chapter* is one height and a sentence about what happens in it. Everything is drawn from one seeded generator, so a
demo is the same everywhere. The leaves are kept in a plain dict here, which is what every root is computed from: the
mirror's own roots come from its database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from flatdb import WriteLog
from proofs import Scheme, frontier_root, get_kernel, get_scheme, leaf_run
from proofs.hashing import keccak256
from proofs.rlp import encode_integer
from proofs.schemes.ethereum import EMPTY_CODE, Account
from proofs.schemes.mpt import EMPTY_ROOT

__all__ = ["HEIGHT_COUNT", "Chapter", "ethereum_chapters", "mkvs_chapters"]

HEIGHT_COUNT = 20
TRANSFERS = 12
ETHER = 10**18

MKVS_LEAVES = 12_000
MKVS_WRITES = 150


@dataclass(frozen=True, slots=True)
class Chapter:
    """One height and what happens in it."""

    write_log: WriteLog
    caption: str


@dataclass(slots=True)
class World:
    """All leaves of a chain at its last height, and what has changed since."""

    scheme: Scheme
    height: int
    root: bytes
    leaves: dict[bytes, bytes]
    changed: dict[bytes, bytes | None] = field(default_factory=dict)
    cleared: set[bytes] = field(default_factory=set)
    code: dict[bytes, bytes] = field(default_factory=dict)

    def put(self, key: bytes, value: bytes) -> None:
        self.leaves[key] = self.changed[key] = value

    def delete(self, key: bytes) -> None:
        del self.leaves[key]
        self.changed[key] = None

    def forget_below(self, prefix: bytes) -> None:
        """Drop leaves that the chain's rules clear: the write log does not name them one by one."""
        for key in [key for key in self.leaves if key.startswith(prefix) and key != prefix]:
            del self.leaves[key]
            self.changed.pop(key, None)

    def clear(self, prefix: bytes) -> None:
        """Drop every leaf under `prefix`, and say so in the write log."""
        self.forget_below(prefix)
        self.leaves.pop(prefix, None)
        self.changed.pop(prefix, None)
        self.cleared.add(prefix)

    def seal(self) -> WriteLog:
        """End the height."""
        parent, self.root = self.root, root_of(self.scheme, self.leaves)
        self.height += 1
        write_log = WriteLog(
            height=self.height,
            parent_root=parent,
            root=self.root,
            clear=tuple(sorted(self.cleared)),
            writes=tuple(sorted(self.changed.items())),
            code=tuple(sorted(self.code.items())),
        )
        self.changed, self.cleared, self.code = {}, set(), {}
        return write_log


def root_of(scheme: Scheme, leaves: dict[bytes, bytes]) -> bytes:
    """Root hash of these leaves."""
    return frontier_root(scheme, get_kernel().frontier(scheme, leaf_run(sorted(leaves.items()))))


class Contract:
    """An account with code and storage. Its leaf is written by `store`, after the slots of the height."""

    def __init__(self, world: World, name: str, rng: Random) -> None:
        self.name = name
        self.owner = keccak256(name.encode())
        self._world = world
        self._rng = rng
        self._slots: dict[bytes, bytes] = {}
        self._code_hash = EMPTY_CODE

    @property
    def is_alive(self) -> bool:
        return self.owner in self._world.leaves

    def deploy(self, slot_count: int) -> None:
        blob = self._rng.randbytes(self._rng.randint(200, 2000))
        self._code_hash = keccak256(blob)
        self._world.code[self._code_hash] = blob
        self.write(range(slot_count))

    def write(self, slots: range) -> None:
        """Give the slots numbered so new values; most are small, so that their trie nodes are too."""
        for number in slots:
            value = encode_integer(self._rng.choice((self._rng.randint(1, 200), self._rng.getrandbits(256) | 1)))
            key = keccak256(number.to_bytes(32))
            self._slots[key] = value
            self._world.put(self.owner + key, value)
        self.store()

    def zero(self, count: int) -> int:
        """Set `count` slots (fewer if there are not as many) to zero, which deletes them."""
        gone = self._rng.sample(sorted(self._slots), min(count, len(self._slots)))
        for key in gone:
            del self._slots[key]
            self._world.delete(self.owner + key)
        self.store()
        return len(gone)

    def destroy(self) -> None:
        """The account goes; that its slots go with it is implied."""
        self._slots.clear()
        self._world.forget_below(self.owner)
        self._world.delete(self.owner)

    def recreate(self, slot_count: int) -> None:
        """Destroyed and deployed anew within one height: the old slots go, and only `clear` says so."""
        self._slots.clear()
        self._world.clear(self.owner)
        self.deploy(slot_count)

    def store(self) -> None:
        storage_root = root_of(get_scheme("mpt"), self._slots) if self._slots else EMPTY_ROOT
        self._world.put(self.owner, Account(1, ETHER, storage_root, self._code_hash).slim())


def ethereum_chapters(genesis: WriteLog, *, seed: int = 1) -> Iterator[Chapter]:
    """Height 0, then HEIGHT_COUNT heights of transfers and contracts. `genesis` has a root and no deletes."""
    assert genesis.root is not None
    rng = Random(seed)  # noqa: S311  (reproducible traffic, no secrets)
    leaves = {key: value for key, value in genesis.writes if value is not None}
    world = World(get_scheme("ethereum"), genesis.height, genesis.root, leaves)
    holders = sorted(key for key in leaves if len(key) == 32)
    yield Chapter(genesis, f"genesis: {len(leaves):,} accounts")
    token, auction, escrow = (Contract(world, name, rng) for name in ("token", "auction", "escrow"))
    for step in range(1, HEIGHT_COUNT + 1):
        caption = _contract_step(step, token, auction, escrow)
        for _ in range(TRANSFERS):
            _transfer(world, rng.choice(holders), rng.choice(holders), rng)
        yield Chapter(world.seal(), f"{TRANSFERS} transfers, {caption}")


def _contract_step(step: int, token: Contract, auction: Contract, escrow: Contract) -> str:
    """What contracts do at a height: the deletions that a mirror gets wrong most easily are all here."""
    match step:
        case 1:
            token.deploy(300)
            return "a token with 300 slots is deployed"
        case 2:
            auction.deploy(80)
            escrow.deploy(40)
            return "an auction and an escrow are deployed"
        case 7:
            escrow.destroy()
            return "the escrow is destroyed with its 40 slots"
        case 11:
            auction.recreate(25)
            return "the auction is destroyed and re-created"
        case 14:
            escrow.deploy(15)
            return "the escrow comes back at its old address"
        case 17:
            gone = auction.zero(100)
            return f"all {gone} slots of the auction are set to zero"
    if step % 3 == 0:
        return f"{token.zero(20)} slots of the token are set to zero"
    token.write(range(step * 15, step * 15 + 40))
    return "40 slots of the token are written"


def _transfer(world: World, sender: bytes, receiver: bytes, rng: Random) -> None:
    giver = Account.from_slim(sender, world.leaves[sender])
    amount = rng.randint(0, giver.balance)
    world.put(sender, Account(giver.nonce + 1, giver.balance - amount, giver.storage_root, giver.code_hash).slim())
    taker = Account.from_slim(receiver, world.leaves[receiver])
    world.put(receiver, Account(taker.nonce, taker.balance + amount, taker.storage_root, taker.code_hash).slim())


def mkvs_chapters(*, seed: int = 1) -> Iterator[Chapter]:
    """A generated Oasis-like state (modules as key prefixes, keys that begin with other keys), then its traffic."""
    rng = Random(seed)  # noqa: S311  (reproducible traffic, no secrets)
    scheme = get_scheme("mkvs")
    world = World(scheme, 0, scheme.empty_root, {})
    for _ in range(MKVS_LEAVES):
        world.put(_mkvs_key(rng), rng.randbytes(rng.randint(0, 120)))
    yield Chapter(world.seal(), f"a first state of {len(world.leaves):,} leaves")
    for _ in range(HEIGHT_COUNT):
        gone = rng.sample(sorted(world.leaves), MKVS_WRITES // 3)
        for key in gone:
            world.delete(key)
        for _ in range(MKVS_WRITES):
            world.put(_mkvs_key(rng), rng.randbytes(rng.randint(0, 120)))
        yield Chapter(world.seal(), f"{MKVS_WRITES} leaves are written, {len(gone)} deleted")


def _mkvs_key(rng: Random) -> bytes:
    module = bytes((rng.randint(0x40, 0x58),))
    return module + rng.randbytes(rng.choice((1, 2, 20, 32)))
