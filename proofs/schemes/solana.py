"""`solana-lattice`: Solana's accounts under the accounts lattice hash (SIMD-0215).

The root is the checksum of a sum over accounts that knows neither order nor place, so a reference here is a partial
sum (2,048 bytes), a branch adds up its slots, and lifting changes nothing. Such a sum is easy to complete to any
total: whoever picks the rest picks the answer. So no opaque node proves anything, `check_ref` refuses them all, and
the only range proof that verifies is that of the whole state, which needs none. `Capabilities.additive` says so to
the layers above.

Leaf: key = account address (32 bytes), value = `lamports u64le | data | executable u8 | owner 32`: just the bytes
that the hash covers, in its order, so that an element is the hash of value and key. An account without lamports does
not exist and contributes nothing: it is no leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proofs import lattice
from proofs.errors import InvalidLeafError, MalformedProofError
from proofs.path import NibblePath
from proofs.scheme import Capabilities, Write

KEY_BYTES = 32
LAMPORTS_BYTES = 8
OWNER_BYTES = 32
FIXED_BYTES = LAMPORTS_BYTES + 1 + OWNER_BYTES
DATA_BYTES_MAX = 10 * 2**20
VALUE_BYTES_MAX = FIXED_BYTES + DATA_BYTES_MAX


@dataclass(frozen=True, slots=True)
class AccountLeaf:
    """What the lattice commits to about one account, besides its address."""

    lamports: int
    owner: bytes
    executable: bool
    data: bytes

    def encode(self) -> bytes:
        """The leaf's value."""
        return self.lamports.to_bytes(LAMPORTS_BYTES, "little") + self.data + bytes((self.executable,)) + self.owner

    @classmethod
    def decode(cls, value: bytes) -> AccountLeaf:
        """The account in a leaf's value. Precondition: `SolanaLattice.check_leaf` accepted it."""
        return cls(
            lamports=int.from_bytes(value[:LAMPORTS_BYTES], "little"),
            owner=value[-OWNER_BYTES:],
            executable=bool(value[-OWNER_BYTES - 1]),
            data=value[LAMPORTS_BYTES : -OWNER_BYTES - 1],
        )


class SolanaLattice:
    """The additive scheme: references are partial sums, the root is the checksum of the total."""

    name = "solana-lattice"
    path = NibblePath()
    """Sums need no path; few and wide branches make the fewest additions."""
    empty_root = lattice.checksum(lattice.IDENTITY)
    capabilities = Capabilities(key_sizes=(KEY_BYTES, KEY_BYTES), value_bytes_max=VALUE_BYTES_MAX, additive=True)

    def check_leaf(self, key: bytes, value: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise InvalidLeafError(key, f"account addresses have {KEY_BYTES} bytes, not {len(key)}")
        if not FIXED_BYTES <= len(value) <= VALUE_BYTES_MAX:
            raise InvalidLeafError(key, f"an account has {FIXED_BYTES} to {VALUE_BYTES_MAX} bytes, not {len(value)}")
        if not any(value[:LAMPORTS_BYTES]):
            raise InvalidLeafError(key, "an account without lamports does not exist")
        if value[-OWNER_BYTES - 1] > 1:
            raise InvalidLeafError(key, "the executable byte is 0 or 1")

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        return lattice.element(value + key)

    def value(self, key: bytes, value: bytes) -> bytes:
        raise InvalidLeafError(key, "an account address cannot be the start of another")

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        return lattice.total(slot for slot in slots if slot is not None)

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        return ref

    def root(self, ref: bytes) -> bytes:
        return lattice.checksum(ref)

    def check_ref(self, ref: bytes) -> None:
        raise MalformedProofError("a sum has no opaque part that proves anything: only the whole state verifies")

    def check_value(self, key: bytes, payload: bytes) -> None:
        raise MalformedProofError("a sum has no branch that holds a value")

    def implied_clears(self, writes: Iterable[Write]) -> list[bytes]:
        return []

    def code_hash(self, key: bytes, value: bytes) -> bytes | None:
        return None
