"""`leafmirror demo`: see all of it work, on real state, in under a minute."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from proofs import get_kernel
from sidecar.cli.options import AsJSON
from sidecar.cli.output import StepPrinter, print_json, print_line, print_table, print_verdict, shorten_hashes
from sidecar.demo.scene import ETHEREUM, MKVS, Demo

__all__ = ["demo"]


class DemoScheme(StrEnum):
    """States that the demo knows a story for."""

    ETHEREUM = ETHEREUM
    MKVS = MKVS
    JAM = "jam"
    NOMT_BLAKE3 = "nomt-blake3"
    NOMT_SHA2 = "nomt-sha2"
    SOLANA = "solana-lattice"


TITLES = {
    "genesis": "A first state",
    "heights": "Traffic on top of it",
    "check": "Look at everything",
    "checkpoint": "Cut a checkpoint",
    "peers": "Serve it, honestly and not",
    "killed": "Restore, and be killed",
    "restore": "Restore again",
    "compare": "Compare",
}


def demo(
    scheme: Annotated[DemoScheme, typer.Option("--scheme", help="Whose state.")] = DemoScheme.ETHEREUM,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Leave everything in this new folder to look at.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Mirror the real Ethereum genesis, add traffic, checkpoint it, restore it from liars, be killed on the way.

    Everything happens on this machine, on the loopback interface, and is removed afterwards unless --keep is given.
    """
    started = time.perf_counter()
    with _folder(keep) as folder, StepPrinter(TITLES, silent=as_json) as printer:
        run = Demo(
            folder, scheme.value, begun=printer.begin, done=lambda step: printer.finish(step.text, step.duration_s)
        )
        run.run()
    duration_s = round(time.perf_counter() - started, 3)
    assert run.root is not None
    kernel = get_kernel().name
    if as_json:
        facts = {"scheme": scheme.value, "root": run.root.to_json(), "kernel": kernel, "duration_s": duration_s}
        kept = None if keep is None else str(keep)
        print_json("demo", facts | {"steps": [asdict(s) for s in run.steps], "peers": run.peers, "kept": kept})
        return
    print_line("")
    rows = [(peer["nature"], peer["verdict"], peer["chunks"], shorten_hashes(peer["reason"])) for peer in run.peers]
    print_table(("peer", "verdict", "chunks", "why"), rows)
    print_line("")
    print_verdict(True, f"height {run.root.height}, root 0x{run.root.hash.hex()}")
    print_verdict(True, f"mirrored, served, restored and compared in {duration_s:.1f} s with the {kernel} kernel")
    if keep is not None:
        print_line(f"  everything is in {keep}: try `leafmirror status {keep / 'restored'}`")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="leafmirror-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        raise typer.BadParameter(f"--keep {keep}: the folder is not empty; name a new one")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep
