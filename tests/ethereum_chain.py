"""A chain executed by py-evm, with every way in which Ethereum deletes state; its write logs in two manners.

py-evm runs the transactions and names the root of every block; py-trie walks the tries that it left, which gives the
leaves. Not a line of the packages under test decides what a state or its root is. Blocks up to SHANGHAI_LAST are of
Shanghai, where SELFDESTRUCT takes the storage along and CREATE2 may put a new contract at the old address within the
same block; later ones are of Cancun, where it takes only what the same transaction made (EIP-6780).
"""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import rlp
from eth.abc import AtomicDatabaseAPI
from eth.chains.base import MiningChain
from eth.db.atomic import AtomicDB
from eth.vm.forks.cancun import CancunVM
from eth.vm.forks.shanghai import ShanghaiVM
from eth_keys.datatypes import PrivateKey
from eth_typing import Address
from trie.hexary import HexaryTrie
from trie.iter import NodeIterator

from flatdb import WriteLog
from tests.model import EthereumModel, keccak256

# Importing py-evm raises the limit past what the C stack holds, so that hostile JSON would crash every later test of
# this process instead of being refused. Its calls nest a few levels here.
sys.setrecursionlimit(1000)

SHANGHAI_LAST = 24
CANCUN_COUNT = 6

SENDER_KEY = PrivateKey(b"\1" * 32)
SENDER = Address(SENDER_KEY.public_key.to_canonical_address())
FACTORY = Address(b"\xfa" * 20)
HOLDERS = [Address(keccak256(b"holder %d" % number)[:20]) for number in range(40)]
EMPTY_ACCOUNTS = [Address(keccak256(b"empty %d" % number)[:20]) for number in range(4)]
CREATE = Address(b"")
CONTRACT_COUNT = 9

# CREATE2 of the code behind the first word, which is the salt:
#   (CALLDATASIZE - 32) DUP1 32 0 CALLDATACOPY, calldata[0] SWAP1 0 0 CREATE2 STOP
FACTORY_CODE = bytes.fromhex("3660209003 8060203d37 3d35903d3d f500")
# Without calldata SELFDESTRUCT in favour of the caller; else SSTORE for each pair of words (slot, value):
#   CALLDATASIZE ISZERO @26 JUMPI, 0; @7: SSTORE(calldata[i], calldata[i + 32]), i += 64, CALLDATASIZE > i @7 JUMPI STOP
#   @26: CALLER SELFDESTRUCT
CONTRACT_CODE = bytes.fromhex("3615601a57 6000 5b 8060200135813555 604001 803611600757 00 5b33ff")
CONTRACT_INIT = bytes.fromhex("601d8060093d393df3") + CONTRACT_CODE
# A contract that stores a word and destroys itself before it exists: SSTORE(1, 1) CALLER SELFDESTRUCT
FLEETING_INIT = bytes.fromhex("6001600155 33ff")

Manner = Literal["listed", "implied"]
"""How a write log tells deletions.

`listed`: the difference of two states, every leaf that went away by its key, without a clear. `implied`: as little as
the chain's rules allow: no slot of an account that is gone or left without storage, and a clear where an account was
destroyed and has storage again.
"""


@dataclass(frozen=True)
class Height:
    """One block: its state, as a mirror should hold it, and what happened to accounts in it."""

    number: int
    root: bytes
    state: dict[bytes, bytes]
    code: dict[bytes, bytes]
    """New code by hash."""
    destroyed: frozenset[bytes] = frozenset()
    """Keys of accounts that were destroyed by SELFDESTRUCT, whatever became of them later in the block."""
    asked: frozenset[bytes] = frozenset()
    """Keys of contracts that executed SELFDESTRUCT."""

    def slots(self, owner: bytes) -> dict[bytes, bytes]:
        """An account's leaves but its own."""
        return {key: value for key, value in self.state.items() if key[:32] == owner and len(key) == 64}


def write_log(before: Height | None, after: Height, manner: Manner) -> WriteLog:
    """What takes the state of one height to the next's. `before` is None at genesis."""
    old = before.state if before else {}
    writes = {
        key: after.state.get(key) for key in old.keys() | after.state.keys() if old.get(key) != after.state.get(key)
    }
    clear: set[bytes] = set()
    if manner == "implied" and before:
        bare = {key for key in old.keys() | after.state.keys() if len(key) == 32 and not after.slots(key)}
        writes = {key: value for key, value in writes.items() if len(key) == 32 or key[:32] not in bare}
        clear = {owner for owner in after.destroyed - bare if before.slots(owner)}
        for owner in clear:
            writes = {key: value for key, value in writes.items() if key[:32] != owner}
            writes |= {owner: after.state[owner], **after.slots(owner)}
    return WriteLog(
        height=after.number,
        parent_root=before.root if before else None,
        root=after.root,
        clear=tuple(sorted(clear)),
        writes=tuple(sorted(writes.items())),
        code=tuple(sorted(after.code.items())),
    )


def make_chain(seed: int = 0) -> list[Height]:
    """Genesis, SHANGHAI_LAST blocks of drawn deletions under Shanghai's rules, CANCUN_COUNT under Cancun's."""
    with warnings.catch_warnings():
        # py-evm tells with every SELFDESTRUCT that it goes out of fashion.
        warnings.simplefilter("ignore", DeprecationWarning)
        return list(_Chain(random.Random(seed)).heights())


