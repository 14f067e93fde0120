"""A mirror for each test that wants one; every test with a database ends with a clean check()."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flatdb import FlatDB, Identity

IDENTITY = Identity("plain", "state", b"\x01\x02")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a test may make a mirror, which is opened and checked when the test is over."""
    path = tmp_path / "mirror"
    yield path
    with FlatDB.open(path) as db:
        assert list(db.check()) == []


@pytest.fixture
def db(folder: Path) -> Iterator[FlatDB]:
    """An empty mirror, open for writing."""
    with FlatDB.create(folder, IDENTITY) as mirror:
        yield mirror
