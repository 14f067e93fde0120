"""Doctor: what is installed here, what it is fast with, and what is missing.

Looks and never changes anything. `native` is said to be absent in so many words: a slow fold has then a known reason.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from proofs import SCHEMES, get_kernel
from proofs.errors import ProofError
from proofs.hashing import KECCAK_SOURCE
from proofs.kernel import VARIABLE, KernelUnavailableError

__all__ = ["Finding", "Report", "examine"]

LIBRARIES = ("rocksdict", "aiohttp", "zstandard", "cbor2", "pydantic", "prometheus-client", "typer", "rich")
FREE_BYTES_MIN = 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should be otherwise, and what to do. `serious`: commands will fail."""

    what: str
    remedy: str
    serious: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What `examine` saw. Sizes in bytes."""

    version: str
    python: str
    platform: str
    cpu_count: int
    schemes: tuple[str, ...]
    kernel: str
    kernel_forced: bool
    keccak: str
    libraries: dict[str, str]
    path: str
    disk_free_bytes: int | None
    findings: tuple[Finding, ...]

    @property
    def is_healthy(self) -> bool:
        return not any(finding.serious for finding in self.findings)


def examine(path: Path) -> Report:
    """Look at this installation, and at the file system that `path` is (or would be) on."""
    findings: list[Finding] = []
    libraries = {name: _version(name, findings) for name in LIBRARIES}
    free_bytes = _free_bytes(path, findings)
    return Report(
        version=metadata.version("leafmirror"),
        python=platform.python_version(),
        platform=f"{sys.platform} {platform.machine()}",
        cpu_count=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        schemes=tuple(SCHEMES),
        kernel=_kernel(findings),
        kernel_forced=VARIABLE in os.environ,
        keccak=_keccak(findings),
        libraries=libraries,
        path=str(path),
        disk_free_bytes=free_bytes,
        findings=tuple(findings),
    )


def _version(name: str, findings: list[Finding]) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        findings.append(Finding(f"{name} is not installed", "install leafmirror again with pip", serious=True))
        return ""


def _kernel(findings: list[Finding]) -> str:
    try:
        name = get_kernel().name
    except KernelUnavailableError as error:
        findings.append(Finding(str(error), f"unset {VARIABLE}, or install the kernel it names", serious=True))
        return ""
    except ProofError as error:
        findings.append(Finding(f"the kernel does not load: {error}", "install leafmirror again", serious=True))
        return ""
    if name == "reference":
        remedy = "install again where a Rust compiler is present; everything works without it, slower"
        findings.append(Finding("folding with the Python reference: no native kernel here", remedy))
    return name


def _keccak(findings: list[Finding]) -> str:
    if KECCAK_SOURCE == "pycryptodome":
        remedy = "pip install safe-pysha3 (about 7 times faster for the Ethereum schemes)"
        findings.append(Finding("Keccak comes from pycryptodome", remedy))
    return KECCAK_SOURCE


def _free_bytes(path: Path, findings: list[Finding]) -> int | None:
    existing = next((place for place in (path.absolute(), *path.absolute().parents) if place.exists()), None)
    try:
        free_bytes = shutil.disk_usage(existing or Path.cwd()).free
    except OSError as error:
        findings.append(Finding(f"{path}: {error.strerror}", "check the path and its permissions", serious=True))
        return None
    if free_bytes < FREE_BYTES_MIN:
        findings.append(Finding(f"only {free_bytes} bytes are free at {path}", "free space before mirroring there"))
    return free_bytes
