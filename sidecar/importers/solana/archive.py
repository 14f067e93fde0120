"""The outside of a Solana snapshot archive: a tar in one zstd stream, read once, front to back.

Decides which entries may be in there at all. Nothing is ever unpacked to a path: names are matched, never followed.
Long-name, link, device and sparse entries are refused by their type, before their size is believed; so are bombs,
by the bytes and entries that come out, not by what went in. Headers are judged by `tarfile`; the stream is walked
here, because `tarfile` would read an extended header of any size into memory.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol

import zstandard

from sidecar.errors import InvalidImportError

__all__ = ["ArchiveEntry", "SnapshotLimits", "read_archive"]

_BLOCK = tarfile.BLOCKSIZE
_COPY_BYTES = 1 << 20
_WINDOW_BYTES_MAX = 128 * 2**20
_FILES = re.compile(r"version|snapshots/status_cache|(?:snapshots/[0-9]{1,20}/|accounts/[0-9]{1,20}\.)[0-9]{1,20}")
_FOLDERS = re.compile(r"(?:snapshots|snapshots/[0-9]{1,20}|accounts)/?")


@dataclass(frozen=True, slots=True)
class SnapshotLimits:
    """What one archive may cost, checked before the work."""

    unpacked_bytes_max: int = 4 * 2**40
    entry_count_max: int = 5_000_000
    manifest_bytes_max: int = 8 * 2**30
    """The manifest is held in memory as a whole."""


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes: ...


class ArchiveEntry:
    """One file of an archive, readable until the next one is asked for."""

    def __init__(self, name: str, size: int, stream: _Unpacked) -> None:
        self.name = name
        self.size = size
        self._stream = stream
        self._left = size

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or fewer at the end of the file.

        Raises:
            InvalidImportError: the archive ends first.
        """
        size = min(size, self._left)
        self._left -= size
        return self._stream.read(size)

    def skip(self) -> None:
        """Pass over what was not read, and the padding."""
        while self._left:
            self.read(_COPY_BYTES)
        self._stream.read(-self.size % _BLOCK)


class _Unpacked:
    """The decompressed stream: whole reads, counted."""

    def __init__(self, source: Readable, limits: SnapshotLimits) -> None:
        self._source = source
        self._left = limits.unpacked_bytes_max
        self.at = 0

    def read(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._part(size)
            if not part:
                raise InvalidImportError(f"archive at byte {self.at}", "ends inside an entry")
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self) -> None:
        """Read on behind the end mark: padding, and at the frame's end its checksum, which only this makes count."""
        while part := self._part(_COPY_BYTES):
            if part.strip(b"\0"):
                raise InvalidImportError(f"archive at byte {self.at - len(part)}", "goes on behind its end mark")

    def _part(self, size: int) -> bytes:
        """At least one byte and at most `size`, or nothing at the stream's end."""
        try:
            part = self._source.read(size)
        except zstandard.ZstdError as error:
            raise InvalidImportError(f"archive at byte {self.at}", f"damaged zstd stream: {error}") from error
        self.at += len(part)
        self._left -= len(part)
        if self._left < 0:
            raise InvalidImportError(f"archive at byte {self.at}", "unpacks to more bytes than allowed")
        return part


def read_archive(file: IO[bytes], limits: SnapshotLimits) -> Iterator[ArchiveEntry]:
    """The files of an archive in its own order; folders are checked and passed over.

    Raises:
        InvalidImportError: an entry that no snapshot holds, a name twice, a limit, or a damaged stream.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
    with decompressor.stream_reader(file, read_across_frames=True, closefd=False) as source:
        stream = _Unpacked(source, limits)
        seen = set[str]()
        while (header := _header(stream)) is not None:
            if len(seen) >= limits.entry_count_max:
                raise InvalidImportError(header.name, "the archive has more entries than allowed")
            if header.name in seen:
                raise InvalidImportError(header.name, "stands twice in the archive")
            seen.add(header.name)
            if header.isdir():
                continue
            entry = ArchiveEntry(header.name, header.size, stream)
            yield entry
            entry.skip()
        stream.finish()


def _header(stream: _Unpacked) -> tarfile.TarInfo | None:
    """The next header, or None at the end mark; only plain files and folders with known names pass."""
    at = stream.at
    block = stream.read(_BLOCK)
    if not any(block):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise InvalidImportError(f"archive at byte {at}", f"no tar header: {error}") from error
    is_file = header.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and _FILES.fullmatch(header.name)
    is_folder = header.type == tarfile.DIRTYPE and _FOLDERS.fullmatch(header.name) and not header.size
    if not is_file and not is_folder:
        raise InvalidImportError(ascii(header.name), "no snapshot archive holds such an entry")
    if header.size < 0:
        raise InvalidImportError(header.name, "has a negative size")
    return header
