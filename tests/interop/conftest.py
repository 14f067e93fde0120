"""The real Oasis Core code behind a pipe. `tests/interop/oasis/build` builds it; without it these tests skip."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.interop.program import PROGRAM, Oasis


@pytest.fixture(scope="session")
def oasis() -> Iterator[Oasis]:
    if not PROGRAM.exists():
        pytest.skip("the interop program is not built: run tests/interop/oasis/build (needs Go)")
    with subprocess.Popen(
        [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield Oasis(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0
