"""FileSource and its LineReader: partial lines, rotation, truncation, rewriting."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flatdb import StoreLimits, WriteLog
from flatdb.errors import InvalidWriteLogError
from flatdb.writelog import encode_json
from sidecar.errors import SourceChangedError, SourceUnavailableError
from sidecar.sources.file import FileSource, LineReader

LOGS = [WriteLog(height=height, root=bytes(32), writes=((b"k%d" % height, b"v"),)) for height in range(6)]
LINES = [encode_json(log).rstrip(b"\n") + b"\n" for log in LOGS]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs.ndjson"


@pytest.fixture
def reader(path: Path) -> Iterator[LineReader]:
    reader = LineReader(path, line_bytes_max=1000)
    yield reader
    reader.close()


def test_a_partial_line_waits_for_its_end(path: Path, reader: LineReader) -> None:
    path.write_bytes(b"one\ntw")
    assert reader.read() == [b"one"]
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(b"o\nthree\n")
    assert reader.read() == [b"two", b"three"]
    assert reader.backlog_bytes == 0


def test_lines_longer_than_one_piece(path: Path, monkeypatch: pytest.MonkeyPatch, reader: LineReader) -> None:
    monkeypatch.setattr("sidecar.sources.file.READ_BYTES", 4)
    path.write_bytes(b"abcdefghij\nk\n")
    lines: list[bytes] = []
    while len(lines) < 2:
        lines += reader.read()
    assert lines == [b"abcdefghij", b"k"]


def test_a_line_without_end_is_refused(path: Path, reader: LineReader) -> None:
    path.write_bytes(b"x" * 1001)
    with pytest.raises(InvalidWriteLogError):
        reader.read()


def test_absent_file(reader: LineReader) -> None:
    with pytest.raises(SourceUnavailableError):
        reader.read()


def test_truncation(path: Path, reader: LineReader) -> None:
    path.write_bytes(b"one\ntwo\n")
    reader.read()
    path.write_bytes(b"one\n")
    with pytest.raises(SourceChangedError) as caught:
        reader.read()
    assert caught.value.offset == 8


def test_cut_and_grown_again(path: Path, reader: LineReader) -> None:
    """Fails if only the size is compared: the file is longer than ever, and another one."""
    path.write_bytes(b"one\ntwo\n")
    reader.read()
    path.write_bytes(b"one\nTWO\nthree\n")
    with pytest.raises(SourceChangedError):
        reader.read()


def test_rotation_after_the_old_file_is_read_to_its_end(path: Path, reader: LineReader) -> None:
    """Fails if the path is compared first: the last line of the old file would be lost."""
    path.write_bytes(b"one\n")
    reader.read()
    with path.open("ab") as file:
        file.write(b"two\n")
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"three\n")
    assert reader.read() == [b"two"]
    with pytest.raises(SourceChangedError):
        reader.read()


def test_removal(path: Path, reader: LineReader) -> None:
    path.write_bytes(b"one\n")
    reader.read()
    path.unlink()
    with pytest.raises(SourceChangedError):
        reader.read()


def append(path: Path, data: bytes) -> Path:
    """Plain, as the node that writes the file is another process."""
    with path.open("ab") as file:
        file.write(data)
    return path


async def take(source: FileSource, count: int, after: int | None = None) -> list[WriteLog]:
    taken: list[WriteLog] = []
    async for log in source.follow(after):
        taken.append(log)
        if len(taken) == count:
            return taken
    raise AssertionError("a source has no end")


async def test_follow_gives_what_comes_later(path: Path) -> None:
    source = FileSource(append(path, b"".join(LINES[:2]) + LINES[2][:10]), poll_s=0.001)
    following = source.follow(None)
    assert [await anext(following), await anext(following)] == LOGS[:2]
    append(path, LINES[2][10:] + LINES[3])
    assert [await anext(following), await anext(following)] == LOGS[2:4]
    await following.aclose()  # type: ignore[attr-defined]
    assert (source.latest_height, source.backlog_bytes, source.name) == (3, 0, str(path))


async def test_a_long_line_is_read_without_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the source sleeps within a line: a large height would take minutes."""
    monkeypatch.setattr("sidecar.sources.file.READ_BYTES", 4)
    assert await take(FileSource(append(path, LINES[0]), poll_s=60.0), 1) == LOGS[:1]


async def test_follow_after_a_height(path: Path) -> None:
    assert await take(FileSource(append(path, b"".join(LINES)), poll_s=0.001), 2, after=3) == LOGS[4:]


async def test_invalid_lines_name_their_place(path: Path) -> None:
    append(path, LINES[0] + b"{}\n")
    with pytest.raises(InvalidWriteLogError) as caught:
        await take(FileSource(path, poll_s=0.001, limits=StoreLimits()), 2)
    assert caught.value.entry.startswith("logs.ndjson, line 2")