@dataclass
class _Chain:
    rng: random.Random
    nonce: int = 0
    deployed: set[int] = field(default_factory=set)
    destroyed: set[bytes] = field(default_factory=set)
    asked: set[bytes] = field(default_factory=set)
    code: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules = ((0, ShanghaiVM), (SHANGHAI_LAST + 1, CancunVM))
        configured = MiningChain.configure(__name__="DeletionChain", vm_configuration=rules, chain_id=1)
        header: dict[str, Any] = {
            "difficulty": 0,
            "gas_limit": 30_000_000,
            "timestamp": 1_700_000_000,
            "coinbase": b"\xcb" * 20,
        }
        accounts: dict[Address, Any] = {SENDER: _account(10**24), FACTORY: _account(0, nonce=1, code=FACTORY_CODE)}
        accounts |= {address: _account(10**18) for address in HOLDERS}
        accounts |= {address: _account(0) for address in EMPTY_ACCOUNTS}
        evm = configured.from_genesis(AtomicDB(), header, accounts)
        assert isinstance(evm, MiningChain)
        self.evm = evm
        self.code_seen: set[bytes] = set()

    def heights(self) -> Iterator[Height]:
        yield self.height(0, self.evm.get_canonical_head().state_root)
        for number in range(1, SHANGHAI_LAST + CANCUN_COUNT + 1):
            self.act(number)
            block = self.evm.mine_block()
            yield self.height(number, getattr(block, "block", block).header.state_root)

    def height(self, number: int, root: bytes) -> Height:
        """Walk what the block left."""
        state: dict[bytes, bytes] = {}
        code: dict[bytes, bytes] = {}
        for owner, encoded in _leaves(self.evm.chaindb.db, root):
            nonce, balance, storage_root, code_hash = rlp.decode(encoded)
            slots = dict(_leaves(self.evm.chaindb.db, storage_root))
            state |= {owner + slot: value for slot, value in slots.items()}
            bare = b"" if storage_root == EthereumModel.empty_root else storage_root
            state[owner] = rlp.encode(
                [nonce, balance, bare, b"" if code_hash == EthereumModel.empty_code else code_hash]
            )
            if code_hash not in self.code_seen | {EthereumModel.empty_code}:
                self.code_seen.add(code_hash)
                code[code_hash] = self.evm.chaindb.db[code_hash]
        done = Height(number, root, state, code, frozenset(self.destroyed), frozenset(self.asked))
        self.destroyed, self.asked = set(), set()
        return done

    def act(self, number: int) -> None:
        """Some transactions of one block."""
        self.send(self.rng.choice(HOLDERS), value=self.rng.randint(1, 10**9))
        if number % 7 == 3:
            self.send(EMPTY_ACCOUNTS[number // 7])
        if number % 5 == 0:
            self.send(CREATE, FLEETING_INIT)
        for contract in self.rng.sample(range(CONTRACT_COUNT), 5):
            if contract not in self.deployed:
                self.deploy(contract)
            else:
                self.rng.choice((self.write, self.zero, self.empty, self.destroy, self.recreate, self.fund_ruin))(
                    contract
                )

    def deploy(self, contract: int) -> None:
        """Some of them with storage, some without, and some that do not outlive the block."""
        self.send(FACTORY, contract.to_bytes(32) + CONTRACT_INIT)
        self.deployed.add(contract)
        if self.rng.random() < 0.8:
            self.write(contract)
        if self.rng.random() < 0.1:
            self.destroy(contract)

    def write(self, contract: int) -> None:
        """Values of two kinds, so that some trie nodes are hashed and some stand inside their parents.

        A slot's first value is always the same: a contract that comes again has leaves that it had before.
        """
        numbers = self.rng.sample(range(40), self.rng.randint(1, 20))
        self.store(contract, {number: number ** (30 if number % 2 else 1) + 1 for number in numbers})

    def zero(self, contract: int) -> None:
        self.store(contract, dict.fromkeys(self.rng.sample(range(40), 12), 0))

    def empty(self, contract: int) -> None:
        self.store(contract, dict.fromkeys(range(40), 0))

    def destroy(self, contract: int) -> None:
        self.send(_address(contract))
        if keccak256(_address(contract)) in self.destroyed:
            self.deployed.discard(contract)

    def recreate(self, contract: int) -> None:
        """Under Cancun nothing is destroyed, and the deployment fails: the old contract stays."""
        self.destroy(contract)
        self.deploy(contract)

    def fund_ruin(self, contract: int) -> None:
        """Destroyed, and in the same block somebody sends money there: an account without code or storage."""
        self.destroy(contract)
        self.send(_address(contract), value=5, data=bytes(64) if contract in self.deployed else b"")

    def store(self, contract: int, slots: dict[int, int]) -> None:
        words = b"".join(slot.to_bytes(32) + value.to_bytes(32) for slot, value in slots.items())
        self.send(_address(contract), words, value=self.rng.randint(0, 3))

    def send(self, to: Address, data: bytes = b"", value: int = 0) -> None:
        unsigned = self.evm.create_unsigned_transaction(
            nonce=self.nonce, gas_price=10**10, gas=2_000_000, to=to, value=value, data=data
        )
        self.nonce += 1
        *_, computation = self.evm.apply_transaction(unsigned.as_signed_transaction(SENDER_KEY))
        self.destroyed |= {keccak256(address) for address in computation.get_accounts_for_deletion()}
        if not data and not value and computation.msg.code:
            self.asked.add(keccak256(to))


def _account(balance: int, *, nonce: int = 0, code: bytes = b"") -> dict[str, Any]:
    return {"balance": balance, "nonce": nonce, "code": code, "storage": {}}


def _address(contract: int) -> Address:
    """EIP-1014."""
    return Address(keccak256(b"\xff" + FACTORY + contract.to_bytes(32) + keccak256(CONTRACT_INIT))[12:])


def _leaves(db: AtomicDatabaseAPI, root: bytes) -> Iterator[tuple[bytes, bytes]]:
    yield from NodeIterator(HexaryTrie(db, root)).items()
