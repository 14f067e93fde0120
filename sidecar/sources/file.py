"""FileSource: follows a growing .ndjson file of write logs, as `tail -F` would, and notices when it is tampered with.

A line counts once its newline is there, so a writer may be seen in the middle of one. What was read must stay: before
new bytes are read, the file must still be the one that was opened, at least as long, and must still hold the last
bytes that were read. A file that is cut and grown again under the same name is told apart that way.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from flatdb import StoreLimits, WriteLog
from flatdb.errors import InvalidWriteLogError
from flatdb.writelog import decode_json
from sidecar.errors import SourceChangedError, SourceUnavailableError

__all__ = ["FileSource", "LineReader"]

READ_BYTES = 2**20
MARK_BYTES = 64


class FileSource:
    """A `Source` over one file. The file is opened by `follow`, and need not exist before."""

    def __init__(self, path: Path, *, poll_s: float, limits: StoreLimits | None = None) -> None:
        """`poll_s`: how long to wait at the end of the file before looking again."""
        self._path = path
        self._poll_s = poll_s
        self._limits = limits or StoreLimits()
        self._latest_height: int | None = None
        self._backlog_bytes = 0

    @property
    def name(self) -> str:
        return str(self._path)

    @property
    def latest_height(self) -> int | None:
        return self._latest_height

    @property
    def backlog_bytes(self) -> int:
        return self._backlog_bytes

    async def follow(self, after: int | None) -> AsyncIterator[WriteLog]:
        """See `Source.follow`."""
        reader = LineReader(self._path, line_bytes_max=self._limits.record_bytes_max)
        try:
            while True:
                # Reading and parsing wait for the disk and take long for large heights: not on the event loop.
                write_logs = await asyncio.to_thread(self._read, reader)
                for write_log in write_logs:
                    if after is None or write_log.height > after:
                        yield write_log
                if not reader.backlog_bytes:
                    await asyncio.sleep(self._poll_s)
        finally:
            reader.close()

    def _read(self, reader: LineReader) -> list[WriteLog]:
        write_logs = []
        for line in reader.read():
            reader.line_count += 1
            try:
                write_logs.append(decode_json(line, self._limits))
            except InvalidWriteLogError as error:
                raise InvalidWriteLogError(
                    f"{self._path.name}, line {reader.line_count}, {error.entry}", error.reason
                ) from error
        self._backlog_bytes = reader.backlog_bytes
        if write_logs:
            self._latest_height = write_logs[-1].height
        return write_logs


class LineReader:
    """Complete lines of a file that only ever grows. Plain and blocking; belongs to one thread at a time."""

    def __init__(self, path: Path, *, line_bytes_max: int) -> None:
        self.line_count = 0
        """Lines that the caller has used, for its messages."""
        self.backlog_bytes = 0
        """Bytes that were there and not read yet, when the file was last looked at."""
        self._path = path
        self._line_bytes_max = line_bytes_max
        self._file: BinaryIO | None = None
        self._offset = 0
        self._mark = b""
        self._pieces: list[bytes] = []
        self._pending_bytes = 0

    def read(self) -> list[bytes]:
        """The lines that end in the next piece of the file; none at its end, or inside a long line.

        Raises:
            SourceUnavailableError, SourceChangedError, InvalidWriteLogError (a line without end).
        """
        try:
            file = self._file or self._open()
            size = os.fstat(file.fileno()).st_size
            self._check_unchanged(file, size)
            data = os.pread(file.fileno(), READ_BYTES, self._offset)
        except OSError as error:
            raise SourceUnavailableError(str(self._path), error.strerror or str(error)) from error
        self.backlog_bytes = max(0, size - self._offset - len(data))
        if not data:
            self._check_replaced()
            return []
        self._offset += len(data)
        self._mark = (self._mark + data)[-MARK_BYTES:]
        return self._split(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        self._file = self._path.open("rb")
        return self._file

    def _split(self, data: bytes) -> list[bytes]:
        *ends, rest = data.split(b"\n")
        lines = []
        for end in ends:
            lines.append(b"".join((*self._pieces, end)))
            self._pieces, self._pending_bytes = [], 0
        self._pieces.append(rest)
        self._pending_bytes += len(rest)
        if self._pending_bytes > self._line_bytes_max:
            raise InvalidWriteLogError(
                f"{self._path.name}, line {self.line_count + len(lines) + 1}",
                f"longer than the {self._line_bytes_max} bytes that one write log may take",
            )
        return lines

    def _check_unchanged(self, file: BinaryIO, size: int) -> None:
        if size < self._offset:
            raise SourceChangedError(str(self._path), self._offset, f"the file was cut to {size} bytes")
        if os.pread(file.fileno(), len(self._mark), self._offset - len(self._mark)) != self._mark:
            raise SourceChangedError(str(self._path), self._offset, "the file was rewritten")

    def _check_replaced(self) -> None:
        """At the end of the open file: is it still the one that the path names? Asked only there, so that a
        rotated file is read to its end first."""
        assert self._file is not None
        try:
            named = self._path.stat()
        except FileNotFoundError:
            raise SourceChangedError(str(self._path), self._offset, "the file was removed or renamed") from None
        except OSError as error:
            raise SourceUnavailableError(str(self._path), error.strerror or str(error)) from error
        if not os.path.samestat(named, os.fstat(self._file.fileno())):
            raise SourceChangedError(str(self._path), self._offset, "another file has taken its place")
