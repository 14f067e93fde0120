"""Oasis Core's own checkpoint creator and restorer, on the same leaves, by the program of tests/interop/oasis.

Build: `tests/interop/oasis/build`; LEAFMIRROR_OASIS_INTEROP names the program if it is elsewhere. Its databases do not
sync (here files are synced before they are dropped), and in memory they touch no disk: its best case.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.page_cache import bytes_read, drop

PROGRAM = Path(
    os.environ.get("LEAFMIRROR_OASIS_INTEROP")
    or Path(__file__).parents[2] / "tests" / "interop" / "oasis" / "oasis-interop"
)
CHUNK_BYTES = 8 * 2**20
"""What Oasis networks use."""
NAMESPACE = bytes(32).hex()
COMMIT_LEAVES = 20_000
IN_MEMORY, ON_DISK, COLD = "in memory", "on disk", "from disk"
STATE_ROOT = 1


class _Program:
    """The interop program: one JSON line a request."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"cmd": command, **fields}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"oasis-interop {command}: {answer['error']}")
        result = answer["ok"]
        assert isinstance(result, dict)
        return result


def measure(work: Path, leaves: Iterable[tuple[bytes, bytes]], where: str) -> Iterator[dict[str, Any]]:
    """Creation, sequential and with 12 threads, and the restorer over the checkpoint that came of it.

    COLD: its database is closed before each creation and its files are dropped from the page cache; the restorer, which
    reads nothing but the chunks, is left out.
    """
    if not PROGRAM.exists():
        yield {"who": "oasis-core", "error": f"not built: {PROGRAM.parent}/build"}
        return
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        command = [str(PROGRAM)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            program = _Program(process)  # it ends when its input does: at the end of this block
            folder = Path(scratch) / "database"
            opening = {"namespace": NAMESPACE, "backend": "", "on_disk": where != IN_MEMORY, "dir": str(folder)}
            db = program.ask("open", **opening)["db"]
            root, count = _fill(program, db, leaves, Path(scratch) / "leaves")
            for threads in (0, 12):
                if where == COLD:
                    program.ask("close", db=db, keep=True)
                    drop(folder)
                    db = program.ask("open", **opening)["db"]
                read_before = bytes_read(process.pid)
                into = f"{scratch}/{threads}"
                done = program.ask("checkpoint", db=db, root=root, dir=into, chunk_bytes=CHUNK_BYTES, threads=threads)
                read = bytes_read(process.pid) - read_before
                yield _found("create", where, threads, count, done["seconds"]) | {"read_bytes": read}
            if where == COLD:
                return
            chunks = next(Path(scratch, "0").rglob("meta")).parent
            done = program.ask("restore", dir=str(chunks), backend="", on_disk=where != IN_MEMORY)
            yield _found("restore", where, 0, count, done["seconds"])


def _fill(program: _Program, db: int, leaves: Iterable[tuple[bytes, bytes]], file: Path) -> tuple[str, int]:
    """Commit the leaves, part by part: Badger refuses the bookkeeping of a large commit. The last root; the count."""
    stream, root, count = iter(leaves), None, 0
    for version in range(1, 2**31):
        part = list(islice(stream, COMMIT_LEAVES))
        if not part:
            break
        _write_leaves(file, part)
        fields = {"version": version, "type": STATE_ROOT, "ops": [], "leaves_file": str(file)}
        root = program.ask("commit", db=db, old_root=root, **fields)["root"]
        program.ask("finalize", db=db, roots=[root])
        count += len(part)
    assert root is not None
    return root, count


def _found(step: str, where: str, threads: int, count: int, seconds: float) -> dict[str, Any]:
    return {
        "who": "oasis-core",
        "step": step,
        "where": where,
        "threads": threads,
        "leaves": count,
        "seconds": seconds,
        "leaves_per_second": count / seconds,
    }


def _write_leaves(file: Path, leaves: Sequence[tuple[bytes, bytes]]) -> None:
    """(u32 key size, u32 value size, key, value), little-endian, one after the other."""
    with file.open("wb") as out:
        for key, value in leaves:
            out.write(len(key).to_bytes(4, "little") + len(value).to_bytes(4, "little") + key + value)
