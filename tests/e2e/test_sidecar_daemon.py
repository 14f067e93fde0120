"""The daemon as a real process: it follows, cuts and serves, is stopped, killed and misled."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from flatdb import WriteLog
from flatdb.writelog import encode_json
from tests.e2e.cli import leaves_of, make_chain, ok, run, start_process

CHAIN = make_chain(24)
DEADLINE_S = 20.0

CONFIG = """
[mirror]
path = "{folder}/mirror"
scheme = "mkvs"
verify_every = 4
[source]
path = "{folder}/logs.ndjson"
poll_s = 0.01
[checkpoint]
store = "{folder}/store"
every_heights = 4
keep_last = 2
chunk_leaves = 10
[serve]
listen = "127.0.0.1:0"
[ready]
free_bytes_min = 0
"""


def write(folder: Path, logs: list[WriteLog]) -> None:
    """Append, as a node does."""
    with (folder / "logs.ndjson").open("ab") as file:
        for log in logs:
            file.write(encode_json(log))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sidecar.toml").write_text(CONFIG.format(folder=tmp_path))
    return tmp_path


class Running:
    """A daemon that listens."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def get(self, path: str) -> str:
        with urlopen(f"{self.url}{path}", timeout=DEADLINE_S) as answer:
            body = answer.read()
        assert isinstance(body, bytes)
        return body.decode()

    def metric(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/v1/metrics"), re.MULTILINE)
        assert found, name
        return float(found[1])

    def await_metric(self, name: str, value: float) -> None:
        """Until it is reached: the daemon tells when, a deadline only ends a test that fails."""
        deadline = time.monotonic() + DEADLINE_S
        while self.metric(name) < value:
            assert time.monotonic() < deadline, f"{name} is {self.metric(name)}, not {value}"
            assert self.process.poll() is None, self.process.communicate()

    def stop(self, signum: int = signal.SIGTERM) -> str:
        """End it; what it logged."""
        self.process.send_signal(signum)
        _, err = self.process.communicate(timeout=DEADLINE_S)
        assert "Traceback" not in err
        return err


@contextmanager
def daemon(folder: Path, **env: str) -> Iterator[Running]:
    process = start_process("sidecar", "--config", folder / "sidecar.toml", "--json", env=env)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()
        yield Running(process, json.loads(line)["url"])
    finally:
        process.kill()
        process.communicate()


def test_follow_cut_serve_and_restore_at_the_same_time(folder: Path) -> None:
    """A node appends heights while a peer restores from the checkpoint and another reads write logs."""
    write(folder, CHAIN[:8])
    with daemon(folder) as running:
        running.await_metric("leafmirror_last_checkpoint_height", 8)
        write(folder, CHAIN[8:10])
        root = CHAIN[7].root
        assert root is not None
        trust = ("--scheme", "mkvs", "--height", 8, "--root", root.hex())
        report = ok("restore", running.url, *trust, "--to", folder / "restored")
        assert report["leaf_count"] == len(leaves_of(folder / "restored")) == 180
        running.await_metric("leafmirror_applied_height", 10)
        line = running.get("/v1/write-logs?from=10").splitlines()[0]
        assert json.loads(line)["height"] == 10
        (folder / "more.ndjson").write_text(running.get("/v1/write-logs?from=9"))
        assert ok("apply", folder / "restored", folder / "more.ndjson", "--verify-every", 1)["height"] == 10
        assert json.loads(running.get("/v1/ready")) == {"ready": True}
        write(folder, CHAIN[10:17])
        running.await_metric("leafmirror_last_checkpoint_height", 16)
        running.await_metric("leafmirror_applied_height", 17)
        assert running.metric("leafmirror_checkpoints_kept") == 2
        assert running.metric("leafmirror_checkpoint_pause_seconds_count") >= 3
        assert running.metric("leafmirror_verified_height") == 16
        assert running.metric("leafmirror_ready") == 1
        log = running.stop()
        assert running.process.returncode == 0
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events[0] == "listening"
    assert events[-1] == "stopped"
    assert ok("check", folder / "mirror")["violations"] == []
    heights = [info["root"]["height"] for info in ok("checkpoint", "list", "--store", folder / "store")["checkpoints"]]
    assert heights == [12, 16]


def test_killed_and_started_again(folder: Path) -> None:
    """kill -9 at any time: exactly one height, a sound database, and the next run goes on from there."""
    write(folder, CHAIN[:6])
    with daemon(folder) as running:
        write(folder, CHAIN[6:20])
        running.await_metric("leafmirror_applied_height", 7)
        running.process.kill()
        running.process.communicate()
    height = ok("status", folder / "mirror")["height"]
    assert 7 <= height <= 20
    assert ok("check", folder / "mirror")["violations"] == []
    with daemon(folder) as running:
        running.await_metric("leafmirror_applied_height", 20)
        write(folder, CHAIN[20:])
        running.await_metric("leafmirror_applied_height", 24)
        running.await_metric("leafmirror_last_checkpoint_height", 24)
        running.stop()
    last = CHAIN[-1].root
    assert last is not None
    assert ok("root", folder / "mirror")["root"]["hash"] == last.hex()
    assert ok("checkpoint", "verify", "@24", "--store", folder / "store")["violations"] == []


@pytest.mark.slow
def test_a_wrong_root_ends_it(folder: Path) -> None:
    write(folder, [*CHAIN[:3], replace(CHAIN[3], root=bytes(32))])
    process = start_process("sidecar", "--config", folder / "sidecar.toml", "--json")
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert json.loads(out.splitlines()[-1])["error"]["type"] == "MirrorMismatchError"
    assert "Traceback" not in err
    assert ok("status", folder / "mirror")["height"] == 3


@pytest.mark.slow
def test_a_source_that_begins_too_late(folder: Path) -> None:
    write(folder, CHAIN[:2])
    with daemon(folder) as running:
        running.await_metric("leafmirror_applied_height", 2)
        running.stop()
    (folder / "logs.ndjson").unlink()
    write(folder, CHAIN[6:])
    process = start_process("sidecar", "--config", folder / "sidecar.toml", "--json")
    out, _ = process.communicate(timeout=DEADLINE_S)
    error = json.loads(out.splitlines()[-1])["error"]
    assert (process.returncode, error["type"]) == (1, "SourceGapError")


@pytest.mark.slow
def test_a_rotated_source_is_followed_on(folder: Path) -> None:
    """The new file begins where the old one ended; what happened is counted and logged."""
    with daemon(folder) as running:
        with pytest.raises(HTTPError) as not_ready:
            running.get("/v1/ready")
        assert not_ready.value.code == 503
        not_ready.value.close()
        write(folder, CHAIN[:3])
        running.await_metric("leafmirror_applied_height", 3)
        (folder / "logs.ndjson").rename(folder / "logs.1")
        write(folder, CHAIN[3:6])
        running.await_metric("leafmirror_applied_height", 6)
        assert running.metric('leafmirror_source_errors_total{reason="changed"}') >= 1
        assert json.loads(running.get("/v1/ready")) == {"ready": True}
        log = running.stop(signal.SIGINT)
        assert running.process.returncode == 130
    assert any(json.loads(line)["event"] == "source_changed" for line in log.splitlines() if line.startswith("{"))


@pytest.mark.slow
def test_a_full_disk_is_a_state(folder: Path) -> None:
    """No height is begun without room; the process lives, says why, and stops when it is told to."""
    write(folder, CHAIN[:3])
    with daemon(folder, LEAFMIRROR_READY__FREE_BYTES_MIN=str(2**62)) as running:
        running.await_metric("leafmirror_disk_full", 1)
        assert running.metric("leafmirror_applied_height") == 0
        running.stop()
        assert running.process.returncode == 0
    assert ok("status", folder / "mirror")["height"] is None


def test_another_chains_mirror_is_refused(folder: Path) -> None:
    ok("init", folder / "mirror", "--scheme", "mpt")
    done = run("sidecar", "--config", folder / "sidecar.toml", "--json")
    assert (done.code, done.error) == (2, "ConfigError")


def test_print_config_is_a_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAFMIRROR_CHECKPOINT__KEEP_LAST", "7")
    printed = run("sidecar", "--config", folder / "sidecar.toml", "--print-config")
    (folder / "sidecar.toml").write_text(printed.out)
    monkeypatch.delenv("LEAFMIRROR_CHECKPOINT__KEEP_LAST")
    config = ok("sidecar", "--config", folder / "sidecar.toml", "--print-config")["config"]
    assert config["checkpoint"]["keep_last"] == 7
    (folder / "sidecar.toml").write_text("[mirror]\n")
    assert run("sidecar", "--config", folder / "sidecar.toml", "--json").error == "ConfigError"
