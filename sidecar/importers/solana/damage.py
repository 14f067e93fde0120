"""Which byte of an archive is damaged, found from the sum alone.

The manifest holds the sum over all accounts as it should be, so the difference to the sum as it is is known. If one
byte is wrong, the repaired account's element is what was found plus this difference: every account that one changed
byte can make is tried, and a match of 1,024 lanes is no accident. Lamports and lengths have few candidates; owners
and addresses 255 a byte; of data first all single bits, then all other bytes. The work is bounded in hashed bytes,
small accounts go first, and what does not fit is not tried. No files here: offsets are those of the account file's
layout, which `account_file` reads.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from proofs import lattice
from proofs.blake3_hash import blake3_extended
from proofs.schemes.solana import FIXED_BYTES, LAMPORTS_BYTES, OWNER_BYTES, AccountLeaf
from sidecar.importers.solana.account_file import (
    ALIGN_BYTES,
    AT_ADDRESS,
    AT_DATA,
    AT_DATA_SIZE,
    AT_EXECUTABLE,
    AT_LAMPORTS,
    AT_OWNER,
)
from sidecar.importers.solana.stored_record import ADDRESS_BYTES, StoredRecord

__all__ = ["WORK_BYTES_MAX", "Damage", "Difference", "find_damage"]

WORK_BYTES_MAX = 12 * 2**30
"""Bytes hashed at most: a few seconds."""
_CALL_BYTES = 512
"""What trying one candidate costs beside its bytes, as bytes."""
_CHEAP_COUNT = 12
"""Candidates of the first pass, for each account: at most."""
_KEPT_BYTES_MAX = 64 * 2**20
_PREFIX_BYTES = 64
_BITS = tuple(1 << bit for bit in range(8))
_ALL = tuple(range(1, 256))


@dataclass(frozen=True, slots=True)
class Difference:
    """What the accounts lack: the sum (2,048 bytes) and the lamports, as it should be less as it is.

    `before` gives the leaf that an address had before the records: that of the base, for an incremental archive.
    """

    lattice: bytes
    lamports: int
    before: Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Damage:
    """Byte `offset` of the file of `slot` is `found` and should be `repaired`: then everything adds up.

    Without bytes: the record that begins at `offset` should not be there. `address` is the account's own, repaired.
    """

    slot: int
    offset: int
    address: bytes
    found: int | None = None
    repaired: int | None = None


def find_damage(
    records: Iterable[StoredRecord], difference: Difference, work_bytes_max: int = WORK_BYTES_MAX
) -> Damage | None:
    """The one damage that explains the difference; None if there is no single one or the work allowed is done.

    `records` are all, in key order. Memory: the smallest accounts, 64 MiB of them.
    """
    search = _Search(difference, work_bytes_max)
    return search.cheap(records) or search.surplus() or search.addresses_and_owners() or search.data()


class _Search:
    """Steps in the order of `find_damage`; the first gathers what the others look through."""

    def __init__(self, difference: Difference, work_bytes_max: int) -> None:
        self._difference = difference
        self._left = work_bytes_max
        self._kept: list[StoredRecord] = []
        """Winners, smallest first."""
        self._known: dict[bytes, StoredRecord] = {}
        self._surplus: StoredRecord | None = None

    def cheap(self, records: Iterable[StoredRecord]) -> Damage | None:
        """One pass: lamports, the executable byte, the data's size, and whether a whole record is too much."""
        kept: list[tuple[int, int, StoredRecord]] = []
        size = 0
        for number, (address, history) in enumerate(groupby(records, attrgetter("address"))):
            previous, winner = _last_two(history)
            before = self._difference.before(address) if previous is None else previous.leaf
            if self._pay(_CHEAP_COUNT, _size(winner)) and (damage := self._cheap(winner, before)):
                return damage
            if self._left < _CHEAP_COUNT * (FIXED_BYTES + ADDRESS_BYTES + _CALL_BYTES):
                break
            heapq.heappush(kept, (-_size(winner), number, winner))
            size += _size(winner)
            while size > _KEPT_BYTES_MAX:
                size += heapq.heappop(kept)[0]
        self._kept = [record for _, _, record in sorted(kept, reverse=True)]
        self._known = {record.address: record for record in self._kept}
        return None

    def _cheap(self, record: StoredRecord, before: bytes | None) -> Damage | None:
        target = self._target(record)
        for damage, leaf in self._other_fields(record):
            if _is_element(target, leaf, record.address):
                return damage
        if _is_element(target, before, record.address):
            self._surplus = record
        return None

    def _other_fields(self, record: StoredRecord) -> Iterator[tuple[Damage, bytes | None]]:
        """Each repair of lamports, executable byte or data size, with the leaf that it makes."""
        leaf = record.leaf or AccountLeaf(0, bytes(OWNER_BYTES), False, b"").encode()
        found = int.from_bytes(leaf[:LAMPORTS_BYTES], "little")
        lamports = found + self._difference.lamports
        at = _only_byte(found, lamports)
        # Without lamports nothing else may be left of an account.
        if at is not None and (lamports or not any(leaf[LAMPORTS_BYTES:])):
            repaired = lamports.to_bytes(LAMPORTS_BYTES, "little")
            whole = repaired + leaf[LAMPORTS_BYTES:] if lamports else None
            yield _at(record, AT_LAMPORTS + at, leaf[at], repaired[at]), whole
        if record.leaf is None:
            return
        at = len(leaf) - OWNER_BYTES - 1
        yield _at(record, AT_EXECUTABLE, leaf[at], 1 - leaf[at]), leaf[:at] + bytes((1 - leaf[at],)) + leaf[at + 1 :]
        size = at - LAMPORTS_BYTES
        data = leaf[LAMPORTS_BYTES:at] + record.padding
        # Another size counts only if the next record stays where it is.
        end = size + -size % ALIGN_BYTES
        for other in range(max(end - ALIGN_BYTES + 1, 0), len(data) + 1):
            if (byte := _only_byte(size, other)) is not None:
                damage = _at(record, AT_DATA_SIZE + byte, size >> 8 * byte & 255, other >> 8 * byte & 255)
                yield damage, leaf[:LAMPORTS_BYTES] + data[:other] + leaf[at:]

    def surplus(self) -> Damage | None:
        """A record too much: named, or the byte that took it from a neighbour's address, where a newer one hid it.

        Beside a neighbour that is closed either of the two addresses may be the damaged one, so that none is named.
        """
        record = self._surplus
        if record is None:
            return None
        for index, value, address in _neighbours(record.address):
            other = self._known.get(address)
            if other is not None and other.leaf is not None and other.place > record.place:
                return _at(record, AT_ADDRESS + index, record.address[index], value, address)
        return Damage(record.slot, record.offset, record.address)

    def addresses_and_owners(self) -> Damage | None:
        """Every other byte at every place of address and owner."""
        for record in self._kept:
            if not self._pay(255 * (ADDRESS_BYTES + OWNER_BYTES), _size(record)):
                break
            if damage := self._address(record) or self._owner(record):
                return damage
        return None

    def _address(self, record: StoredRecord) -> Damage | None:
        """The record belongs to another account, and hides there what is summed now."""
        target = self._target(record)
        for index, value, address in _neighbours(record.address):
            hidden = self._known.get(address)
            old = self._difference.before(address) if hidden is None else hidden.leaf
            wanted = target if old is None else lattice.add(target, lattice.element(old + address))
            if _is_element(wanted, record.leaf, address):
                return _at(record, AT_ADDRESS + index, record.address[index], value, address)
        return None

    def _owner(self, record: StoredRecord) -> Damage | None:
        if record.leaf is None:
            return None
        first = len(record.leaf) - OWNER_BYTES
        return self._bytes(record, range(first, len(record.leaf)), AT_OWNER - first, _ALL)

    def data(self) -> Damage | None:
        """Single bits of the data wherever they can be afforded, then all other bytes."""
        for changes in (_BITS, _ALL):
            for record in self._kept:
                size = 0 if record.leaf is None else len(record.leaf) - FIXED_BYTES
                if not self._pay(len(changes) * size, _size(record)):
                    break
                places = range(LAMPORTS_BYTES, LAMPORTS_BYTES + size)
                if damage := self._bytes(record, places, AT_DATA - LAMPORTS_BYTES, changes):
                    return damage
        return None

    def _bytes(self, record: StoredRecord, places: range, shift: int, changes: tuple[int, ...]) -> Damage | None:
        """Every change of a byte of the leaf at these places, which lie `shift` bytes further on in the record."""
        target = self._target(record)
        prefix = target[:_PREFIX_BYTES]
        body = bytearray((record.leaf or b"") + record.address)
        for place in places:
            found = body[place]
            for change in changes:
                body[place] = found ^ change
                if blake3_extended(body, _PREFIX_BYTES) == prefix and lattice.element(bytes(body)) == target:
                    return _at(record, place + shift, found, found ^ change)
            body[place] = found
        return None

    def _target(self, record: StoredRecord) -> bytes:
        """What the element of this record's account must be, if this record is the damaged one."""
        if record.leaf is None:
            return self._difference.lattice
        return lattice.add(self._difference.lattice, lattice.element(record.leaf + record.address))

    def _pay(self, count: int, size: int) -> bool:
        """Take the price of `count` candidates of `size` bytes; False, and nothing taken, if too little is left."""
        price = count * (size + _CALL_BYTES)
        if price > self._left:
            return False
        self._left -= price
        return True


