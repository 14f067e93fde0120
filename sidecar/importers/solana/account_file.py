"""One account file of a Solana snapshot: stored accounts, one after the other, each aligned to 8 bytes.

Knows bytes, not which record wins. Only so many bytes count as the manifest says; behind them old files hold
garbage. Source: agave `accounts-db/src/append_vec.rs`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from proofs.schemes.solana import DATA_BYTES_MAX, AccountLeaf
from sidecar.errors import InvalidImportError
from sidecar.importers.solana.accounts_hash import account_hash
from sidecar.importers.solana.archive import ArchiveEntry

__all__ = [
    "ALIGN_BYTES",
    "AT_ADDRESS",
    "AT_DATA",
    "AT_DATA_SIZE",
    "AT_EXECUTABLE",
    "AT_LAMPORTS",
    "AT_OWNER",
    "StoredAccount",
    "read_accounts",
]

_HEADER = struct.Struct("<QQ32sQQ32sB7x32s")
AT_DATA_SIZE, AT_ADDRESS, AT_LAMPORTS, AT_OWNER, AT_EXECUTABLE = 8, 16, 48, 64, 96
"""Where the fields of a record begin."""
AT_DATA = _HEADER.size
ALIGN_BYTES = 8


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """One stored record. Without lamports it says that the account was closed."""

    address: bytes
    lamports: int
    rent_epoch: int
    owner: bytes
    executable: bool
    data: bytes
    padding: bytes = b""
    """What follows the data up to the next record."""

    def leaf(self) -> bytes | None:
        """The leaf's value, or None where the account is gone."""
        if not self.lamports:
            return None
        return AccountLeaf(self.lamports, self.owner, self.executable, self.data).encode()


def read_accounts(entry: ArchiveEntry, size: int) -> Iterator[tuple[int, StoredAccount]]:
    """(offset, account) for the first `size` bytes of the file.

    Raises:
        InvalidImportError: the file is shorter, or a record that no validator writes.
    """
    if entry.size < size:
        raise InvalidImportError(entry.name, f"has {entry.size} bytes; the manifest says {size}")
    at = 0
    while at < size:
        where = f"{entry.name} at byte {at}"
        if size - at < _HEADER.size:
            raise InvalidImportError(where, "ends inside an account")
        account_at = at
        _, data_size, address, lamports, rent_epoch, owner, executable, own_hash = _HEADER.unpack(
            entry.read(_HEADER.size)
        )
        if data_size > DATA_BYTES_MAX:
            raise InvalidImportError(where, f"an account has at most {DATA_BYTES_MAX} bytes of data, not {data_size}")
        at += _HEADER.size
        if data_size > size - at:
            raise InvalidImportError(where, "ends inside an account's data")
        data = entry.read(data_size)
        if executable > 1:
            raise InvalidImportError(where, f"the executable byte is 0 or 1, not {executable}")
        if not lamports and (data or executable or rent_epoch or any(owner)):
            raise InvalidImportError(where, "a closed account still has an owner, data or a rent epoch")
        if not lamports and not any(address):
            raise InvalidImportError(where, "zeros where an account should be")
        # The last record may end without its padding.
        padding = entry.read(min(-data_size % ALIGN_BYTES, size - at - data_size))
        at += data_size + len(padding)
        account = StoredAccount(address, lamports, rent_epoch, owner, bool(executable), data, padding)
        _check_own_hash(where, account, own_hash)
        yield account_at, account


def _check_own_hash(where: str, account: StoredAccount, own_hash: bytes) -> None:
    """Records had their own hash until Agave 3; since then it is zero. That of a closed account says nothing."""
    leaf = account.leaf()
    if leaf is None or not any(own_hash):
        return
    computed = account_hash(account.address, account.rent_epoch, leaf)
    if computed != own_hash:
        raise InvalidImportError(where, f"the account's hash is {computed.hex()}; its record says {own_hash.hex()}")
