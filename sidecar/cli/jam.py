"""`leafmirror jam …`: what JAM nodes speak: state requests (CE 129) and the fuzz protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flatdb import WriteLog
from flatdb.writelog_file import save_write_logs
from sidecar.cli.options import AsJSON, Hash, Height, StorePath, hash_bytes, open_store
from sidecar.cli.output import print_json, print_line
from sidecar.config import parse_listen
from sidecar.jam.replay_target import TargetServer
from sidecar.jam.state_request import StateServer, answer_state, checkpoint_states, tcp_carrier
from sidecar.jam.state_request import fetch_state as fetch_proven_state
from sidecar.jam.trace import parse_step
from sync.errors import CheckpointNotFoundError

__all__ = ["app"]

app = typer.Typer(help="Speak JAM: state requests (CE 129) over TCP, the fuzz protocol.", no_args_is_help=True)

Header = Annotated[
    bytes,
    typer.Option(
        "--header", metavar="HEX", parser=hash_bytes, help="Header hash of the block whose state is meant.",
        show_default=False,
    ),
]  # fmt: skip


@app.command("serve-state", epilog="Example: leafmirror jam serve-state --store checkpoints --height 100 --header 0x…")
def serve_state(
    store_url: StorePath,
    height: Height,
    header: Header,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Port 0: any free one.")] = "127.0.0.1:0",
    as_json: AsJSON = False,
) -> None:
    """Answer CE 129 state requests out of a checkpoint, over plain TCP. The header hash is the block's own.

    A JAM header names the state *before* its block: the root of this checkpoint is attested by the next header.
    """
    host, port = _host_port(listen)
    store = open_store(store_url)
    digests = [info.digest for info in store.list() if (info.root.scheme, info.root.height) == ("jam", height)]
    if not digests:
        raise CheckpointNotFoundError(f"jam height {height}")
    with StateServer(host, port, answer_state(checkpoint_states(store, {header: digests[0]}))) as server:
        bound = (str(server.server_address[0]), int(server.server_address[1]))
        if as_json:
            print_json("jam.serve", {"host": bound[0], "port": bound[1], "digest": digests[0].hex()})
        else:
            print_line(f"answering state requests at {bound[0]}:{bound[1]}")
        server.serve_forever()


@app.command(
    "fetch-state", epilog="Example: leafmirror jam fetch-state host:9999 --header 0x… --height 100 --root 0x… -o s.cbor"
)
def fetch_state(
    peer: Annotated[str, typer.Argument(metavar="HOST:PORT", show_default=False)],
    header: Header,
    height: Height,
    root: Hash,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Write-log file.")],
    as_json: AsJSON = False,
) -> None:
    """Fetch a whole state by CE 129, every answer proven against the trusted root, as a mirror's first write log."""
    answers = list(fetch_proven_state(tcp_carrier(*_host_port(peer)), root, header))
    leaves = tuple(leaf for run in answers for leaf in run)
    save_write_logs(output, [WriteLog(height=height, root=root, writes=leaves)])
    if as_json:
        facts = {"height": height, "root": root.hex(), "leaf_count": len(leaves), "answer_count": len(answers)}
        print_json("jam.fetch", facts)
    else:
        print_line(f"{len(leaves):,} leaves in {len(answers)} answers, all proven, to {output}")


@app.command("replay", epilog="Example: leafmirror jam replay jam_target.sock traces/storage/*.bin")
def replay(
    socket: Annotated[Path, typer.Argument(metavar="SOCKET", help="Unix socket to make.", show_default=False)],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Binary steps.", show_default=False)],
    as_json: AsJSON = False,
) -> None:
    """Stand in for a conformance target: answer the fuzz protocol from recorded steps, executing nothing."""
    steps = [parse_step(file.name, file.read_bytes()) for file in files]
    with TargetServer(socket, steps) as server:
        if as_json:
            print_json("jam.replay", {"path": str(socket), "steps": len(steps)})
        else:
            print_line(f"{len(steps)} steps at {socket}")
        server.serve_forever()


def _host_port(text: str) -> tuple[str, int]:
    try:
        return parse_listen(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text}: {error}") from error
