"""The accounts hash that the lattice replaced: a 16-ary SHA-256 tree over account hashes in address order.

Kept for archives of that time. It covers the rent epoch, which the lattice does not.
Source: agave `accounts-db/src/accounts_hash.rs`.
"""

from __future__ import annotations

import hashlib

from proofs.blake3_hash import blake3_256
from proofs.schemes.solana import LAMPORTS_BYTES

__all__ = ["FANOUT", "AccountsTree", "account_hash"]

FANOUT = 16


def account_hash(address: bytes, rent_epoch: int, leaf: bytes) -> bytes:
    """The hash of one live account, from its leaf's value and the rent epoch beside it."""
    return blake3_256(leaf[:LAMPORTS_BYTES] + rent_epoch.to_bytes(8, "little") + leaf[LAMPORTS_BYTES:] + address)


class AccountsTree:
    """The tree over account hashes, one at a time in address order. Memory: one group a level.

    Groups of `fanout` are hashed level by level until one hash is left; a last group may be short, a single leaf is
    hashed once, and nothing at all is the SHA-256 of nothing.
    """

    def __init__(self, fanout: int = FANOUT) -> None:
        self._fanout = fanout
        self._levels: list[list[bytes]] = [[]]

    def add(self, digest: bytes) -> None:
        """Take the next leaf (32 bytes)."""
        level = 0
        while True:
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(digest)
            if len(self._levels[level]) < self._fanout:
                return
            digest = _hash(self._levels[level])
            self._levels[level] = []
            level += 1

    def root(self) -> bytes:
        """The root over the leaves so far."""
        carry: list[bytes] = []
        for level, pending in enumerate(self._levels):
            group = pending + carry
            if len(group) == 1 and 0 < level == len(self._levels) - 1:
                return group[0]
            carry = [_hash(group)] if group else []
        return carry[0] if carry else _hash([])


def _hash(group: list[bytes]) -> bytes:
    return hashlib.sha256(b"".join(group)).digest()
