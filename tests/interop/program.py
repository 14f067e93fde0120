"""The real Oasis Core code behind a pipe: the program that `tests/interop/oasis/build` builds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent / "oasis" / "oasis-interop"


class RefusedError(Exception):
    """The real implementation answered with an error."""


class Oasis:
    """One running program: a command is a line, its answer the next one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, cmd: str, **fields: Any) -> dict[str, Any]:
        request = json.dumps({"cmd": cmd} | {name: _plain(value) for name, value in fields.items()})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RefusedError(answer["error"])
        found: dict[str, Any] = answer["ok"]
        return found

    def state(
        self, pairs: list[tuple[bytes, bytes]], *, namespace: bytes, version: int, root_type: int
    ) -> tuple[int, bytes]:
        """A database with one finalised root: its number, and the root in CBOR."""
        large = any(len(value) >= 1 << 20 for _, value in pairs)  # more than its database takes in memory
        db: int = self("open", namespace=namespace, on_disk=large)["db"]
        root = bytes.fromhex(self("commit", db=db, version=version, type=root_type, ops=list(map(list, pairs)))["root"])
        self("finalize", db=db, roots=[root])
        return db, root


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path):
        return str(value)
    return list(map(_plain, value)) if isinstance(value, (list, tuple)) else value
