"""All of the `blake3` library: BLAKE3 of 32 bytes and its extended output.

Both NOMT's default hasher and Solana's lattice hash build on it; nothing else imports the library.
"""

from __future__ import annotations

from blake3 import blake3

__all__ = ["blake3_256", "blake3_extended"]


def blake3_256(data: bytes) -> bytes:
    """Return the 32-byte BLAKE3 digest of `data`."""
    return blake3(data).digest()


def blake3_extended(data: bytes | bytearray, size: int) -> bytes:
    """Return the first `size` bytes of BLAKE3's extended output over `data`."""
    return blake3(data).digest(length=size)
