"""init, apply, status, scan, root, check: what they do, print, and answer when something is wrong."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flatdb import FlatDB, WriteLog
from flatdb.errors import InvalidWriteLogError
from flatdb.writelog import encode_json
from flatdb.writelog_file import save_write_logs
from tests.e2e.cli import make_chain, ok, run, run_process, start_process
from tests.flatdb.disk import Disk, watch

CHAIN = make_chain(6)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "chain.ndjson"
    save_write_logs(path, CHAIN)
    return path


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    path = tmp_path / "mirror"
    ok("init", path, "--scheme", "mkvs", "--namespace", "0x" + "ab" * 32, "--kind", "state")
    return path


def root_at(height: int) -> str:
    root = CHAIN[height - 1].root
    assert root is not None
    return root.hex()


def test_an_empty_mirror(mirror: Path) -> None:
    status = ok("status", mirror)
    assert status["schema"] == "leafmirror.status/1"
    assert (status["scheme"], status["kind"], status["namespace"]) == ("mkvs", "state", "ab" * 32)
    assert status["height"] is None
    assert ok("check", mirror)["violations"] == []
    assert ok("root", mirror)["matches"] is None


def test_apply_verifies_and_repeats_change_nothing(mirror: Path, file: Path) -> None:
    first = ok("apply", mirror, file, "--verify-every", 2)
    assert (first["applied"], first["verified"], first["height"], first["root"]) == (6, 3, 6, root_at(6))
    again = ok("apply", mirror, file)
    assert (again["applied"], again["repeated"], again["height"]) == (0, 6, 6)
    assert ok("root", mirror)["matches"] is True
    assert ok("status", mirror)["root"] == root_at(6)


def test_scan(mirror: Path, file: Path) -> None:
    ok("apply", mirror, file)
    done = run("scan", mirror, "--limit", 2)
    assert done.out.splitlines()[0].startswith("0x00000014 0x")
    assert len(done.out.splitlines()) == 2
    prefixed = run("scan", mirror, "--prefix", "0000001", "--json")
    assert prefixed.code == 2, "half a byte is no prefix"
    keys = [json.loads(line)["key"] for line in run("scan", mirror, "--start", "0x20", "--json").out.splitlines()]
    assert keys == []
    ranged = run("scan", mirror, "--start", "00000015", "--end", "00000017", "--json").out.splitlines()
    assert [json.loads(line)["key"] for line in ranged] == ["00000015", "00000016"]
    assert len(run("scan", mirror, "--prefix", "000000").out.splitlines()) == 140
    assert run("scan", mirror, "--prefix", "00", "--start", "00").code == 2


def test_a_wrong_root_never_gets_in(mirror: Path, tmp_path: Path) -> None:
    """The height before it stays, and the message is one line with a hint."""
    wrong = tmp_path / "wrong.ndjson"
    save_write_logs(wrong, [CHAIN[0], replace(CHAIN[1], root=bytes(32))])
    done = run("apply", mirror, wrong, "--verify-every", 1, "--json")
    assert (done.code, done.error) == (1, "MirrorMismatchError")
    assert ok("status", mirror)["height"] == 1


def test_a_root_that_was_not_verified_is_found_by_root_and_check(mirror: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.ndjson"
    save_write_logs(wrong, [replace(CHAIN[0], root=bytes(32))])
    ok("apply", mirror, wrong)
    root = run("root", mirror, "--json")
    assert (root.code, root.document["matches"]) == (1, False)
    check = run("check", mirror, "--json")
    assert check.code == 1
    assert [found["where"] for found in check.document["violations"]] == ["leaves"]
    assert run("check", mirror).code == 1
    assert run("root", mirror).code == 1


def test_heights_without_a_root_are_told(mirror: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent.ndjson"
    save_write_logs(silent, [WriteLog(height=1, writes=((b"k", b"v"),))])
    assert ok("apply", mirror, silent)["unclaimed"] == 1
    assert "without a root" in run("apply", mirror, silent).out or ok("status", mirror)["root"] is None


@pytest.mark.parametrize(
    ("line", "kind", "code"),
    [
        (b"{}", "InvalidWriteLogError", 1),
        (b"not json", "InvalidWriteLogError", 1),
        (encode_json(CHAIN[3]), None, 0),
        (b"\xff\xfe", "InvalidWriteLogError", 1),
    ],
)
def test_lines(mirror: Path, tmp_path: Path, line: bytes, kind: str | None, code: int) -> None:
    path = tmp_path / "one.ndjson"
    path.write_bytes(line + b"\n" if not line.endswith(b"\n") else line)
    done = run("apply", mirror, path, "--json")
    assert done.code == code
    assert kind is None or done.error == kind


def test_gaps_and_conflicts(mirror: Path, tmp_path: Path) -> None:
    path = tmp_path / "logs.ndjson"
    save_write_logs(path, [CHAIN[0], replace(CHAIN[3], parent_root=None)])
    assert (run("apply", mirror, path, "--json")).error == "HeightGapError"
    save_write_logs(path, [replace(CHAIN[0], root=bytes(32))])
    conflict = run("apply", mirror, path, "--json")
    assert (conflict.code, conflict.error) == (1, "HeightConflictError")


def test_wrong_usage(mirror: Path, tmp_path: Path) -> None:
    assert run("status", tmp_path / "absent", "--json").error == "DatabaseNotFoundError"
    assert run("status", tmp_path / "absent").code == 2
    assert run("init", mirror, "--scheme", "mkvs", "--json").error == "DatabaseExistsError"
    assert run("init", tmp_path / "x", "--scheme", "sparse", "--json").error == "UnknownSchemeError"
    assert run("init", tmp_path / "x", "--scheme", "mkvs", "--namespace", "zz").code == 2
    assert run("init", tmp_path / "x", "--scheme", "mkvs", "--kind", "No Kind").code == 2
    assert run("apply", mirror, tmp_path / "absent.ndjson").code != 0
    assert run("apply", mirror).code == 2
    assert run("apply", mirror, tmp_path / "logs.txt", "--json").error == "UnknownSuffixError"
    assert run("nonsense", "--json").error == "UsageError"
    for usage in (run("apply"), run("nonsense")):
        assert usage.err.startswith("error: ")
        assert "\nhint: " in usage.err


def test_held_by_another_process(mirror: Path, file: Path) -> None:
    """A second writer is refused with code 4; looking is allowed."""
    writer = start_process("apply", mirror, "-", "--progress", "events")
    try:
        assert writer.stderr is not None
        assert json.loads(writer.stderr.readline())["event"] == "phase_started"
        done = run("apply", mirror, file, "--json")
        assert (done.code, done.error) == (4, "DatabaseLockedError")
        assert ok("status", mirror)["height"] is None
    finally:
        _, err = writer.communicate("")
    assert writer.returncode == 0, err


def test_standard_input_and_interrupt(mirror: Path) -> None:
    """Ctrl-C between two heights: 130, one line, and what was applied stays."""
    writer = start_process("apply", mirror, "-", "--progress", "events", env={"PYTHONUNBUFFERED": "1"})
    assert writer.stdin is not None
    assert writer.stderr is not None
    writer.stdin.write(encode_json(CHAIN[0]).decode())
    writer.stdin.flush()
    while json.loads(writer.stderr.readline())["event"] != "advanced":
        pass
    writer.send_signal(signal.SIGINT)
    _, err = writer.communicate()
    assert writer.returncode == 130
    assert err.startswith("error: interrupted")
    assert "Traceback" not in err
    assert ok("status", mirror)["height"] == 1


@pytest.mark.parametrize("fault", [None, KeyboardInterrupt, InvalidWriteLogError("line 4", "cut short")])
def test_what_apply_leaves_is_on_the_disk(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException] | BaseException | None
) -> None:
    """Fails if apply says what it did, or that it was interrupted, while heights are only in the kernel's memory."""
    disks: list[Disk] = []
    waited: list[bool] = []
    open_db = FlatDB.open

    def opened(path: Path, **options: Any) -> FlatDB:
        db = open_db(path, **options)
        disks.append(watch(db))
        return db

    def read(_: Path) -> Iterator[WriteLog]:
        yield from CHAIN[:3]
        waited.append(disks[0].durable != {})
        if fault is not None:
            raise fault

    with monkeypatch.context() as patch:
        patch.setattr(FlatDB, "open", opened)
        patch.setattr("sidecar.cli.mirror.read_write_logs", read)
        run("apply", mirror, "chain.ndjson")
    assert waited == [False]
    assert disks[0].durable == disks[0].written
    assert ok("status", mirror)["height"] == 3
    assert ok("root", mirror)["matches"] is True


def test_a_reader_that_leaves_is_no_error(mirror: Path, file: Path) -> None:
    """`leafmirror scan DIR | head -1`: nothing on standard error, and the exit code of a filter."""
    ok("apply", mirror, file)
    process = start_process("scan", mirror)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait() == 128 + signal.SIGPIPE
    assert process.stderr is not None
    with process.stderr as stream:
        assert stream.read() == ""
    assert process.stdin is not None
    process.stdin.close()


def test_no_color_and_no_terminal(mirror: Path, file: Path) -> None:
    """Plain text in a pipe: no escape sequences, hashes in one piece."""
    ok("apply", mirror, file)
    done = run_process("status", mirror, env={"NO_COLOR": "1"})
    assert "\x1b" not in done.out + done.err
    assert root_at(6) in done.out


def test_compressed_files_in_order(mirror: Path, tmp_path: Path) -> None:
    files = []
    for index, suffix in enumerate((".ndjson.gz", ".cbor.zst", ".cbor")):
        files.append(tmp_path / f"part{index}{suffix}")
        save_write_logs(files[-1], CHAIN[2 * index : 2 * index + 2])
    assert ok("apply", mirror, *files)["applied"] == 6