def _last_two(history: Iterable[StoredRecord]) -> tuple[StoredRecord | None, StoredRecord]:
    previous, winner = None, None
    for record in history:
        previous, winner = winner, record
    assert winner is not None
    return previous, winner


def _is_element(target: bytes, leaf: bytes | None, address: bytes) -> bool:
    """Whether `target` is what this account adds to the sum."""
    if leaf is None:
        return target == lattice.IDENTITY
    body = leaf + address
    return blake3_extended(body, _PREFIX_BYTES) == target[:_PREFIX_BYTES] and lattice.element(body) == target


def _neighbours(address: bytes) -> Iterator[tuple[int, int, bytes]]:
    """All addresses that differ in one byte: its index, its other value, the address."""
    for index, found in enumerate(address):
        for value in range(256):
            if value != found:
                yield index, value, address[:index] + bytes((value,)) + address[index + 1 :]


def _only_byte(a: int, b: int) -> int | None:
    """The index of the only little-endian byte in which two unsigned 64-bit numbers differ."""
    changed = a ^ b
    if b < 0 or b >> 64 or not changed:
        return None
    at = (changed.bit_length() - 1) // 8
    return None if changed & ((1 << 8 * at) - 1) else at


def _size(record: StoredRecord) -> int:
    return len(record.leaf or b"") + ADDRESS_BYTES


def _at(record: StoredRecord, at: int, found: int, repaired: int, address: bytes | None = None) -> Damage:
    return Damage(record.slot, record.offset + at, address or record.address, found, repaired)
