"""Ethereum genesis allocations: accounts, code and storage of a genesis file as the write log of height 0.

Reads what geth reads: a whole genesis with `alloc`, or the allocation alone; addresses with or without 0x; an account
as an object of `balance`, `nonce`, `code` and `storage`, or as its balance alone. Slots that are zero are no slots.
Accounts without anything in them are kept, as geth keeps them in a genesis block.
Source: go-ethereum, core/types/account.go and core/genesis.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from flatdb import WriteLog
from proofs import get_scheme, leaf_items, state_root
from proofs.hashing import keccak256
from proofs.rlp import encode_integer
from proofs.schemes.ethereum import EMPTY_CODE, Account
from sidecar.errors import InvalidImportError
from sidecar.importers.json_input import parse_bytes, parse_document, parse_number, parse_object, parse_word

__all__ = ["convert_genesis"]

ACCOUNT_FIELDS = frozenset(("balance", "nonce", "code", "storage", "secretKey"))
"""What an account may hold; `secretKey` is what old test files carry, and geth ignores."""

_ADDRESS_BYTES = 20


def convert_genesis(document: bytes) -> WriteLog:
    """The write log of height 0 with the root that the allocation folds to.

    Raises:
        InvalidImportError
    """
    whole = parse_object("document", parse_document(document))
    alloc = parse_object("alloc", whole["alloc"]) if "alloc" in whole else whole
    leaves: dict[bytes, bytes] = {}
    code: dict[bytes, bytes] = {}
    for name, account in alloc.items():
        where = f"alloc.{name[:44]}"
        owner = keccak256(parse_bytes(where, name, size=_ADDRESS_BYTES))
        if owner in leaves:
            raise InvalidImportError(where, "the same address stands twice, written in two ways")
        _add_account(where, owner, account, leaves, code)
    writes = tuple(sorted(leaves.items()))
    root = state_root(get_scheme("ethereum"), leaf_items(writes))
    return WriteLog(height=0, root=root, writes=writes, code=tuple(sorted(code.items())))


def _add_account(
    where: str, owner: bytes, untrusted: object, leaves: dict[bytes, bytes], code: dict[bytes, bytes]
) -> None:
    fields = {"balance": untrusted} if isinstance(untrusted, str | int) else parse_object(where, untrusted)
    # Null is absent, as in geth.
    fields = {name: value for name, value in fields.items() if value is not None}
    unknown = sorted(set(fields) - ACCOUNT_FIELDS)
    if unknown:
        raise InvalidImportError(where, f"an account has no field {unknown[0]!r}")
    slots = _slots(f"{where}.storage", parse_object(f"{where}.storage", fields.get("storage", {})))
    blob = parse_bytes(f"{where}.code", fields.get("code", ""))
    account = Account(
        nonce=parse_number(f"{where}.nonce", fields.get("nonce", 0), bits_max=64),
        balance=parse_number(f"{where}.balance", fields.get("balance", 0), bits_max=256),
        storage_root=state_root(get_scheme("mpt"), leaf_items(sorted(slots.items()))),
        code_hash=keccak256(blob) if blob else EMPTY_CODE,
    )
    if blob:
        code[account.code_hash] = blob
    leaves[owner] = account.slim()
    leaves.update((owner + slot, value) for slot, value in slots.items())


def _slots(where: str, storage: Mapping[str, object]) -> dict[bytes, bytes]:
    """keccak(slot) -> RLP of its value, without the zero ones."""
    slots: dict[bytes, bytes] = {}
    seen = set[bytes]()
    for name, untrusted in storage.items():
        slot = keccak256(parse_word(where, name))
        if slot in seen:
            raise InvalidImportError(where, f"the slot {name[:66]} stands twice, written in two ways")
        seen.add(slot)
        number = int.from_bytes(parse_word(f"{where}.{name[:66]}", untrusted))
        if number:
            slots[slot] = encode_integer(number)
    return slots
