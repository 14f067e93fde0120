"""`ethereum`: a state of accounts, each with its storage trie; one fold over both.

Keys are keccak(address) for an account (value: its slim RLP) and keccak(address) ‖ keccak(slot) for a slot (value:
RLP of the slot's value). On an `AccountPath` the account's leaf is the value of the branch at depth 64 and the
storage trie is that branch's only child, so the fold meets an account and its whole storage at one place:
`branch` at depth 64. There the storage root inside the leaf is compared with the one that the slots fold to, and
the answer is the account's leaf in the account trie. Source: Yellow Paper section 4.1; the slim form: devp2p snap/1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proofs.errors import InvalidLeafError, MalformedProofError
from proofs.hashing import keccak256
from proofs.path import ACCOUNT_DIGITS, STORAGE_DEPTH, AccountPath
from proofs.rlp import decode, encode_integer, encode_list, encode_string
from proofs.scheme import Capabilities, Write
from proofs.schemes.mpt import EMPTY_ROOT, branch_node, check_reference, extension_node, leaf_node, reference

EMPTY_CODE = keccak256(b"")
HASH_SIZE = 32
_NONCE_BYTES_MAX = 8
_BALANCE_BYTES_MAX = 32


@dataclass(frozen=True, slots=True)
class Account:
    """The four fields of an account leaf."""

    nonce: int
    balance: int
    storage_root: bytes = EMPTY_ROOT
    code_hash: bytes = EMPTY_CODE

    def slim(self) -> bytes:
        """RLP with empty strings for an empty storage root and empty code: the value of the leaf."""
        return self._encode(
            b"" if self.storage_root == EMPTY_ROOT else self.storage_root,
            b"" if self.code_hash == EMPTY_CODE else self.code_hash,
        )

    def full(self) -> bytes:
        """RLP with both hashes written out: what the account trie commits to."""
        return self._encode(self.storage_root, self.code_hash)

    def _encode(self, storage_root: bytes, code_hash: bytes) -> bytes:
        return encode_list(
            encode_integer(self.nonce)
            + encode_integer(self.balance)
            + encode_string(storage_root)
            + encode_string(code_hash)
        )

    @classmethod
    def from_slim(cls, key: bytes, slim: bytes) -> Account:
        """Decode strictly: the one encoding that `slim` would give, or a refusal.

        Raises:
            InvalidLeafError
        """
        try:
            fields = decode(slim)
        except MalformedProofError as error:
            raise InvalidLeafError(key, f"not a slim account: {error}") from error
        if not isinstance(fields, list) or len(fields) != 4:
            raise InvalidLeafError(key, "a slim account has four fields")
        nonce, balance, storage_root, code_hash = fields
        if not (
            isinstance(nonce, bytes)
            and isinstance(balance, bytes)
            and isinstance(storage_root, bytes)
            and isinstance(code_hash, bytes)
            and len(nonce) <= _NONCE_BYTES_MAX
            and len(balance) <= _BALANCE_BYTES_MAX
            and len(storage_root) in (0, HASH_SIZE)
            and len(code_hash) in (0, HASH_SIZE)
        ):
            raise InvalidLeafError(key, "a field of a slim account has the wrong size")
        account = cls(
            int.from_bytes(nonce),
            int.from_bytes(balance),
            storage_root or EMPTY_ROOT,
            code_hash or EMPTY_CODE,
        )
        if account.slim() != slim:
            raise InvalidLeafError(key, "a slim account is not in its one canonical form")
        return account


class Ethereum:
    """Accounts and their storage under one state root."""

    name = "ethereum"
    path = AccountPath()
    empty_root = EMPTY_ROOT
    capabilities = Capabilities(key_sizes=(HASH_SIZE, 2 * HASH_SIZE), value_bytes_max=110, code_digest=keccak256)

    def check_leaf(self, key: bytes, value: bytes) -> None:
        if len(key) == HASH_SIZE:
            Account.from_slim(key, value)
        elif len(key) == 2 * HASH_SIZE:
            _check_slot(key, value)
        else:
            raise InvalidLeafError(key, "keys have 32 bytes (account) or 64 bytes (account and slot)")

    def leaf(self, key: bytes, value: bytes, depth: int) -> bytes:
        if len(key) == HASH_SIZE:
            account = Account.from_slim(key, value)
            if account.storage_root != EMPTY_ROOT:
                raise InvalidLeafError(key, "the account names a storage root and has no slots")
            return reference(leaf_node(key, account.full(), depth))
        if depth < STORAGE_DEPTH:
            raise InvalidLeafError(key, "a slot without its account")
        return reference(leaf_node(key[HASH_SIZE:], value, depth - STORAGE_DEPTH))

    def value(self, key: bytes, value: bytes) -> bytes:
        return value

    def branch(self, slots: Sequence[bytes | None], value: bytes | None, key: bytes, start: int, depth: int) -> bytes:
        if depth == ACCOUNT_DIGITS:
            return reference(self.account_node(slots[0], value, key, start))
        if value is not None:
            raise InvalidLeafError(key, "a value inside the account trie or a storage trie")
        return self.lift(reference(branch_node(slots, None)), key, start, depth)

    def account_node(self, storage: bytes | None, value: bytes | None, key: bytes, start: int) -> bytes:
        """RLP of the account's node, once its storage is known.

        Raises:
            InvalidLeafError: no account leaf, or another storage root than the account's.
        """
        owner = key[:HASH_SIZE]
        if value is None:
            raise InvalidLeafError(owner, "slots without their account")
        account = Account.from_slim(owner, value)
        computed = EMPTY_ROOT if storage is None else self.root(storage)
        if computed != account.storage_root:
            raise InvalidLeafError(
                owner, f"its slots fold to {computed.hex()}, its leaf says {account.storage_root.hex()}"
            )
        return leaf_node(owner, account.full(), start)

    def lift(self, ref: bytes, key: bytes, start: int, depth: int) -> bytes:
        if depth == start:
            return ref
        if depth < ACCOUNT_DIGITS:
            return reference(extension_node(ref, key, start, depth))
        if start < STORAGE_DEPTH:
            raise InvalidLeafError(key[:HASH_SIZE], "slots without their account")
        return reference(extension_node(ref, key[HASH_SIZE:], start - STORAGE_DEPTH, depth - STORAGE_DEPTH))

    def root(self, ref: bytes) -> bytes:
        return ref if len(ref) == HASH_SIZE else keccak256(ref)

    def check_ref(self, ref: bytes) -> None:
        check_reference(ref)

    def check_value(self, key: bytes, payload: bytes) -> None:
        if len(key) != HASH_SIZE:
            raise MalformedProofError("only an account can be a value of a branch")
        Account.from_slim(key, payload)

    def implied_clears(self, writes: Iterable[Write]) -> list[bytes]:
        """The storage of every account that is deleted, or written with an empty storage root."""
        cleared = []
        for key, value in writes:
            if len(key) == HASH_SIZE and (value is None or Account.from_slim(key, value).storage_root == EMPTY_ROOT):
                cleared.append(key)
        return cleared

    def code_hash(self, key: bytes, value: bytes) -> bytes | None:
        if len(key) != HASH_SIZE:
            return None
        code = Account.from_slim(key, value).code_hash
        return None if code == EMPTY_CODE else code


def _check_slot(key: bytes, value: bytes) -> None:
    """A slot's value is the RLP of a non-zero integer of at most 32 bytes, in its shortest form."""
    try:
        number = decode(value)
    except MalformedProofError as error:
        raise InvalidLeafError(key, f"not the RLP of a slot's value: {error}") from error
    if not isinstance(number, bytes) or not 0 < len(number) <= HASH_SIZE or not number[0]:
        raise InvalidLeafError(key, "a slot holds a non-zero integer of at most 32 bytes, shortest form")
