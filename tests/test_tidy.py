"""What a reader may take for granted about every file of this repository."""

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.source import PACKAGES, ROOT, Module, read_modules, resolve

FILE_BYTES_MAX = 1_000_000
LINE_COUNT_MAX = 400

# Files that are better longer, each with the reason.
LONG_FILES: dict[str, str] = {}

# Modules that nothing imports by name, each with what loads it instead. Commands of [project.scripts] and
# the packages themselves need no row.
LOADED_OTHERWISE: dict[str, str] = {
    "sidecar.__main__": "python -m sidecar",
    "leafmirror.__main__": "python -m leafmirror",
}

MACHINE_PATH = re.compile(r"(?<![\w.\-])/(?:home|Users|root|work)/\w[^\s\"'`)]*")
# A promise to do something later has an issue number, so that somebody can find it done.
PROMISE = re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))")

MODULES = read_modules()


@cache
def _files() -> tuple[Path, ...]:
    """The files that git keeps or would keep; outside a checkout these tests have nothing to judge."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listing.returncode:
        pytest.skip(f"not a git checkout: {listing.stderr.strip()}")
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def _found(pattern: re.Pattern[str]) -> list[str]:
    """Each match in a text file, as path and text; this file, which spells the patterns, is left out."""
    hits = []
    for path in _files():
        if path == Path(__file__):
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        hits += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    return hits


def test_files_are_small() -> None:
    assert not [str(path) for path in _files() if path.stat().st_size > FILE_BYTES_MAX]


def test_no_path_of_one_machine() -> None:
    assert not _found(MACHINE_PATH)


def test_no_promise_without_an_issue() -> None:
    assert not _found(PROMISE)


@pytest.mark.parametrize(
    ("text", "hit"),
    [("see /home/x/y", True), ("'/root/z'", True), ("https://host/home/x", False), ("/v1/roots", False)],
)
def test_machine_path_pattern(text: str, hit: bool) -> None:
    assert bool(MACHINE_PATH.search(text)) is hit


def test_modules_fit_in_a_reader_s_head() -> None:
    """Fails for a long module without a reason, and for a reason whose module is short again."""
    long = {module.path for module in MODULES if _line_count(module.path) > LINE_COUNT_MAX}
    assert long == set(LONG_FILES)


def _line_count(path: str) -> int:
    return (ROOT / path).read_bytes().count(b"\n")


def test_every_module_is_used() -> None:
    """Fails for a module that no other one imports and no command starts."""
    names = frozenset(module.name for module in MODULES)
    used = {
        found
        for module in MODULES
        for one in module.imports
        if one.is_ours and (found := resolve(one.target, names)) != module.name
    }
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].values()
    started = {script.partition(":")[0] for script in scripts}
    dead = {module.name for module in MODULES if not module.path.endswith("__init__.py")} - used - started
    assert not dead - set(LOADED_OTHERWISE)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_test_module_has_its_module(package: str) -> None:
    """tests/<package>/test_<module>.py or test_<module>_<aspect>.py stands for a module of that package."""
    stems = {_stem(module) for module in MODULES if module.package == package}
    orphans = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests" / package).rglob("test_*.py"))
        if not any(f"{path.stem.removeprefix('test_')}_".startswith(f"{stem}_") for stem in stems)
    ]
    assert not orphans


def _stem(module: Module) -> str:
    """The last part of the dotted name: `range_proof` of proofs.range_proof, `schemes` of its package."""
    return module.name.rpartition(".")[2].lstrip("_")
