"""Natural numbers as JAM writes them (Gray Paper, appendix C): 1 to 9 bytes, small numbers short.

The first byte says in its leading ones how many bytes follow, and holds the number's top bits. One number has one
form; every longer one is refused.
"""

from __future__ import annotations

from proofs.errors import MalformedProofError

NATURAL_MAX = 2**64 - 1
NATURAL_BYTES_MAX = 9


def encode_natural(number: int) -> bytes:
    """The 1 to 9 bytes of `number`, 0 <= number <= NATURAL_MAX."""
    for size in range(8):
        if number < 1 << 7 * (size + 1):
            head = 256 - (1 << 8 - size) + (number >> 8 * size)
            return bytes((head,)) + (number & (1 << 8 * size) - 1).to_bytes(size, "little")
    return b"\xff" + number.to_bytes(8, "little")


def decode_natural(data: bytes, at: int) -> tuple[int, int]:
    """(number, position behind it) of the number at `at`.

    Raises:
        MalformedProofError: cut off, or not the shortest form.
    """
    if at >= len(data):
        raise MalformedProofError("ends where a number should be", at)
    head = data[at]
    size = 8 - (head ^ 0xFF).bit_length()
    tail = data[at + 1 : at + 1 + size]
    if len(tail) < size:
        raise MalformedProofError("ends inside a number", at)
    number = int.from_bytes(tail, "little")
    if size < 8:
        number |= (head & (1 << 7 - size) - 1) << 8 * size
    if size and number < 1 << 7 * size:
        raise MalformedProofError("a number is not in its shortest form", at)
    return number, at + 1 + size
