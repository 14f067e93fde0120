"""serve and restore as real processes: honest, killed and continued, wrong, unreachable."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flatdb.writelog_file import save_write_logs
from tests.e2e.cli import leaves_of, make_chain, ok, run, start_process

CHAIN = make_chain(8, leaf_count=200)
ROOT = CHAIN[5].root
assert ROOT is not None
TRUST = ("--scheme", "mkvs", "--height", 6, "--root", ROOT.hex())


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    save_write_logs(folder / "chain.ndjson", CHAIN[:6])
    ok("init", folder / "mirror", "--scheme", "mkvs")
    ok("apply", folder / "mirror", folder / "chain.ndjson")
    ok("checkpoint", "create", folder / "mirror", "--store", folder / "store", "--chunk-leaves", 10)
    return folder / "mirror"


@contextmanager
def endpoint(*arguments: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A serving process and its URL; ended by SIGTERM, which is a success."""
    process = start_process("serve", *arguments, "--listen", "127.0.0.1:0", "--json")
    try:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        assert document["schema"] == "leafmirror.serve/1"
        yield document["url"], process
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
        assert process.returncode == 0, err
        assert "Traceback" not in err
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def url(mirror: Path) -> Iterator[str]:
    with endpoint("--store", mirror.parent / "store", "--mirror", mirror) as (url, _):
        yield url


def test_restore_is_the_same_state_and_goes_on(mirror: Path, url: str, tmp_path: Path) -> None:
    report = ok("restore", url, *TRUST, "--to", tmp_path / "restored")
    assert (report["leaf_count"], report["chunks_stored"], report["ranges_before"]) == (700, 70, 0)
    assert [peer["verdict"] for peer in report["peers"]] == ["good"]
    assert report["existed"] is False
    assert leaves_of(tmp_path / "restored") == leaves_of(mirror)
    again = ok("restore", "http://127.0.0.1:1", *TRUST, "--to", tmp_path / "restored")
    assert (again["existed"], again["chunks_stored"], again["peers"]) == (True, 0, [])
    assert ok("check", tmp_path / "restored")["violations"] == []
    assert ok("status", tmp_path / "restored")["verified"] is True
    save_write_logs(tmp_path / "more.ndjson", CHAIN[6:])
    assert ok("apply", tmp_path / "restored", tmp_path / "more.ndjson", "--verify-every", 1)["height"] == 8


def test_killed_and_continued(mirror: Path, url: str, tmp_path: Path) -> None:
    """kill -9 with part of the chunks durable: no mirror yet, and the same command again fetches only the rest."""
    arguments = ("restore", url, *TRUST, "--to", tmp_path / "restored")
    process = start_process(*arguments, "--progress", "events")
    assert process.stderr is not None
    stored = 0
    while stored < 5:
        event = json.loads(process.stderr.readline())
        stored += event["event"] == "advanced" and event["phase"] == "chunks"
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    unfinished = run("status", tmp_path / "restored", "--json")
    assert (unfinished.code, unfinished.error) == (2, "IncompleteDatabaseError")
    report = ok(*arguments)
    assert report["ranges_before"] >= stored
    assert report["ranges_before"] + report["chunks_stored"] == 70
    assert leaves_of(tmp_path / "restored") == leaves_of(mirror)


def test_interrupted_restores_continue(mirror: Path, url: str, tmp_path: Path) -> None:
    arguments = ("restore", url, *TRUST, "--to", tmp_path / "restored")
    process = start_process(*arguments, "--progress", "events")
    assert process.stderr is not None
    while json.loads(process.stderr.readline())["event"] != "advanced":
        pass
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "error: interrupted" in err
    assert "Traceback" not in err
    assert ok(*arguments)["ranges_before"] > 0


@pytest.mark.parametrize(
    "text", [f"mkvs:::6:{ROOT.hex()}\n", json.dumps({"scheme": "mkvs", "height": 6, "hash": ROOT.hex()})]
)
def test_trust_from_a_file(url: str, tmp_path: Path, text: str) -> None:
    (tmp_path / "root").write_text(text)
    assert ok("restore", url, "--trust", tmp_path / "root", "--to", tmp_path / "r")["root"]["hash"] == ROOT.hex()


def test_people_read_who_did_what(url: str, tmp_path: Path) -> None:
    done = run("restore", url, "http://127.0.0.1:1", *TRUST, "--to", tmp_path / "r", "--attempts", 1)
    assert done.code == 0
    assert "together they fold to the trusted root" in done.out
    assert "unavailable" in done.out


def test_a_root_that_nobody_has(url: str, tmp_path: Path) -> None:
    other = ("--scheme", "mkvs", "--height", 6, "--root", "00" * 32)
    done = run("restore", url, *other, "--to", tmp_path / "r", "--attempts", 1, "--json")
    assert (done.code, done.error) == (3, "NoPeersLeftError")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--scheme", "mkvs", "--height", "6"),
        ("--scheme", "mkvs", "--height", "6", "--root", "00"),
        ("--scheme", "mkvs", "--height", "-1", "--root", "00" * 32),
        ("--scheme", "No Scheme", "--height", "6", "--root", "00" * 32),
        ("--scheme", "unheard", "--height", "6", "--root", "00" * 32),
        ("--trust", "absent.json"),
        ("--trust", __file__),
        ("--trust", "x", "--height", "6"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run("restore", "http://127.0.0.1:1", *arguments, "--to", tmp_path / "r").code == 2
    assert not (tmp_path / "r").exists()


def test_peers_that_cannot_be_asked(tmp_path: Path) -> None:
    twice = ("http://127.0.0.1:1", "http://127.0.0.1:1")
    assert run("restore", *twice, *TRUST, "--to", tmp_path / "r").code == 2


def test_serve_refuses_what_it_cannot_do(mirror: Path, tmp_path: Path, url: str) -> None:
    port = url.rpartition(":")[2]
    taken = run("serve", "--store", mirror.parent / "store", "--listen", f"127.0.0.1:{port}", "--json")
    assert (taken.code, taken.error) == (4, "OSError")
    assert "another process" in taken.err
    assert run("serve", "--store", mirror.parent / "store", "--listen", "nowhere").code == 2
    assert run("serve", "--store", mirror.parent / "store", "--mirror", tmp_path, "--listen", "127.0.0.1:0").code == 2


def test_serve_ends_by_interrupt(mirror: Path) -> None:
    process = start_process("serve", "--store", mirror.parent / "store", "--listen", "127.0.0.1:0")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("listening on http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err
