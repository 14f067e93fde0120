"""Doctor: what it finds missing, and that it changes nothing."""

from pathlib import Path

import pytest

from sidecar import doctor
from tests.e2e.cli import run


def test_a_good_installation(tmp_path: Path) -> None:
    report = doctor.examine(tmp_path / "not" / "there" / "yet")
    assert report.is_healthy
    assert report.disk_free_bytes
    assert "mkvs" in report.schemes
    assert all(report.libraries.values())
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAFMIRROR_KERNEL", "abacus")
    report = doctor.examine(Path())
    assert not report.is_healthy
    assert report.kernel_forced
    assert run("doctor").code == 1
    assert "commands will fail" in run("doctor").out


def test_the_reference_kernel_is_said_to_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAFMIRROR_KERNEL", "reference")
    report = doctor.examine(Path())
    assert report.is_healthy
    assert any("native" in finding.what for finding in report.findings)
    assert "reference (forced)" in run("doctor").out


def test_slow_keccak_missing_library_and_little_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "KECCAK_SOURCE", "pycryptodome")
    monkeypatch.setattr(doctor, "LIBRARIES", ("no-such-package-at-all",))
    monkeypatch.setattr(doctor, "FREE_BYTES_MIN", 2**80)
    report = doctor.examine(Path())
    assert not report.is_healthy
    assert [finding.serious for finding in report.findings].count(True) == 1
    assert len(report.findings) >= 3


def test_a_path_that_cannot_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.disk_usage", refuse)
    report = doctor.examine(Path())
    assert report.disk_free_bytes is None
    assert not report.is_healthy
