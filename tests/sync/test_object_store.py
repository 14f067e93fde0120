"""Objects in a folder: whole or not there, bounded when read, and refusals of the system as errors of ours."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from sync.errors import CheckpointNotFoundError, OversizeError, StoreAccessError
from sync.object_store import FolderObjects
from tests.faults import SimulatedCrash, crash_before


def staged(tmp_path: Path, **contents: bytes) -> dict[str, Path]:
    """Finished files to hand over, by object name."""
    files = {}
    for name, content in contents.items():
        path = tmp_path / f"staged-{name}"
        path.write_bytes(content)
        files[f"group/{name}"] = path
    return files


def test_objects_come_back_whole_and_in_parts(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "store")
    files = staged(tmp_path, a=b"0123456789", b=b"")
    objects.write(files)
    assert not any(path.exists() for path in files.values())
    assert sorted(objects.list("group")) == ["group/a", "group/b"]
    assert objects.read("group/a", size_max=10) == b"0123456789"
    assert objects.read("group/a", size_max=3, start=4, size=3) == b"456"
    assert objects.read("group/a", size_max=10, start=8, size=5) == b"89"
    assert objects.read("group/a", size_max=10, start=80, size=5) == b""
    path = objects.path("group/a")
    assert path is not None
    assert path.read_bytes() == b"0123456789"
    objects.delete("group/a")
    objects.delete("group/a")
    assert objects.path("group/a") is None
    assert list(objects.list("other")) == []


def test_reading_is_bounded_and_absence_is_told(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path)
    objects.write(staged(tmp_path, a=bytes(10)))
    with pytest.raises(OversizeError):
        objects.read("group/a", size_max=9)
    with pytest.raises(CheckpointNotFoundError):
        objects.read("group/b", size_max=9)


def test_what_the_system_refuses_is_an_access_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    objects = FolderObjects(blocked)
    for refused in (
        lambda: objects.write(staged(tmp_path, a=b"")),
        lambda: objects.read("group/a", size_max=1),
        lambda: list(objects.list("group")),
    ):
        with pytest.raises(StoreAccessError):
            refused()


def test_an_object_is_whole_or_absent_at_every_crash(tmp_path: Path) -> None:
    """Fails when objects are written in place, or named before they are synced."""
    objects = FolderObjects(tmp_path / "store")
    with pytest.raises(SimulatedCrash), crash_before(Path, "replace"):
        objects.write(staged(tmp_path, a=b"whole"))
    assert list(objects.list("group")) == []
    with pytest.raises(SimulatedCrash), crash_before(Path, "replace", call=2):
        objects.write(staged(tmp_path, a=b"whole", b=b"whole"))
    assert objects.read("group/a", size_max=9) == b"whole"
    assert objects.path("group/b") is None


def test_files_are_synced_before_they_are_named_and_names_after(tmp_path: Path) -> None:
    """Fails when a sync is left out: a power cut could leave a manifest whose chunks are empty."""
    calls: list[str] = []
    sync, replace = os.fsync, Path.replace

    def record_sync(descriptor: int) -> None:
        calls.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        sync(descriptor)

    def record_replace(self: Path, target: Path) -> Path:
        calls.append(f"name {target.name}")
        return replace(self, target)

    with mock.patch.object(os, "fsync", record_sync), mock.patch.object(Path, "replace", record_replace):
        FolderObjects(tmp_path / "store").write(staged(tmp_path, a=b"1", b=b"2"))
    assert sorted(calls[:2]) == ["sync staged-a", "sync staged-b"]
    assert calls[2:] == ["name a", "name b", "sync group", "sync store"]
