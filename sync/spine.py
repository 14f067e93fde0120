"""Spine: the small subtrees of each chunk, so that a proof hashes a few leaves instead of a whole chunk.

For every chunk it lists the maximal closed subtrees of at most PIECE_LEAVES leaves, in key order: how many leaves
each has, and its reference. Together with a chunk's own proof nodes that is the frontier of everything on either side
of any leaf, but for the one subtree that the leaf is in. A spine is derived from the chunks, beside the checkpoint,
and in no manifest: nobody trusts it. A proof built with a wrong one does not verify, and is built again without.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from proofs import NODE, VALUE, Item, Kernel, LeafRun, MalformedProofError, Scheme, cbor
from sync.errors import FormatError, UnsupportedFormatError
from sync.limits import Limits

__all__ = ["PIECE_LEAVES", "SPINE_FORMAT", "SpinePiece", "SpineReader", "SpineWriter", "split_run"]

SPINE_FORMAT: Final = 1
PIECE_LEAVES: Final = 512
"""Hashing so many leaves costs a proof about as much as reading and expanding their chunk."""

HEADER: Final = struct.Struct("<B7xQ")
"""Format, seven zero bytes, number of chunks; then that many + 1 offsets, then the sections."""
OFFSET: Final = struct.Struct("<Q")

_WHAT: Final = "spine"


class SpineSource(Protocol):
    """Stored bytes of a spine, a part at a time."""

    def __call__(self, *, start: int, size: int) -> bytes: ...


class SpinePiece(NamedTuple):
    """One closed subtree: the next `leaf_count` leaves of the chunk. `kind` is NODE, or VALUE (one leaf)."""

    leaf_count: int
    depth: int
    kind: int
    payload: bytes

    def item(self, key: bytes) -> Item:
        """The same for `fold`; `key` is its first leaf's."""
        return key, self.payload, self.kind, self.depth


def split_run(
    scheme: Scheme, run: LeafRun, before: bytes | None, after: bytes | None, *, kernel: Kernel
) -> list[SpinePiece]:
    """The pieces of a run between its neighbours' keys. Every leaf is hashed once.

    Raises:
        InvalidLeafError: as `fold`.
    """
    return [SpinePiece(*piece) for piece in kernel.pieces(scheme, run, PIECE_LEAVES, before, after)]


def piece_items(spine_pieces: Sequence[SpinePiece], keys: Sequence[bytes]) -> list[Item]:
    """The pieces as items for `fold`; `keys` are those of their leaves."""
    starts = accumulate((piece.leaf_count for piece in spine_pieces), initial=0)
    return [piece.item(keys[start]) for piece, start in zip(spine_pieces, starts, strict=False)]


def encode_section(spine_pieces: Sequence[SpinePiece]) -> bytes:
    """Canonical CBOR: [[leaf count, depth, kind, payload]…]."""
    return cbor.encode([list(piece) for piece in spine_pieces])


def decode_section(untrusted: bytes, leaf_count: int, *, limits: Limits) -> tuple[SpinePiece, ...]:
    """The pieces of a chunk of `leaf_count` leaves.

    Raises:
        FormatError: not canonical, or the pieces do not add up to the chunk.
    """
    try:
        fields = cbor.decode(untrusted, size_max=limits.spine_bytes_max)
    except MalformedProofError as error:
        raise FormatError(_WHAT, error.reason) from error
    if not isinstance(fields, list):
        raise FormatError(_WHAT, "a section is a list of pieces")
    found = []
    for piece in fields:
        match piece:
            case [int(count), int(depth), int(kind), bytes(payload)] if count > 0 and kind in (NODE, VALUE):
                found.append(SpinePiece(count, depth, kind, payload))
            case _:
                raise FormatError(_WHAT, "a piece has a leaf count, a depth, a kind and a payload")
    if sum(piece.leaf_count for piece in found) != leaf_count:
        raise FormatError(_WHAT, "its pieces do not add up to their chunk")
    return tuple(found)


class SpineWriter:
    """Collects sections in key order in a file of its own; `finish` puts the index in front of them."""

    def __init__(self, directory: Path) -> None:
        self._sections = directory / "spine-sections"
        self._path = directory / "spine"
        self._file = self._sections.open("wb")
        self._ends = [0]

    def add(self, section: bytes) -> None:
        self._file.write(section)
        self._ends.append(self._ends[-1] + len(section))

    def finish(self) -> Path:
        """The finished file. Call it once, after the last section."""
        self._file.close()
        first = HEADER.size + OFFSET.size * len(self._ends)
        with self._path.open("wb") as out, self._sections.open("rb") as sections:
            out.write(HEADER.pack(SPINE_FORMAT, len(self._ends) - 1))
            out.writelines(OFFSET.pack(first + end) for end in self._ends)
            shutil.copyfileobj(sections, out)
        self._sections.unlink()
        return self._path

    def close(self) -> None:
        self._file.close()


class SpineReader:
    """Sections of one spine, read one at a time. `read(start, size)` gives its stored bytes."""

    def __init__(self, read: SpineSource, chunk_count: int, *, limits: Limits) -> None:
        self._read = read
        self._chunk_count = chunk_count
        self._limits = limits

    def section(self, index: int, leaf_count: int) -> tuple[SpinePiece, ...]:
        """The pieces of leaf chunk `index`, which has `leaf_count` leaves.

        Raises:
            CheckpointNotFoundError: there is no spine.
            FormatError: it is damaged, or of another checkpoint.
        """
        try:
            version, chunk_count = HEADER.unpack(self._read(start=0, size=HEADER.size))
            offsets = self._read(start=HEADER.size + OFFSET.size * index, size=2 * OFFSET.size)
            start, end = struct.unpack("<QQ", offsets)
        except struct.error as error:
            raise FormatError(_WHAT, "it ends inside its index") from error
        if version != SPINE_FORMAT:
            raise UnsupportedFormatError(_WHAT, version, (SPINE_FORMAT,))
        if chunk_count != self._chunk_count or not start <= end <= self._limits.spine_bytes_max:
            raise FormatError(_WHAT, "its index is not that of this checkpoint")
        return decode_section(self._read(start=start, size=end - start), leaf_count, limits=self._limits)
