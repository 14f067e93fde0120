"""Names of Solana snapshot archives: slot, base slot and hash. All of base58 is here."""

from __future__ import annotations

import re
from dataclasses import dataclass

import base58

from sidecar.errors import InvalidImportError

__all__ = ["SnapshotName", "address_bytes", "address_text", "parse_name"]

_NAME = re.compile(
    r"(?:snapshot|incremental-snapshot-(?P<base>[0-9]{1,20}))-(?P<slot>[0-9]{1,20})"
    r"-(?P<hash>[1-9A-HJ-NP-Za-km-z]{32,44})\.tar\.zst"
)


@dataclass(frozen=True, slots=True)
class SnapshotName:
    """What an archive's name claims. `base_slot` is None for a full snapshot."""

    slot: int
    base_slot: int | None
    hash: bytes

    def __str__(self) -> str:
        kind = "snapshot" if self.base_slot is None else f"incremental-snapshot-{self.base_slot}"
        return f"{kind}-{self.slot}-{address_text(self.hash)}.tar.zst"


def parse_name(name: str) -> SnapshotName:
    """Read a file name, without folders.

    Raises:
        InvalidImportError: not a name that a validator gives, or a hash that is not 32 bytes.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InvalidImportError(name, "expected [incremental-]snapshot-[<base slot>-]<slot>-<hash>.tar.zst")
    base_slot = None if match["base"] is None else int(match["base"])
    return SnapshotName(int(match["slot"]), base_slot, address_bytes(name, match["hash"]))


def address_bytes(where: str, text: str) -> bytes:
    """The 32 bytes of an address or hash in base58; `where` names it in errors.

    Raises:
        InvalidImportError
    """
    try:
        data = base58.b58decode(text)
    except ValueError as error:
        raise InvalidImportError(where, "not base58") from error
    if len(data) != 32:
        raise InvalidImportError(where, f"{len(data)} bytes, not 32")
    return data


def address_text(data: bytes) -> str:
    """Base58, as Solana shows addresses and hashes."""
    return base58.b58encode(data).decode()
