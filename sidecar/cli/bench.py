"""`leafmirror bench`: the quick figures of this machine. docs/performance.md has the long ones."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from proofs import get_kernel
from sidecar.bench import Figure, measure
from sidecar.cli.options import AsJSON
from sidecar.cli.output import print_json, print_table

__all__ = ["bench"]


def bench(
    leaf_count: Annotated[int, typer.Option("--leaves", min=1_000, max=10_000_000, metavar="N")] = 200_000,
    workers: Annotated[int, typer.Option(min=1, metavar="W", help="Folds at once.")] = os.cpu_count() or 1,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Work on the disk that this is on.", exists=True)
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Measure fold, apply, create and restore with made-up leaves of 32-byte keys and 70-byte values."""
    kernel = get_kernel().name
    with tempfile.TemporaryDirectory(prefix="leafmirror-bench-", dir=directory) as work:
        figures = list(measure(Path(work), leaf_count=leaf_count, workers=workers))
    if as_json:
        fields = [asdict(figure) | {"per_second": figure.per_second} for figure in figures]
        print_json("bench", {"kernel": kernel, "leaves": leaf_count, "workers": workers, "figures": fields})
    else:
        print_table(("step", "count", "seconds", "per second"), map(_row, figures))


def _row(figure: Figure) -> tuple[str, ...]:
    return figure.name, f"{figure.count:,} {figure.unit}", f"{figure.elapsed_s:.2f}", f"{figure.per_second:,.0f}"
