"""Write-log files by suffix, and what damaged, cut and over-compressed files do."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest
import zstandard

from flatdb import StoreLimits, WriteLog, read_write_logs, save_write_logs
from flatdb.errors import DatabaseAccessError, InvalidWriteLogError
from flatdb.writelog import encode_json
from flatdb.writelog_file import STANDARD_STREAM
from tests.faults import cut, flip_bit
from tests.flatdb.leaf_model import random_log

LOGS = [random_log(height) for height in range(30)]
SUFFIXES = [".ndjson", ".ndjson.gz", ".ndjson.zst", ".cbor", ".cbor.gz", ".cbor.zst"]
COMPRESSED = [suffix for suffix in SUFFIXES if suffix.endswith(("gz", "zst"))]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_gives_back_what_was_saved(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"logs.of.a.day{suffix}"
    save_write_logs(path, LOGS)
    assert list(read_write_logs(path)) == LOGS


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_a_cut_file_is_noticed_wherever_it_is_cut(tmp_path: Path, suffix: str) -> None:
    """Fails if a decompressor that takes the end of the file for the end of its data is trusted."""
    path = tmp_path / f"logs{suffix}"
    save_write_logs(path, LOGS)
    for size in range(path.stat().st_size - 1, 20, -997):
        cut(path, size)
        with pytest.raises(InvalidWriteLogError):
            list(read_write_logs(path))


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"logs{suffix}"
    save_write_logs(path, LOGS)
    flip_bit(path, 2)
    with pytest.raises(InvalidWriteLogError):
        list(read_write_logs(path))


def test_frames_that_follow_each_other_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "logs.ndjson.zst"
    path.write_bytes(b"".join(zstandard.compress(encode_json(log)) for log in LOGS))
    assert list(read_write_logs(path)) == LOGS
    path = tmp_path / "logs.ndjson.gz"
    path.write_bytes(b"".join(gzip.compress(encode_json(log)) for log in LOGS))
    assert list(read_write_logs(path)) == LOGS


@pytest.mark.parametrize("compress", [zstandard.compress, gzip.compress])
def test_a_line_that_unfolds_without_end_is_given_up(tmp_path: Path, compress: object) -> None:
    """Some bytes that stand for 2 MB of blanks are refused once the limit of one line is passed."""
    assert callable(compress)
    suffix = "zst" if compress is zstandard.compress else "gz"
    path = tmp_path / f"logs.ndjson.{suffix}"
    path.write_bytes(compress(b" " * 2**21))
    limits = StoreLimits(value_bytes_max=100, entry_count_max=10, log_bytes_max=1000)
    with pytest.raises(InvalidWriteLogError) as caught:
        next(read_write_logs(path, limits))
    assert caught.value.entry.startswith(f"{path.name}, line 1")


def test_a_window_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "logs.ndjson.zst"
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    path.write_bytes(compressor.compress(encode_json(LOGS[0])) + compressor.flush())
    with pytest.raises(InvalidWriteLogError):
        list(read_write_logs(path))


def test_standard_input_and_output(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    save_write_logs(STANDARD_STREAM, LOGS)
    sys.stdout.flush()
    printed = capfdbinary.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(printed)))
    assert list(read_write_logs(STANDARD_STREAM)) == LOGS


@pytest.mark.parametrize("name", ["logs", "logs.json", "logs.gz", "logs.ndjson.bz2", "logs.csv.zst"])
def test_unknown_suffixes(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidWriteLogError):
        next(read_write_logs(tmp_path / name))
    with pytest.raises(InvalidWriteLogError):
        save_write_logs(tmp_path / name, [])


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DatabaseAccessError):
        next(read_write_logs(tmp_path / "absent.ndjson"))
    with pytest.raises(DatabaseAccessError):
        save_write_logs(tmp_path / "absent" / "logs.ndjson", [])


def test_an_empty_file_holds_no_write_logs(tmp_path: Path) -> None:
    path = tmp_path / "logs.ndjson"
    path.touch()
    assert list(read_write_logs(path)) == []
    assert list(read_write_logs(tmp_path / path)) == []


def test_the_last_line_may_lack_its_end(tmp_path: Path) -> None:
    path = tmp_path / "logs.ndjson"
    path.write_bytes(encode_json(WriteLog(1)).rstrip())
    assert list(read_write_logs(path)) == [WriteLog(1)]
