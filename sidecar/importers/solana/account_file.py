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
from sidecar.importers.solana.archive import ArchiveEntry

__all__ = ["StoredAccount", "read_accounts"]

_HEADER = struct.Struct("<QQ32sQQ32sB7x32s")
_ALIGN = 8


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """One stored record. Without lamports it says that the account was closed."""

    address: bytes
    lamports: int
    rent_epoch: int
    owner: bytes
    executable: bool
    data: bytes

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
        _, data_size, address, lamports, rent_epoch, owner, executable, _ = _HEADER.unpack(entry.read(_HEADER.size))
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
        # The last record may end without its padding.
        padding = min(-data_size % _ALIGN, size - at - data_size)
        entry.read(padding)
        at += data_size + padding
        yield account_at, StoredAccount(address, lamports, rent_epoch, owner, bool(executable), data)
