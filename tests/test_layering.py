"""The arrows of ARCHITECTURE.md, as tables: who may import whom, and where each outside library may appear."""

import ast
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.source import PACKAGES, Module, read_modules, resolve

# Package -> packages of ours that it may import.
ARROWS = {
    "proofs": set(),
    "flatdb": set(),
    "sync": {"proofs", "flatdb"},
    "sidecar": {"proofs", "flatdb", "sync"},
    "leafmirror": {"proofs", "flatdb", "sync", "sidecar"},
}

# Outside library -> the files (or patterns of files) that may import it and translate its errors. A library
# that is not listed may not be imported at all.
LIBRARIES = {
    "Crypto": {"proofs/hashing.py"},
    "sha3": {"proofs/hashing.py"},
    "blake3": {"proofs/blake3_hash.py"},
    "base58": {"sidecar/importers/solana/snapshot_name.py"},
    "rocksdict": {"flatdb/cursor.py", "flatdb/store.py", "flatdb/rocks_options.py"},
    "cbor2": {"proofs/cbor.py", "flatdb/writelog.py"},
    "cramjam": {"sync/oasis/snappy.py"},
    "google_crc32c": {"sync/oasis/snappy.py"},
    "grpc": {"sidecar/sources/oasis_grpc.py"},
    "zstandard": {"flatdb/writelog_file.py", "sync/compression.py", "sidecar/importers/solana/archive.py"},
    "aiohttp": {"sync/server.py", "sync/fetch.py"},
    "prometheus_client": {"sidecar/metrics.py"},
    "pydantic": {"sidecar/config.py"},
    "pydantic_settings": {"sidecar/config.py"},
    "typer": {"sidecar/cli/*.py"},
    "rich": {"sidecar/cli/output.py"},
}

# The same for parts of the standard library that are a decision of one file.
CONFINED = {
    "sqlite3": {"flatdb/catalog.py"},
}

# `proofs` decides from its arguments alone: a module that can read a file, a clock, a socket, the environment
# or a random source has no place in it.
IMPURE = {
    "asyncio",
    "concurrent",
    "datetime",
    "glob",
    "http",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "queue",
    "random",
    "secrets",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
}
# The one switch between the twins reads LEAFMIRROR_KERNEL.
IMPURE_ALLOWED = {"proofs/kernel.py": {"os"}}

ASYNC_FILES = {
    "sync/server.py",
    "sync/fetch.py",
    "sync/restore.py",
    "sidecar/daemon.py",
    "sidecar/endpoint.py",
    "sidecar/stop.py",
    "sidecar/sources/*.py",
}

# Importable, but not Python: no file to read, and nothing of ours below it.
COMPILED = {"proofs._native"}

MODULES = read_modules()
NAMES = frozenset(module.name for module in MODULES) | COMPILED


def _matches(path: str, patterns: set[str]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


def test_every_package_has_its_row() -> None:
    assert set(ARROWS) == set(PACKAGES)
    assert {module.package for module in MODULES} == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_down(package: str) -> None:
    """Fails when a module imports a package that its own does not rest on."""
    wrong = [
        f"{module.path} imports {used.target}"
        for module in MODULES
        if module.package == package
        for used in module.imports
        if used.is_ours and used.top != package and used.top not in ARROWS[package]
    ]
    assert not wrong


def test_no_module_rests_on_itself() -> None:
    """Fails when modules import each other in a circle, also from inside a function."""
    graph = {module.name: _modules_used(module) for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def _modules_used(module: Module) -> set[str]:
    targets = (used.target for used in module.imports if used.is_ours and not used.typing_only)
    return {found for target in targets if (found := resolve(target, NAMES)) and found != module.name}


def test_proofs_are_pure() -> None:
    wrong = [
        f"{module.path} imports {used.target}"
        for module in MODULES
        if module.package == "proofs"
        for used in module.imports
        if used.top in IMPURE - IMPURE_ALLOWED.get(module.path, set())
    ]
    assert not wrong


def test_each_library_stays_in_its_files() -> None:
    """Fails when a library is imported outside its row, or has no row."""
    rows = LIBRARIES | CONFINED
    wrong = [
        f"{module.path} imports {used.target}"
        for module in MODULES
        for used in module.imports
        if not used.is_ours and (used.top in rows or not used.is_standard)
        if not _matches(module.path, rows.get(used.top, set()))
    ]
    assert not wrong


def test_async_stays_at_the_edge() -> None:
    """Fails when a module outside the network and the daemon has a coroutine, or imports asyncio."""
    wrong = [module.path for module in MODULES if _is_async(module) and not _matches(module.path, ASYNC_FILES)]
    assert not wrong


def _is_async(module: Module) -> bool:
    coroutines = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    return any(used.top == "asyncio" for used in module.imports) or any(
        isinstance(node, coroutines) for node in ast.walk(module.tree)
    )
