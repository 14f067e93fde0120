"""`leafmirror serve` and `leafmirror sidecar`: what runs until it is told to stop."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli.failure import ExitCode
from sidecar.cli.options import AsJSON, StorePath, open_store
from sidecar.cli.output import print_json, print_line
from sidecar.config import load_config, parse_listen, to_toml
from sidecar.daemon import run_daemon
from sidecar.endpoint import run_endpoint
from sidecar.log import open_log

__all__ = ["serve", "sidecar"]


def serve(
    store_url: StorePath,
    mirror: Annotated[
        Path | None, typer.Option("--mirror", metavar="DIR", help="Serve this mirror's write logs, too, as of now.")
    ] = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
    ] = "127.0.0.1:8470",
    as_json: AsJSON = False,
) -> None:
    """Serve a checkpoint store to anyone who asks. Reachable from this machine only, unless told otherwise."""
    try:
        host, port = parse_listen(listen)
    except ValueError as error:
        raise typer.BadParameter(f"--listen {listen}: {error}") from error
    log = open_log(style="auto", level="info")
    stopped_by = run_endpoint(
        open_store(store_url), mirror, host, port, log=log, listening=lambda url: _tell(url, as_json=as_json)
    )
    _leave(stopped_by)


def sidecar(
    config_file: Annotated[Path, typer.Option("--config", metavar="FILE", help="TOML file.", show_default=False)],
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print what is in force, variables included, and leave.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Follow a node: apply its write logs, cut checkpoints, serve them. docs/operations.md says how to run it.

    LEAFMIRROR_SERVE__LISTEN=0.0.0.0:8470 overrides `listen` in the section \\[serve] of the file, and so on.
    """
    config = load_config(config_file)
    if print_config:
        if as_json:
            print_json("sidecar.config", {"config": config.model_dump(mode="json")})
        else:
            sys.stdout.write(to_toml(config))
        return
    log = open_log(style=config.log.format, level=config.log.level)
    _leave(run_daemon(config, log, listening=lambda url: _tell(url, as_json=as_json)))


def _tell(url: str, *, as_json: bool) -> None:
    """Where it listens, on standard output: a script that asked for port 0 waits for this line."""
    if as_json:
        print_json("serve", {"url": url})
    else:
        print_line(f"listening on {url}")
    sys.stdout.flush()


def _leave(stopped_by: int | None) -> None:
    """SIGTERM is how services are stopped, and done well; Ctrl-C is an interrupt."""
    if stopped_by == signal.SIGINT:
        raise typer.Exit(ExitCode.INTERRUPTED)
