"""A checkpoint chunk opened: what its proof shows, what it only names, and the root that all of it folds to.

Compares nothing with a trusted root: that is the caller's. The definition; the native kernel has its twin
(`proofs.kernel`), because this is the hot loop of a restore.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proofs.errors import MalformedProofError
from proofs.fold import LEAF, Item
from proofs.leafrun import LeafRun
from proofs.oasis.proof import fold_items, open_entries


@dataclass(frozen=True, slots=True)
class OpenedChunk:
    """What a chunk claims. It is true of a state whose root hash is `root`, and of no other."""

    root: bytes
    leaves: LeafRun
    named: list[Item]
    """Subtrees known by their hash only, in key order. With `leaves` they cover the key space."""


def open_chunk(plain: bytes, *, entries_max: int, depth_max: int) -> OpenedChunk:
    """A chunk's CBOR items, decompressed: the entries of a version 0 proof, in order.

    Around the one run of leaves that a chunk shows, at most one subtree a side and level is left open. More are
    refused: each has a path of up to 8 kB, which 35 bytes can ask for.

    Raises:
        ProofError: not such items, more than `entries_max`, below more than `depth_max` edges, or no trie's.
    """
    items: list[Item] = []
    named: list[Item] = []
    for item in open_entries(read_entries(plain, entries_max), 0, depth_max=depth_max):
        items.append(item)
        if item[2] != LEAF:
            named.append(item)
            if len(named) > 2 * depth_max + 1:
                raise MalformedProofError("more subtrees left open than lie around one run of leaves")
    shown = [item for item in items if item[2] == LEAF]
    return OpenedChunk(fold_items(items), LeafRun([item[0] for item in shown], [item[1] for item in shown]), named)


def read_entries(plain: bytes, entries_max: int) -> Iterator[bytes | None]:
    """The CBOR byte strings and nulls of a chunk, headers in shortest form.

    Raises:
        MalformedProofError: anything else, a truncated item, or too many.
    """
    offset = count = 0
    while offset < len(plain):
        count += 1
        if count > entries_max:
            raise MalformedProofError(f"more than {entries_max} entries", offset)
        head = plain[offset]
        offset += 1
        if head == 0xF6:
            yield None
            continue
        if 0x40 <= head < 0x58:
            size = head - 0x40
        elif 0x58 <= head <= 0x5A:
            width = 1 << head - 0x58
            size = int.from_bytes(plain[offset : offset + width])
            offset += width
            if size < (24, 1 << 8, 1 << 16)[head - 0x58]:
                raise MalformedProofError("a size that is not in its shortest form", offset)
        else:
            raise MalformedProofError("neither a byte string nor null", offset)
        if offset + size > len(plain):
            raise MalformedProofError("truncated", offset)
        yield plain[offset : offset + size]
        offset += size
