"""`leafmirror doctor`: what is installed, how fast it is, what is missing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flatdb.errors import DatabaseNotFoundError
from sidecar.catalog import rebuild_catalog
from sidecar.cli.failure import ExitCode
from sidecar.cli.options import AsJSON, open_store
from sidecar.cli.output import print_json, print_pairs, print_verdict
from sidecar.doctor import Report, examine

__all__ = ["doctor"]


def doctor(
    path: Annotated[Path, typer.Argument(metavar="[DIR]", help="Look at the disk that this is on.")] = Path(),
    rebuild: Annotated[
        bool, typer.Option("--rebuild-catalog", help="Make the catalog of the mirror in DIR again from its stores.")
    ] = False,
    stores: Annotated[
        list[str] | None, typer.Option("--store", metavar="URL", help="With --rebuild-catalog: a store, repeatable.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Say what is installed, which kernel folds, and what to improve. Exit code 1 if commands would fail."""
    if rebuild or stores:
        _rebuild(path, stores or [], wanted=rebuild, as_json=as_json)
        return
    report = examine(path)
    if as_json:
        print_json("doctor", asdict(report) | {"healthy": report.is_healthy})
    else:
        _print(report)
    if not report.is_healthy:
        raise typer.Exit(ExitCode.WRONG)


def _rebuild(path: Path, stores: list[str], *, wanted: bool, as_json: bool) -> None:
    if not wanted or not stores:
        raise typer.BadParameter(
            "--rebuild-catalog needs --store URL for each checkpoint store, and the other way round"
        )
    if not (path / "rocksdb").is_dir():
        raise DatabaseNotFoundError(path)
    count = rebuild_catalog(path, [(url, open_store(url)) for url in stores])
    if as_json:
        print_json("doctor.rebuild-catalog", {"path": str(path), "checkpoints": count})
    else:
        print_verdict(True, f"{path}: the catalog lists {count} checkpoints again")


def _print(report: Report) -> None:
    libraries = ", ".join(f"{name} {version}" for name, version in report.libraries.items())
    print_pairs(
        (
            ("leafmirror", report.version),
            ("python", f"{report.python} on {report.platform}, {report.cpu_count} CPUs"),
            ("kernel", report.kernel + (" (forced)" if report.kernel_forced else "")),
            ("keccak", report.keccak),
            ("schemes", ", ".join(report.schemes)),
            ("libraries", libraries),
            ("free disk", None if report.disk_free_bytes is None else f"{report.disk_free_bytes / 2**30:.1f} GiB"),
        )
    )
    for finding in report.findings:
        print_verdict(not finding.serious, f"{finding.what}: {finding.remedy}")
    print_verdict(report.is_healthy, "everything works" if report.is_healthy else "commands will fail")
