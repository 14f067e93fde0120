"""go-ethereum's StackTrie and VerifyRangeProof. Build: `cd benchmarks/peers/geth && go build -o geth-peer .`"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proofs import leaf_run

BINARY = Path(__file__).with_name("geth-peer")


def fold(leaves: Sequence[tuple[bytes, bytes]], repeat: int) -> dict[str, Any]:
    """StackTrie over all leaves, on one core; the best of `repeat`."""
    return _best(leaves, ["fold"], [], repeat)


def verify(leaves: Sequence[tuple[bytes, bytes]], range_leaves: int, ranges: int, repeat: int) -> dict[str, Any]:
    """VerifyRangeProof over ranges of so many leaves, spread over the state; the best of `repeat`."""
    return _best(leaves, ["verify"], [str(range_leaves), str(ranges)], repeat)


def _best(leaves: Sequence[tuple[bytes, bytes]], before: list[str], after: list[str], repeat: int) -> dict[str, Any]:
    if not BINARY.exists():
        return {"who": "go-ethereum", "error": f"not built: {__doc__}"}
    with tempfile.NamedTemporaryFile() as file:
        file.write(leaf_run(leaves).encode())
        file.flush()
        command = [str(BINARY), *before, file.name, *after]
        outputs = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(repeat)]
    best = min(map(json.loads, outputs), key=lambda found: found["cpu_seconds"])
    found = {name: best[name] for name in ("seconds", "cpu_seconds")}
    return {"who": "go-ethereum", "scheme": "mpt", **found, "leaves_per_second": best["leaves"] / best["cpu_seconds"]}
