"""Oasis on the command line: `checkpoint create --format oasis-1`, `import oasis-checkpoint`, `serve-oasis`."""

from __future__ import annotations

import signal
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from flatdb import HeightRecord
from proofs.oasis.messages import ROOT_TYPES, OasisRoot
from sidecar.cli.failure import ExitCode
from sidecar.cli.options import AsJSON, Hash, Height, Progress, StorePath, hex_bytes
from sidecar.cli.output import ProgressStyle, open_monitor, print_json, print_line, print_pairs, print_verdict
from sidecar.oasis_checkpoint import create_oasis_checkpoints, oasis_root, read_io_log
from sidecar.sources.oasis_restore import restore_from_address
from sidecar.sources.oasis_service import run_oasis_service
from sync.mirror import Mirror
from sync.monitor import Monitor
from sync.oasis.create import CHUNK_BYTES, Chunking
from sync.oasis.restored import restore_directory
from sync.oasis.store import OasisStore
from sync.root import Root

__all__ = [
    "ChunkBytes",
    "ChunkerThreads",
    "FromWriteLog",
    "RootType",
    "RootTypeOption",
    "create",
    "import_checkpoint",
    "serve",
]


class RootType(StrEnum):
    """What a root commits to."""

    STATE = "state"
    IO = "io"


ChunkBytes = Annotated[
    int, typer.Option("--chunk-bytes", min=0, metavar="N", help="oasis-1: chunk size of the network or the runtime.")
]
ChunkerThreads = Annotated[
    int,
    typer.Option(
        "--chunker-threads",
        min=0,
        max=65535,
        metavar="T",
        help="oasis-1: 12 for nodes with their parallel chunker on, 0 for all others.",
    ),
]
RootTypeOption = Annotated[RootType, typer.Option("--root-type", help="oasis-1: of the checkpoint to make.")]
FromWriteLog = Annotated[
    Path | None,
    typer.Option(
        "--from-writelog",
        metavar="FILE",
        help="oasis-1: the round's own I/O write log. With --root-type state both checkpoints are made, or neither.",
    ),
]
CHUNK_BYTES_DEFAULT = CHUNK_BYTES


def create(
    mirror: Mirror,
    root: Root,
    store_url: str,
    *,
    chunking: Chunking,
    root_type: RootType,
    from_writelog: Path | None,
    progress: ProgressStyle,
    as_json: bool,
) -> None:
    """Make the checkpoints of the mirror's height as an Oasis node makes them, and say what they are."""
    if root_type is RootType.IO and from_writelog is None:
        raise typer.BadParameter("an I/O tree is made of its round's write log: give --from-writelog FILE")
    try:
        state_root = oasis_root(root)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    started = time.monotonic()
    log = None if from_writelog is None else (read_io_log(from_writelog, state_root.version), state_root.namespace)
    with open_monitor(progress, title="checkpoint") as monitor, mirror.freeze() as view:
        made = create_oasis_checkpoints(
            OasisStore(_folder(store_url)),
            state=(view, state_root) if root_type is RootType.STATE else None,
            io=log,
            chunking=chunking,
            monitor=monitor,
        )
    kinds = {number: kind for kind, number in ROOT_TYPES.items()}
    found = [
        {
            "root": metadata.root.hash.hex(),
            "root_type": kinds[metadata.root.root_type],
            "height": metadata.root.version,
            "chunk_count": len(metadata.chunks),
            "metadata_hash": metadata.encoded_hash.hex(),
        }
        for metadata in made
    ]
    duration_s = round(time.monotonic() - started, 3)
    if as_json:
        print_json("checkpoint.create", {"format": "oasis-1", "checkpoints": found, "duration_s": duration_s})
        return
    for fields in found:
        print_verdict(True, f"{fields['root_type']} checkpoint of round {fields['height']} published")
        print_pairs(fields.items())


def import_checkpoint(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A node's checkpoints directory, or a service: unix:PATH or HOST:PORT.",
            show_default=False,
        ),
    ],
    path: Annotated[Path, typer.Option("--to", metavar="DIR", help="The mirror to make.", show_default=False)],
    namespace: Annotated[
        bytes, typer.Option("--namespace", metavar="HEX", parser=hex_bytes, help="32 bytes; zeros for consensus.")
    ],
    height: Height,
    root_hash: Hash,
    root_type: Annotated[RootType, typer.Option("--root-type", help="Of the checkpoint.")] = RootType.STATE,
    progress: Progress = ProgressStyle.AUTO,
    as_json: AsJSON = False,
) -> None:
    """Make a mirror of an Oasis checkpoint: every chunk proven, and all of them complete."""
    try:
        root = oasis_root(Root("mkvs", root_type.value, namespace, height, root_hash))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with open_monitor(progress, title="import") as monitor:
        record = _restore(source, root, path, monitor)
    fields = {"height": record.height, "root": root.hash.hex(), "verified": record.verified}
    if as_json:
        print_json("import.oasis", fields)
    else:
        print_verdict(True, f"{path}: a mirror at height {record.height}, root {root.hash.hex()}")


def serve(
    store_url: StorePath,
    mirror: Annotated[
        Path | None, typer.Option("--mirror", metavar="DIR", help="Prove reads from this mirror, too, as of now.")
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option("--listen", metavar="ADDRESS", help="unix:PATH or HOST:PORT; may be given again."),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Serve Oasis' storage service (gRPC): checkpoints, reads with proofs, diffs. No TLS, no authentication."""
    addresses = listen or ["127.0.0.1:8471"]

    def tell(bound: list[str]) -> None:
        if as_json:
            print_json("serve.oasis", {"addresses": bound})
        else:
            print_line(f"listening on {' '.join(bound)}")
        sys.stdout.flush()

    try:
        stopped_by = run_oasis_service(OasisStore(_folder(store_url)), mirror, addresses, listening=tell)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if stopped_by == signal.SIGINT:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _restore(source: str, root: OasisRoot, path: Path, monitor: Monitor) -> HeightRecord:
    if not source.startswith("unix:") and Path(source).is_dir():
        return restore_directory(OasisStore(Path(source)), root, path, monitor=monitor)
    if ":" not in source:
        raise typer.BadParameter(f"{source} is neither a directory nor an address (unix:PATH or HOST:PORT)")
    return restore_from_address(source, root, path, monitor=monitor)


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if "://" in url:
        raise typer.BadParameter(f"{url}: an oasis-1 store is a folder or its file:// URL")
    return Path(url)
