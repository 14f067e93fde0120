"""What every test may ask for: the seed, the shared vectors, and how Hypothesis behaves.

A run is deterministic: the same code gives the same verdict. `--seed N` explores other examples instead, in
Hypothesis and in the `rng` fixture alike; the header prints N, so that any failure can be had again.
"""

import os
import random
from pathlib import Path

import hypothesis
import pytest

SEED_DEFAULT = 0

# Time limits of single examples fail on a busy machine and say nothing about the code.
hypothesis.settings.register_profile("repeat", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("explore", deadline=None, database=None, print_blob=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="explore other random examples than the fixed ones")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the Hypothesis profile; before its plugin is configured, because that reads the seed."""
    seed = config.getoption("seed")
    if seed is None:
        hypothesis.settings.load_profile("repeat")
    else:
        hypothesis.settings.load_profile("explore")
        config.option.hypothesis_seed = str(seed)


def pytest_report_header(config: pytest.Config) -> list[str]:
    data = os.environ.get("LEAFMIRROR_TEST_DATA", "not set; tests of shared vectors are skipped")
    return [f"seed: {_seed(config)} (choose another with --seed)", f"LEAFMIRROR_TEST_DATA: {data}"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the seed where it is needed: below the failures. (Quiet runs have no header.)"""
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        terminalreporter.write_line(f"seed: {_seed(config)}" + (" (--seed)" if config.getoption("seed") else ""))


def _seed(config: pytest.Config) -> int:
    seed = config.getoption("seed")
    return SEED_DEFAULT if seed is None else int(seed)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """A generator of its own for each test, so that no test changes what another one draws."""
    return random.Random(f"{_seed(request.config)} {request.node.nodeid}")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of shared vectors, which are never copied into this repository."""
    folder = os.environ.get("LEAFMIRROR_TEST_DATA")
    if not folder:
        pytest.skip("LEAFMIRROR_TEST_DATA is not set: the shared vectors are elsewhere")
    if not Path(folder).is_dir():
        pytest.fail(f"LEAFMIRROR_TEST_DATA={folder} is not a folder")
    return Path(folder)
