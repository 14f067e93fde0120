"""The command line: `leafmirror COMMAND`. One file for each noun; `failure` knows exit codes, `output` all of rich.

Commands parse, call one function of the layers below, and print. Nothing is decided here that a program importing
`leafmirror` would miss. This file imports nothing of it all until `main` runs: that takes long enough for somebody to
change their mind.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED = 130
"""As `failure.ExitCode.INTERRUPTED`, which may not be there yet."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code of docs/cli.md. Never raises, never shows a traceback unasked."""
    try:
        from sidecar.cli.run import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        # Commands answer it themselves: this one came before or after them.
        sys.stderr.write("error: interrupted\n")
        return INTERRUPTED
