"""NOMT applying the same write logs, a root for each. Build: `cd benchmarks/peers/nomt && cargo build --release`"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from proofs import leaf_run

BINARY = Path(__file__).parent / "target" / "release" / "nomt-peer"

Leaf = tuple[bytes, bytes]


def apply(work: Path, state: Sequence[Leaf], logs: Iterable[Sequence[Leaf]]) -> dict[str, Any]:
    """Seconds that NOMT takes for each log, on all CPUs."""
    if not BINARY.exists():
        return {"who": "nomt", "error": f"not built: {__doc__}"}
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        files = []
        for index, leaves in enumerate((state, *logs)):
            files.append(f"{scratch}/{index}")
            Path(files[-1]).write_bytes(leaf_run(leaves).encode())
        command = [str(BINARY), f"{scratch}/nomt", str(os.cpu_count() or 1), *files]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    seconds = sorted(found["seconds"])
    return {"who": "nomt", "seconds_median": seconds[len(seconds) // 2], "seconds_max": seconds[-1]}
