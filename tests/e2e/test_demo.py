"""The demo: both stories end well, in time, with the reference kernel too; and a story that goes wrong says so."""

import json
import signal
from importlib import metadata
from pathlib import Path

import pytest

from sidecar.demo.genesis import MAINNET_ROOT, PACKAGE
from tests.e2e.cli import leaves_of, ok, run, run_process, start_process

SECONDS_MAX = 60.0


@pytest.fixture
def installed() -> None:
    try:
        metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip("the extra `demo` is not installed")


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_ethereum_mainnet_with_the_reference_kernel(tmp_path: Path) -> None:
    done = run_process(
        "demo", "--json", "--keep", tmp_path / "kept", env={"LEAFMIRROR_KERNEL": "reference", "PYTHONPATH": "."}
    )
    assert done.code == 0, done.err
    document = done.document
    steps = {step["name"]: step for step in document["steps"]}
    assert list(steps) == ["genesis", "heights", "check", "checkpoint", "peers", "killed", "restore", "compare"]
    assert steps["genesis"]["facts"] == {"leaf_count": 8893, "root": MAINNET_ROOT.hex()}
    assert steps["heights"]["facts"]["height_count"] == 20
    assert steps["restore"]["facts"]["ranges_before"] > 0
    assert {peer["nature"]: peer["verdict"] for peer in document["peers"]}["flips bits"] == "misbehaved"
    assert {peer["nature"]: peer["verdict"] for peer in document["peers"]}["honest"] == "good"
    assert document["duration_s"] < SECONDS_MAX
    assert leaves_of(tmp_path / "kept/restored") == leaves_of(tmp_path / "kept/mirror")
    assert ok("check", tmp_path / "kept/restored")["violations"] == []
    assert run("demo", "--keep", tmp_path / "kept").code == 2


@pytest.mark.slow
def test_a_generated_state_for_people() -> None:
    done = run_process("demo", "--scheme", "mkvs", env={"PYTHONPATH": "."})
    assert done.code == 0, done.err
    assert done.out.count("✓") == 10
    assert "\x1b" not in done.out
    assert "invalid chunk" in done.out


@pytest.mark.slow
def test_interrupted_it_leaves_nothing_behind(tmp_path: Path) -> None:
    process = start_process(
        "demo", "--scheme", "mkvs", env={"PYTHONPATH": ".", "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    )
    try:
        assert process.stdout is not None
        while "honestly" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS_MAX)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.demo.genesis.PACKAGE", "no-such-package-at-all")
    done = run("demo", "--json")
    assert (done.code, done.error) == (2, "DemoDataMissingError")
    assert "--scheme mkvs" in json.loads(done.out)["error"]["hint"]
