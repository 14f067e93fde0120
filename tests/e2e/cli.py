"""Running the command line in tests: in this process where that is enough, as a real process where it is not."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flatdb import WriteLog
from proofs import get_scheme, leaf_items, state_root
from sidecar.cli import main

TIMEOUT_S = 60.0
COMMAND = (sys.executable, "-c", "import sys; from sidecar.cli import main; sys.exit(main())")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document of a command that was given --json."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document

    @property
    def error(self) -> str:
        """The type of the error that the JSON document tells."""
        kind = self.document["error"]["type"]
        assert isinstance(kind, str)
        return kind


def run(*arguments: object) -> Done:
    """One command in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    out.seek(0)
    assert "Traceback" not in err.getvalue()
    return Done(code, out.read(), err.getvalue())


def ok(*arguments: object) -> dict[str, Any]:
    """The document of a command that must succeed."""
    done = run(*arguments, "--json")
    assert done.code == 0, done.err
    return done.document


def run_process(
    *arguments: object, stdin: bytes | None = None, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Done:
    """The same as a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin, capture_output=True, timeout=TIMEOUT_S, env=os.environ | (env or {}), cwd=cwd,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def start_process(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """A process to be watched; its output is text, line by line."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | (env or {}),
    )  # fmt: skip


def make_chain(height_count: int, *, leaf_count: int = 40, scheme: str = "mkvs") -> list[WriteLog]:
    """Write logs 1 to `height_count`: each writes `leaf_count` leaves, half of them again at the next height."""
    leaves: dict[bytes, bytes] = {}
    write_logs: list[WriteLog] = []
    parent = get_scheme(scheme).empty_root
    for height in range(1, height_count + 1):
        first = height * leaf_count // 2
        keys = sorted(number.to_bytes(4) for number in range(first, first + leaf_count))
        writes = tuple((key, b"value %d of %d" % (height, key[-1])) for key in keys)
        leaves.update(writes)
        root = state_root(get_scheme(scheme), leaf_items(sorted(leaves.items())))
        write_logs.append(WriteLog(height=height, parent_root=parent, root=root, writes=writes))
        parent = root
    return write_logs


def leaves_of(path: Path) -> dict[str, str]:
    """Every leaf of a mirror, as the command line prints them."""
    done = run("scan", path, "--json")
    assert done.code == 0, done.err
    return {leaf["key"]: leaf["value"] for leaf in map(json.loads, done.out.splitlines())}
