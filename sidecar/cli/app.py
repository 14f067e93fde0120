"""The tree of commands: which noun has which file, and what stands above them all."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from sidecar.cli import bench, checkpoint, demo, doctor, get, importer, jam, mirror, oasis, restore, serve

__all__ = ["app"]

app = typer.Typer(
    name="leafmirror",
    help="A verified mirror of a chain's state: provable checkpoints, restored from peers nobody has to trust.",
    epilog="Try `leafmirror demo`. Exit codes: 0 done, 1 the thing checked is wrong, 2 wrong usage, "
    "3 a peer or node could not be reached, 4 no space or permission, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init", epilog="Example: leafmirror init mirror --scheme ethereum")(mirror.init)
app.command("apply", epilog="Example: leafmirror apply mirror blocks.ndjson.zst --verify-every 100")(mirror.apply)
app.command("status", epilog="Example: leafmirror status mirror --json")(mirror.status)
app.command("get", epilog="Example: leafmirror get mirror --address 0x00…01 --proof account.proof")(get.get)
app.command("scan", epilog="Example: leafmirror scan mirror --prefix 0a --limit 10")(mirror.scan)
app.command("root", epilog="Example: leafmirror root mirror")(mirror.root)
app.command("check", epilog="Example: leafmirror check mirror && echo sound")(mirror.check)
app.command(
    "restore",
    epilog="Example: leafmirror restore http://a:8470 http://b:8470 --scheme ethereum --height 300 --root 0x3223… "
    "--to mirror",
)(restore.restore)
app.command("serve", epilog="Example: leafmirror serve --store checkpoints --listen 0.0.0.0:8470")(serve.serve)
app.command("serve-oasis", epilog="Example: leafmirror serve-oasis --store checkpoints --listen unix:oasis.sock")(
    oasis.serve
)
app.command("sidecar", epilog="Example: leafmirror sidecar --config sidecar.toml --print-config")(serve.sidecar)
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(importer.app, name="import")
app.add_typer(jam.app, name="jam")
app.command("demo", epilog="Example: leafmirror demo --keep demo-files")(demo.demo)
app.command("bench", epilog="Example: leafmirror bench --leaves 1000000 --json")(bench.bench)
app.command("doctor", epilog="Example: leafmirror doctor --json")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"leafmirror {version('leafmirror')}")
        raise typer.Exit


@app.callback()
def leafmirror(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass
