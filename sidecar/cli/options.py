"""Options and arguments that several commands share, so that they look and read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from sidecar.cli.output import ProgressStyle
from sync.checkpoint_store import CheckpointStore
from sync.root import parse_hex

__all__ = [
    "AsJSON",
    "Hash",
    "Height",
    "MirrorPath",
    "Progress",
    "StorePath",
    "hash_bytes",
    "hex_bytes",
    "kind_name",
    "open_store",
]

HASH_BYTES = 32


def hex_bytes(text: str | bytes) -> bytes:
    """Bytes in hex, with or without 0x, for a command's argument. A default comes here too, and is bytes already."""
    if isinstance(text, bytes):
        return text
    try:
        return parse_hex(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; write an even number of hex digits, with or without 0x") from error


def kind_name(text: str) -> str:
    """Which of a chain's states: Oasis has two, others one without a name."""
    if text not in ("", "state", "io"):
        raise typer.BadParameter(f"{text!r}: Oasis has the kinds state and io, other chains none")
    return text


def hash_bytes(text: str | bytes) -> bytes:
    """A 32-byte hash in hex."""
    value = hex_bytes(text)
    if len(value) != HASH_BYTES:
        raise typer.BadParameter(f"a root hash has {HASH_BYTES} bytes, not {len(value)}")
    return value


def open_store(url: str, *, must_exist: bool = False) -> CheckpointStore:
    """The checkpoint store that a folder's path or file:// URL names. The folder is made when something is stored.

    `must_exist`: for who only looks: a mistyped path is no empty store.
    """
    parts = urlsplit(url)
    if parts.scheme != "file" and "://" in url:
        raise typer.BadParameter(f"{url}: a store is a folder or its file:// URL")
    folder = Path(unquote(parts.path) if parts.scheme == "file" else url)
    if must_exist and not folder.is_dir():
        raise typer.BadParameter(f"{folder}: no such folder")
    if (folder / "rocksdb").exists():
        raise typer.BadParameter(f"{folder} is a mirror: a store needs a folder of its own")
    return CheckpointStore.folder(folder)


AsJSON = Annotated[bool, typer.Option("--json", help="One JSON document on standard output (docs/cli.md).")]
Progress = Annotated[
    ProgressStyle, typer.Option("--progress", help="How long work shows that it moves, on standard error.")
]
MirrorPath = Annotated[Path, typer.Argument(metavar="DIR", help="The mirror's directory.", show_default=False)]
StorePath = Annotated[
    str,
    typer.Option("--store", metavar="URL", help="Checkpoint store: a folder or its file:// URL.", show_default=False),
]
Height = Annotated[int, typer.Option("--height", min=0, help="Height of the state.", show_default=False)]
Hash = Annotated[
    bytes, typer.Option("--root", metavar="HEX", parser=hash_bytes, help="Trusted root hash.", show_default=False)
]
