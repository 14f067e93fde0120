"""JAM block headers, as far as a mirror needs them: where they end, which state they name, what they hash to.

A header carries the *prior* state root: it attests the state before its block. The state after block n is attested
by the header of block n + 1 only. Source: Gray Paper 0.7.x, section 5 and appendix C.
"""

from __future__ import annotations

from dataclasses import dataclass

from proofs.errors import MalformedProofError
from proofs.natural import decode_natural
from proofs.schemes.jam import blake2b_256

__all__ = ["FULL", "TINY", "ChainSpec", "Header", "decode_header"]

_HASH = 32
_VALIDATOR_BYTES = 64
_TICKET_BYTES = 33
_ENTROPY_SOURCE_BYTES = 96
_SEAL_BYTES = 96
_FIXED_BYTES = 3 * _HASH + 4


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """Sizes that a header's encoding depends on."""

    validator_count: int
    epoch_slots: int


TINY = ChainSpec(validator_count=6, epoch_slots=12)
FULL = ChainSpec(validator_count=1023, epoch_slots=600)


@dataclass(frozen=True, slots=True)
class Header:
    """The fields that place a block: its parent, the state before it, its slot."""

    hash: bytes
    parent: bytes
    parent_state_root: bytes
    slot: int


def decode_header(data: bytes, at: int = 0, *, spec: ChainSpec = TINY) -> tuple[Header, int]:
    """(header, position behind it) of the header at `at`.

    Raises:
        MalformedProofError
    """
    begin, at = at, at + _FIXED_BYTES
    for size in (2 * _HASH + spec.validator_count * _VALIDATOR_BYTES, spec.epoch_slots * _TICKET_BYTES):
        if at >= len(data) or data[at] > 1:
            raise MalformedProofError("an optional mark of a header is there or not", at)
        at += 1 + data[at] * size
    offenders, at = decode_natural(data, at + 2 + _ENTROPY_SOURCE_BYTES)
    at += offenders * _HASH + _SEAL_BYTES
    if at > len(data):
        raise MalformedProofError("ends inside a header", len(data))
    slot = int.from_bytes(data[begin + 3 * _HASH : begin + _FIXED_BYTES], "little")
    parent, root = data[begin : begin + _HASH], data[begin + _HASH : begin + 2 * _HASH]
    return Header(blake2b_256(data[begin:at]), parent, root, slot), at
