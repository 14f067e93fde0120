"""`leafmirror import …`: files of other programs become write-log files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from flatdb import WriteLog
from flatdb.writelog_file import save_write_logs
from sidecar.cli import oasis
from sidecar.cli.options import AsJSON
from sidecar.cli.output import print_json, print_line
from sidecar.errors import InvalidImportError
from sidecar.importers.ethereum_genesis import convert_genesis
from sidecar.importers.ethereum_writelogs import convert_writelogs
from sidecar.importers.json_input import DOCUMENT_BYTES_MAX
from sidecar.importers.solana import address_bytes, import_full, import_incremental
from sidecar.jam.trace import convert_files
from sync.mirror import Mirror

__all__ = ["app"]

app = typer.Typer(help="Convert files of other programs to write-log files, or to a mirror.", no_args_is_help=True)

InputFile = Annotated[Path, typer.Argument(metavar="FILE", help="JSON, plain or .gz.", show_default=False)]
OutputFile = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write-log file (.ndjson or .cbor, then .gz or .zst); - is stdout."
    ),
]


@app.command("ethereum-genesis", epilog="Example: leafmirror import ethereum-genesis genesis.json -o 0.ndjson")
def ethereum_genesis(file: InputFile, output: OutputFile = Path("-"), as_json: AsJSON = False) -> None:
    """Turn a geth genesis (or its alloc) into the write log of height 0, with the state root it folds to."""
    _convert((convert_genesis(data) for data in [_read(file)]), output, as_json=as_json)


@app.command(
    "ethereum-writelogs", epilog="Example: leafmirror import ethereum-writelogs blocks.json.gz -o blocks.ndjson"
)
def ethereum_writelogs(file: InputFile, output: OutputFile = Path("-"), as_json: AsJSON = False) -> None:
    """Turn recorded state changes (a JSON list of blocks) into write logs."""
    _convert(convert_writelogs(_read(file)), output, as_json=as_json)


@app.command("jam-trace", epilog="Example: leafmirror import jam-trace 0*.bin -o trace.ndjson")
def jam_trace(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Steps (.bin or .json) in order.", show_default=False)
    ],
    output: OutputFile = Path("-"),
    as_json: AsJSON = False,
) -> None:
    """Turn published JAM block-import traces into write logs; the state before the first step comes first."""
    _convert(convert_files((file.name, _read(file)) for file in files), output, as_json=as_json)


@app.command(
    "solana-snapshot", epilog="Example: leafmirror import solana-snapshot snapshot-1-5pgM….tar.zst --to mirror"
)
def solana_snapshot(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="snapshot-….tar.zst", show_default=False)],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The new mirror.", show_default=False)],
    incremental: Annotated[
        Path | None, typer.Option("--incremental", metavar="FILE", help="incremental-snapshot-….tar.zst on top of it.")
    ] = None,
    bank_hash: Annotated[
        str | None, typer.Option("--bank-hash", metavar="BASE58", help="Bank hash of the last archive, from consensus.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Fill a new mirror from a snapshot archive and verify it against its bank; it does not open before.

    An archive vouches for itself only, unless --bank-hash says which bank it must be of.
    """
    trusted = None if bank_hash is None else address_bytes("--bank-hash", bank_hash)
    record = import_full(file, to, bank_hash=trusted if incremental is None else None)
    if incremental is not None:
        with Mirror.open(to) as mirror:
            record = import_incremental(incremental, mirror, bank_hash=trusted)
    assert record.root is not None
    if as_json:
        fields = {"path": str(to), "height": record.height, "root": record.root.hex()}
        print_json("import.solana", fields | {"verified": record.verified})
    else:
        print_line(f"{to}: slot {record.height}, root 0x{record.root.hex()}, verified")


app.command(
    "oasis-checkpoint",
    epilog="Example: leafmirror import oasis-checkpoint checkpoints --to mirror --namespace 80… --height 9 --root 5c…",
)(oasis.import_checkpoint)


def _convert(write_logs: Iterable[WriteLog], output: Path, *, as_json: bool) -> None:
    """Write everything or nothing: the whole input is converted before the output is opened."""
    converted = list(write_logs)
    if as_json and output == Path("-"):
        raise typer.BadParameter("--json needs --output FILE: standard output holds one or the other")
    save_write_logs(output, converted)
    heights = [write_log.height for write_log in converted]
    last = converted[-1] if converted else None
    if as_json:
        fields = {"count": len(converted), "first_height": heights[0] if heights else None}
        root = last.root.hex() if last is not None and last.root is not None else None
        print_json("import", fields | {"last_height": heights[-1] if heights else None, "root": root})
    elif output != Path("-"):
        print_line(f"{len(converted)} write logs to {output}, root {_root(last)}")


def _root(write_log: WriteLog | None) -> str:
    return "none" if write_log is None or write_log.root is None else write_log.root.hex()


def _read(path: Path) -> bytes:
    """The document, decompressed if need be, and never more of it than may be parsed."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return b"".join(_bounded(iter(lambda: stream.read(2**20), b"")))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidImportError(path.name, f"damaged gzip data: {error}") from error


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > DOCUMENT_BYTES_MAX:
            raise InvalidImportError("document", f"more than {DOCUMENT_BYTES_MAX} bytes")
        yield piece
