"""Run one command from its words to its exit code, whatever happens on the way."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence

from sidecar.cli.app import app
from sidecar.cli.failure import ExitCode, explain
from sidecar.cli.output import print_error, print_json

__all__ = ["run"]

TRACEBACK_VARIABLE = "LEAFMIRROR_TRACEBACK"


def run(arguments: Sequence[str]) -> int:
    """The exit code of docs/cli.md. Raises only what LEAFMIRROR_TRACEBACK asks for, and SystemExit of completion."""
    # Looked up here and not in the parsed options: a wrong usage is an error before there are any.
    as_json = "--json" in arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that knows fewer characters, or a path that is no text, must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app(args=list(arguments), prog_name="leafmirror", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_pipe()
    except SystemExit as left:
        # Completion scripts end so, and so does typer itself when nobody reads what it prints.
        if isinstance(left.__context__, BrokenPipeError):
            return _leave_pipe()
        raise
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        return _fail(error, as_json=as_json)
    if code == ExitCode.INTERRUPTED:
        print_error("interrupted", "run the same command again; finished work is kept")
    return int(code or ExitCode.DONE)


def _fail(error: Exception, *, as_json: bool) -> int:
    failure = explain(error)
    if not failure.message:
        return int(failure.exit_code)  # typer has answered a command without arguments with its help
    if as_json:
        fields = {"type": failure.kind, "message": failure.message, "hint": failure.hint}
        print_json("error", {"error": fields | {"exit_code": int(failure.exit_code)}})
    print_error(failure.message, failure.hint)
    return int(failure.exit_code)


def _leave_pipe() -> int:
    """Whoever read our output has seen enough (`leafmirror scan DIR | head`): end as other filters do."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  (the interpreter flushes it at its very end)
    return 128 + signal.SIGPIPE
