"""Chunk files from drafts: hashes put in their places, framed, and summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from proofs.hashing import sha512_256
from proofs.oasis.entries import NULL
from sync.oasis.draft import Draft
from sync.oasis.siblings import Position, Siblings
from sync.oasis.snappy import SnappyWriter

Sink = Callable[[int, bytes], object]
"""(chunk index, file bytes); may be called from several threads."""
_WORKERS = 2
_WAITING_MAX = 4


def emit(drafts: list[Draft], siblings: Siblings, spool: IO[bytes], sink: Sink) -> list[bytes]:
    """Give every chunk's file to `sink`; the digests in index order. Memory: a few chunks."""

    def finish(draft: Draft, own: list[bytes]) -> bytes:
        data = chunk_file(draft, own, siblings)
        sink(draft.index, data)
        return sha512_256(data)

    digests: list[bytes] = []
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="chunk") as pool:
        for start in range(0, len(drafts), _WAITING_MAX):
            some = drafts[start : start + _WAITING_MAX]
            digests += pool.map(finish, some, [_read(spool, draft) for draft in some])
    return digests


def chunk_file(draft: Draft, own: Iterable[bytes], siblings: Siblings) -> bytes:
    """The bytes of one chunk; `own` as `draft.own` says."""
    parts: list[bytes] = []
    snappy = SnappyWriter(parts.append)
    for part in draft.front:
        snappy.write(part if isinstance(part, bytes) else _named(siblings, part))
    for plain, (_, _, large) in zip(own, draft.own, strict=True):
        at = 0
        for offset, size in large:
            snappy.write_small(plain[at:offset])
            snappy.write(plain[offset : offset + size])
            at = offset + size
        snappy.write_small(plain[at:] if at else plain)
    for position in draft.back:
        snappy.write(_named(siblings, position))
    if not draft.own:
        snappy.write(NULL)  # the only chunk of an empty state
    snappy.flush()
    return b"".join(parts)


def _named(siblings: Siblings, position: Position) -> bytes:
    """The entry of a child that the chunk does not show: its hash, or null where there is none."""
    digest = siblings.get(position)
    return NULL if digest is None else b"\x58\x21\x02" + digest


def _read(spool: IO[bytes], draft: Draft) -> list[bytes]:
    found = []
    for offset, size, _ in draft.own:
        spool.seek(offset)
        found.append(spool.read(size))
    return found
