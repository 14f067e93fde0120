"""The manifest of a Solana snapshot archive: a bank, and which account files make up its accounts.

Reads every field of the layout that Agave 2 to 4 write, to the last byte, and keeps those that identify the bank,
name the account files, or take part in a hash. Fields at the end may be missing: they came with later releases.
Source: agave `runtime/src/serde_snapshot`.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from proofs.lattice import ELEMENT_BYTES
from sidecar.importers.solana.bincode import BincodeReader

__all__ = ["Manifest", "StoredFile", "parse_manifest"]

_HASH = struct.Struct("<32s")
_BLOCKHASH = struct.Struct("<32sQQQ")
_PAIR = struct.Struct("<QQ")
_SLOT = struct.Struct("<Q")
_SLOT_HASH = struct.Struct("<Q32s")
_HISTORY = struct.Struct("<QQQQ")
_DELEGATION = struct.Struct("<32s32sQQQd")
_DELEGATION_WITH_CREDITS = struct.Struct("<32s32sQQQdQ")
_VOTERS = struct.Struct("<32s32s")
_EPOCH_SCHEDULE_BYTES = 33
_CLOCK_BYTES = 8 + 16 + 8 + 8 + 8
"""Ticks a slot, nanoseconds a slot, genesis time, slots a year, size of all accounts' data."""
_LEADER_BYTES = 32 + 16
_FEE_BYTES = 33 + 8
_RENT_BYTES = 8 + _EPOCH_SCHEDULE_BYTES + 8 + 17
_INFLATION_BYTES = 48
_BANK_BYTES = _LEADER_BYTES + _FEE_BYTES + _RENT_BYTES + _EPOCH_SCHEDULE_BYTES + _INFLATION_BYTES
_STATISTICS_BYTES = 40
_VOTE_ACCOUNT_BYTES_MIN = 32 + 8 + 8 + 8 + 32 + 1 + 8
_STORAGE_BYTES_MIN = 16
_EPOCH_BYTES_MIN = 12
_PERSISTENCE_BYTES = 88


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The one account file of a slot: `accounts/<slot>.<id>`, of which the first `size` bytes count."""

    slot: int
    id: int
    size: int

    @property
    def name(self) -> str:
        """In the archive."""
        return f"accounts/{self.slot}.{self.id}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a mirror needs of a bank. Untrusted: `bank_hash()` ties it to a hash that consensus vouches for."""

    slot: int
    block_height: int
    hash: bytes
    parent_hash: bytes
    parent_slot: int
    signature_count: int
    transaction_count: int
    capitalization: int
    last_blockhash: bytes | None
    hard_fork_slots: tuple[int, ...]
    files: tuple[StoredFile, ...]
    accounts_hash: bytes
    """The older 16-ary hash over all accounts; zero since the lattice replaced it."""
    lattice: bytes | None
    """The sum over all live accounts; None in archives older than it."""

    @property
    def entry_name(self) -> str:
        """Its own name in the archive."""
        return f"snapshots/{self.slot}/{self.slot}"

    def bank_hash(self) -> bytes | None:
        """The bank's hash from its parts (SIMD-0223), or None where the manifest does not hold them all.

        A bank at a hard fork mixes in the fork's count; it is not computed here.
        """
        if self.lattice is None or self.last_blockhash is None or self.slot in self.hard_fork_slots:
            return None
        head = self.parent_hash + self.signature_count.to_bytes(8, "little") + self.last_blockhash
        return hashlib.sha256(hashlib.sha256(head).digest() + self.lattice).digest()


def parse_manifest(where: str, data: bytes) -> Manifest:
    """Read a whole manifest; `where` names it in errors.

    Raises:
        InvalidImportError
    """
    read = BincodeReader(where, data)
    read.u64()
    last_blockhash = read.hash() if read.flag() else None
    _skip(read, _BLOCKHASH)
    read.u64()
    _skip(read, _PAIR)
    bank_hash, parent_hash, parent_slot = read.hash(), read.hash(), read.u64()
    hard_fork_slots = tuple(slot for slot, _ in read.records(_PAIR))
    transaction_count, _, signature_count, capitalization, _ = (read.u64() for _ in range(5))
    if read.flag():
        read.u64()
    read.take(_CLOCK_BYTES)
    slot, _, block_height = read.u64(), read.u64(), read.u64()
    read.take(_BANK_BYTES)
    _skip_stakes(read, _DELEGATION)
    for _ in range(4):
        if read.u64():
            raise read.error("holds sets that no supported release writes; use an archive of Agave 2 or later")
    read.flag()
    files = _files(read)
    read.u64()
    if read.u64() != slot:
        raise read.error("its accounts belong to another slot than its bank")
    read.hash()
    accounts_hash = read.hash()
    read.take(_STATISTICS_BYTES)
    _skip(read, _SLOT)
    _skip(read, _SLOT_HASH)
    return Manifest(
        slot=slot,
        block_height=block_height,
        hash=bank_hash,
        parent_hash=parent_hash,
        parent_slot=parent_slot,
        signature_count=signature_count,
        transaction_count=transaction_count,
        capitalization=capitalization,
        last_blockhash=last_blockhash,
        hard_fork_slots=hard_fork_slots,
        files=files,
        accounts_hash=accounts_hash,
        lattice=_trailing_lattice(read),
    )


def _skip(read: BincodeReader, layout: struct.Struct) -> None:
    read.take(read.count(layout.size) * layout.size)


def _skip_stakes(read: BincodeReader, delegation: struct.Struct) -> None:
    for _ in range(read.count(_VOTE_ACCOUNT_BYTES_MIN)):
        read.take(48)
        read.take(read.u64())
        read.take(41)
    _skip(read, delegation)
    read.take(16)
    _skip(read, _HISTORY)


def _files(read: BincodeReader) -> tuple[StoredFile, ...]:
    """The account files; a slot has exactly one."""
    files = []
    seen = set[int]()
    for _ in range(read.count(_STORAGE_BYTES_MIN)):
        slot, count = read.u64(), read.count(16)
        if count != 1 or slot in seen:
            raise read.error(f"slot {slot} has more than one account file, or none")
        seen.add(slot)
        files.append(StoredFile(slot, read.u64(), read.u64()))
    return tuple(files)


def _trailing_lattice(read: BincodeReader) -> bytes | None:
    """The optional fields after the accounts, up to the end of the manifest; only the lattice is kept."""
    lattice = None
    if read.remaining:
        read.u64()
    if read.remaining and read.flag():
        read.take(_PERSISTENCE_BYTES)
    if read.remaining and read.flag():
        read.hash()
    if read.remaining:
        for _ in range(read.count(_EPOCH_BYTES_MIN)):
            _skip_epoch(read)
    if read.remaining and read.flag():
        lattice = read.take(ELEMENT_BYTES)
    if read.remaining and read.flag():
        read.hash()
    if read.remaining:
        raise read.error(f"{read.remaining} bytes follow the last known field")
    return lattice


def _skip_epoch(read: BincodeReader) -> None:
    read.u64()
    if tag := read.u32():
        raise read.error(f"epoch stakes of an unknown kind {tag}")
    _skip_stakes(read, _DELEGATION_WITH_CREDITS)
    read.u64()
    for _ in range(read.count(48)):
        read.hash()
        _skip(read, _HASH)
        read.u64()
    _skip(read, _VOTERS)
