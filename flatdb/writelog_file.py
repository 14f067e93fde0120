"""Write-log files: a path's suffix says its encoding and compression; a bounded stream of write logs comes out.

`.ndjson` or `.cbor`, each with `.gz` or `.zst` behind it or nothing; `-` is NDJSON on standard input or output.
Memory stays at one write log and one decompression window, whatever the file claims: a compressed line is subject to
the same limit as a plain one. zstandard is imported here only.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import zstandard

from flatdb.errors import DatabaseAccessError, InvalidWriteLogError, UnknownSuffixError
from flatdb.types import StoreLimits, WriteLog
from flatdb.writelog import read_cbor, read_ndjson, write_cbor, write_ndjson

__all__ = ["STANDARD_STREAM", "read_write_logs", "save_write_logs"]

STANDARD_STREAM: Final = Path("-")

ZSTD_WINDOW_BYTES_MAX: Final = 2**27
ZSTD_INPUT_BYTES: Final = 1024
"""How much is decompressed at once. A 4-byte block may stand for 128 KiB, so that this yields 32 MiB at most."""

BUFFER_BYTES: Final = 2**20

Reader = Callable[[BinaryIO, StoreLimits], Iterator[WriteLog]]
Writer = Callable[[BinaryIO, Iterable[WriteLog]], None]


def read_write_logs(path: Path, limits: StoreLimits | None = None) -> Iterator[WriteLog]:
    """The valid write logs of a file, one at a time; the order of heights is not judged here.

    Raises InvalidWriteLogError (also for a damaged or cut compressed file), DatabaseAccessError if it cannot be read.
    """
    read, _, compression = _suffixes(path)
    with ExitStack() as stack:
        try:
            stream: BinaryIO = sys.stdin.buffer if path == STANDARD_STREAM else stack.enter_context(path.open("rb"))
            yield from read(_decompressed(stream, compression), limits or StoreLimits())
        except (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise InvalidWriteLogError(path.name, f"damaged {compression} data: {error}") from error
        except InvalidWriteLogError as error:
            raise InvalidWriteLogError(f"{path.name}, {error.entry}", error.reason) from error
        except OSError as error:
            raise DatabaseAccessError(path, error.strerror or str(error)) from error


def save_write_logs(path: Path, write_logs: Iterable[WriteLog]) -> None:
    """Write a file that `read_write_logs` reads. An existing file is replaced.

    Raises UnknownSuffixError, DatabaseAccessError if it cannot be written.
    """
    _, write, compression = _suffixes(path)
    try:
        if path == STANDARD_STREAM:
            write(sys.stdout.buffer, write_logs)
            return
        with path.open("wb") as file, _compressed(file, compression) as stream:
            write(stream, write_logs)
    except OSError as error:
        raise DatabaseAccessError(path, error.strerror or str(error)) from error


class ZstdSource(io.RawIOBase):
    """Bounded zstd decompression that notices a cut file (zstandard's own stream reader takes one for complete)."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._ahead = b""
        self._output = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        """Fill a writable buffer. Raises zstandard.ZstdError for damaged data, EOFError for a frame without end."""
        while not self._output:
            piece = self._ahead or self._source.read(ZSTD_INPUT_BYTES)
            if not piece:
                if self._frame is not None:
                    raise EOFError("the last frame does not end")
                return 0
            self._decompress(piece)
        view = memoryview(target).cast("B")
        size = min(len(view), len(self._output))
        view[:size] = self._output[:size]
        self._output = self._output[size:]
        return size

    def _decompress(self, piece: bytes) -> None:
        frame = self._frame or self._context.decompressobj()
        self._output = memoryview(frame.decompress(piece))
        self._ahead = frame.unused_data if frame.eof else b""
        self._frame = None if frame.eof else frame


def _suffixes(path: Path) -> tuple[Reader, Writer, str]:
    if path == STANDARD_STREAM:
        return read_ndjson, write_ndjson, ""
    suffixes = path.suffixes
    compression = suffixes.pop() if suffixes and suffixes[-1] in (".gz", ".zst") else ""
    match suffixes[-1:]:
        case [".ndjson"]:
            return read_ndjson, write_ndjson, compression
        case [".cbor"]:
            return read_cbor, write_cbor, compression
    raise UnknownSuffixError(path.name, "the name must end in .ndjson or .cbor, with or without .gz or .zst")


def _decompressed(stream: BinaryIO, compression: str) -> BinaryIO:
    if compression == ".gz":
        return io.BufferedReader(gzip.GzipFile(fileobj=stream), BUFFER_BYTES)
    if compression == ".zst":
        return io.BufferedReader(ZstdSource(stream), BUFFER_BYTES)
    return stream


def _compressed(file: BinaryIO, compression: str) -> BinaryIO:
    if compression == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="wb", mtime=0))
    if compression == ".zst":
        return cast(BinaryIO, zstandard.ZstdCompressor().stream_writer(file, closefd=False))
    return file
