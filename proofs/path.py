"""Where keys part: how a scheme reads a key as a path of digits.

A path knows digits, depths and bounds, and nothing of hashes. Three exist:

* `BitPath`      one digit a bit, most significant first (Oasis, JAM, NOMT)
* `NibblePath`   one digit a nibble, high one first (plain Merkle-Patricia tries)
* `AccountPath`  nibbles of keccak(address), then one *virtual* digit, then nibbles of keccak(slot):
                 the account's leaf sits at the branch in front of the virtual digit and its storage
                 trie below it, so that a fold inside a fold is one fold

Ordering rule: for every path, digit order is the plain byte order of the keys; a key that is a prefix
of another comes first. A *position* is the first `depth` digits of a key. Its bytes are these digits,
zero-padded to whole bytes (`bound`).
"""

from __future__ import annotations

from typing import Protocol


class Path(Protocol):
    """Digit geometry of a key space. All methods are pure and total on legal keys."""

    def digits(self, key: bytes) -> int:
        """Number of digits of `key`."""
        ...

    def digit(self, key: bytes, depth: int) -> int:
        """The digit of `key` at `depth`, 0 <= depth < digits(key)."""
        ...

    def parting(self, a: bytes, b: bytes) -> int:
        """How many leading digits `a` and `b` share."""
        ...

    def radix(self, depth: int) -> int:
        """How many children a branch at `depth` can have."""
        ...

    def bound(self, key: bytes, depth: int) -> bytes:
        """The smallest key that begins with the first `depth` digits of `key`, 0 <= depth <= digits(key)."""
        ...

    def child(self, key: bytes, depth: int, digit: int) -> bytes:
        """`bound` of the position: first `depth` digits of `key`, then `digit`."""
        ...

    def is_key(self, depth: int) -> bool:
        """Whether a whole key can end at `depth`: only there can a branch hold a value."""
        ...


class BitPath:
    """One digit a bit, most significant bit first."""

    def digits(self, key: bytes) -> int:
        return len(key) << 3

    def digit(self, key: bytes, depth: int) -> int:
        return key[depth >> 3] >> (7 - (depth & 7)) & 1

    def parting(self, a: bytes, b: bytes) -> int:
        size = len(a)
        if size != len(b):
            size = min(size, len(b))
            a, b = a[:size], b[:size]
        return (size << 3) - (int.from_bytes(a) ^ int.from_bytes(b)).bit_length()

    def radix(self, depth: int) -> int:
        return 2

    def bound(self, key: bytes, depth: int) -> bytes:
        whole, rest = divmod(depth, 8)
        if not rest:
            return key[:whole]
        return key[:whole] + bytes((key[whole] & (0xFF00 >> rest) & 0xFF,))

    def child(self, key: bytes, depth: int, digit: int) -> bytes:
        whole, rest = divmod(depth, 8)
        last = (key[whole] & (0xFF00 >> rest) & 0xFF) if rest else 0
        return key[:whole] + bytes((last | digit << (7 - rest),))

    def is_key(self, depth: int) -> bool:
        return not depth & 7


class NibblePath:
    """One digit a nibble, high nibble first."""

    def digits(self, key: bytes) -> int:
        return len(key) << 1

    def digit(self, key: bytes, depth: int) -> int:
        return key[depth >> 1] & 0x0F if depth & 1 else key[depth >> 1] >> 4

    def parting(self, a: bytes, b: bytes) -> int:
        size = len(a)
        if size != len(b):
            size = min(size, len(b))
            a, b = a[:size], b[:size]
        return (size << 1) - ((int.from_bytes(a) ^ int.from_bytes(b)).bit_length() + 3 >> 2)

    def radix(self, depth: int) -> int:
        return 16

    def bound(self, key: bytes, depth: int) -> bytes:
        return key[: depth >> 1] + bytes((key[depth >> 1] & 0xF0,)) if depth & 1 else key[: depth >> 1]

    def child(self, key: bytes, depth: int, digit: int) -> bytes:
        whole = depth >> 1
        return key[:whole] + bytes((key[whole] & 0xF0 | digit,) if depth & 1 else (digit << 4,))

    def is_key(self, depth: int) -> bool:
        return not depth & 1


ACCOUNT_DIGITS = 64
"""Depth at which an account key ends: its leaf is the value of the branch there."""
STORAGE_DEPTH = ACCOUNT_DIGITS + 1
"""Depth of an account's whole storage trie, one virtual digit below the account."""
_ACCOUNT_SIZE = 32


class AccountPath(NibblePath):
    """Nibbles of an account key, one virtual digit (always 0), nibbles of a slot key.

    Keys of at most 32 bytes are (prefixes of) account keys, longer ones are an account key followed by
    (a prefix of) a slot key. The bound of a whole storage trie is the account key and one zero byte: the
    smallest byte string after the account key itself.
    """

    def digits(self, key: bytes) -> int:
        return (len(key) << 1) + (len(key) > _ACCOUNT_SIZE)

    def digit(self, key: bytes, depth: int) -> int:
        if depth >= ACCOUNT_DIGITS:
            if depth == ACCOUNT_DIGITS:
                return 0
            depth -= 1
        return key[depth >> 1] & 0x0F if depth & 1 else key[depth >> 1] >> 4

    def parting(self, a: bytes, b: bytes) -> int:
        shared = super().parting(a, b)
        if shared < ACCOUNT_DIGITS or len(a) <= _ACCOUNT_SIZE or len(b) <= _ACCOUNT_SIZE:
            return shared
        return shared + 1

    def radix(self, depth: int) -> int:
        return 1 if depth == ACCOUNT_DIGITS else 16

    def bound(self, key: bytes, depth: int) -> bytes:
        if depth <= ACCOUNT_DIGITS:
            return super().bound(key, depth)
        if depth == STORAGE_DEPTH:
            return key[:_ACCOUNT_SIZE] + b"\0"
        return super().bound(key, depth - 1)

    def child(self, key: bytes, depth: int, digit: int) -> bytes:
        if depth < ACCOUNT_DIGITS:
            return super().child(key, depth, digit)
        if depth == ACCOUNT_DIGITS:
            return key[:_ACCOUNT_SIZE] + b"\0"
        return super().child(key, depth - 1, digit)

    def is_key(self, depth: int) -> bool:
        return depth == ACCOUNT_DIGITS
