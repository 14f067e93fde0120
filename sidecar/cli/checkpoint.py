"""`leafmirror checkpoint …`: create, list, show, verify, prune."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from sidecar.catalog import record_checkpoint, stored_bytes
from sidecar.cli import oasis
from sidecar.cli.failure import ExitCode
from sidecar.cli.options import AsJSON, MirrorPath, Progress, StorePath, hash_bytes, open_store
from sidecar.cli.output import (
    ProgressStyle,
    open_monitor,
    print_json,
    print_line,
    print_pairs,
    print_table,
    print_verdict,
)
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.errors import CheckpointExistsError, CheckpointNotFoundError
from sync.manifest import RANGE, SUBTREE, Cut, Manifest
from sync.mirror import Mirror
from sync.oasis.create import Chunking
from sync.root import Root
from sync.verify import verify_checkpoint

__all__ = ["app", "find_checkpoint", "info_fields"]

app = typer.Typer(help="Create checkpoints, look at them, verify them, throw old ones away.", no_args_is_help=True)

PREFIX_CHARS_MIN = 4


class CutKind(StrEnum):
    """Where chunks begin."""

    RANGE = RANGE
    SUBTREE = SUBTREE


class CheckpointFormat(StrEnum):
    """Formats of chunks and manifests."""

    LEAFMIRROR_1 = "leafmirror-1"
    OASIS_1 = "oasis-1"


Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Digest (or its first characters), @HEIGHT, or latest."),
]


@app.command(epilog="Example: leafmirror checkpoint create mirror --store checkpoints --workers 2")
def create(
    path: MirrorPath,
    store_url: StorePath,
    format_: Annotated[CheckpointFormat, typer.Option("--format", help="Format.")] = CheckpointFormat.LEAFMIRROR_1,
    cut_kind: Annotated[CutKind, typer.Option("--cut", help="Where chunks begin.")] = CutKind.RANGE,
    chunk_leaves: Annotated[int, typer.Option(min=1, metavar="N", help="Leaves in a chunk.")] = Cut().chunk_leaves,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="W", help="Folds at once.", show_default="2 with the native kernel, else 1"),
    ] = None,
    root_hash: Annotated[
        bytes | None,
        typer.Option("--root", metavar="HEX", parser=hash_bytes, help="The finalised root; default: the claimed one."),
    ] = None,
    chunk_bytes: oasis.ChunkBytes = oasis.CHUNK_BYTES_DEFAULT,
    chunker_threads: oasis.ChunkerThreads = 0,
    root_type: oasis.RootTypeOption = oasis.RootType.STATE,
    from_writelog: oasis.FromWriteLog = None,
    progress: Progress = ProgressStyle.AUTO,
    as_json: AsJSON = False,
) -> None:
    """Cut the mirror's present state into provable chunks. Works beside a running writer."""
    if format_ is CheckpointFormat.OASIS_1:
        with Mirror.open(path, read_only=True) as mirror:
            oasis.create(
                mirror,
                _trusted_root(mirror, root_hash),
                store_url,
                chunking=Chunking(chunk_bytes=chunk_bytes, threads=chunker_threads),
                root_type=root_type,
                from_writelog=from_writelog,
                progress=progress,
                as_json=as_json,
            )
        return
    store = open_store(store_url)
    started = time.monotonic()
    with (
        Mirror.open(path, read_only=True) as mirror,
        open_monitor(progress, title="checkpoint") as monitor,
        mirror.freeze() as view,
    ):
        root = _trusted_root(mirror, root_hash)
        cut = Cut(cut_kind, chunk_leaves)
        try:
            info = create_checkpoint(view, root, store, cut=cut, workers=workers, monitor=monitor)
            existed = False
        except CheckpointExistsError as error:
            # What was asked for is there: the same state and cut give the same checkpoint.
            info = next(info for info in store.find(root) if info.digest == error.digest)
            existed = True
        record_checkpoint(path, store_url, store, info, created_s=time.time(), monitor=monitor)
    fields = info_fields(info) | {
        "format": format_.value,
        "stored_bytes": stored_bytes(store, info),
        "existed": existed,
        "duration_s": round(time.monotonic() - started, 3),
    }
    if as_json:
        print_json("checkpoint.create", fields)
    else:
        print_verdict(
            True, f"checkpoint of height {info.root.height} {'was there already' if existed else 'published'}"
        )
        _print_fields(fields)


@app.command("list", epilog="Example: leafmirror checkpoint list --store checkpoints")
def list_(store_url: StorePath, as_json: AsJSON = False) -> None:
    """List the checkpoints of a store, by scheme and height."""
    with open_monitor(ProgressStyle.LINES, title="checkpoint list") as monitor:
        infos = open_store(store_url, must_exist=True).list(monitor=monitor)
    if as_json:
        print_json("checkpoint.list", {"checkpoints": [info_fields(info) for info in infos]})
    elif not infos:
        print_line("no checkpoints")
    else:
        columns = ("scheme", "height", "digest", "root", "leaves", "chunks", "cut")
        print_table(columns, [_row(info) for info in infos])


@app.command(epilog="Example: leafmirror checkpoint show latest --store checkpoints --json")
def show(name: Name, store_url: StorePath, as_json: AsJSON = False) -> None:
    """Show one checkpoint: its root, cut, chunks and sizes."""
    store = open_store(store_url, must_exist=True)
    info = find_checkpoint(store, name)
    manifest = store.manifest(info.digest)
    fields = info_fields(info) | {"stored_bytes": stored_bytes(store, info)}
    if as_json:
        print_json("checkpoint.show", fields | {"chunks": _chunk_fields(manifest)})
    else:
        _print_fields(fields)


@app.command(epilog="Example: leafmirror checkpoint verify latest --store checkpoints")
def verify(
    name: Name,
    store_url: StorePath,
    root_hash: Annotated[
        bytes | None,
        typer.Option("--root", metavar="HEX", parser=hash_bytes, help="Compare with this trusted root hash, too."),
    ] = None,
    progress: Progress = ProgressStyle.AUTO,
    as_json: AsJSON = False,
) -> None:
    """Judge every chunk as a restore would. Exit code 1 if something is wrong."""
    store = open_store(store_url, must_exist=True)
    info = find_checkpoint(store, name)
    with open_monitor(progress, title="verify") as monitor:
        violations = [(found.where, found.what) for found in verify_checkpoint(store, info.digest, monitor=monitor)]
    if root_hash is not None and root_hash != info.root.hash:
        violations.append(("root", f"it is {info.root.hash.hex()}, not {root_hash.hex()}"))
    if as_json:
        found = [{"where": where, "what": what} for where, what in violations]
        print_json("checkpoint.verify", info_fields(info) | {"violations": found})
    else:
        for where, what in violations:
            print_verdict(False, f"{where}: {what}")
        if not violations:
            print_verdict(True, f"{info.leaf_count} leaves in {info.chunk_count} chunks prove {info.root.hash.hex()}")
    if violations:
        raise typer.Exit(ExitCode.WRONG)


@app.command(epilog="Example: leafmirror checkpoint prune --store checkpoints --keep 3 --dry-run")
def prune(
    store_url: StorePath,
    keep: Annotated[int, typer.Option(min=1, metavar="K", help="Newest heights of each chain to keep.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Remove old checkpoints and the chunks that only they name."""
    store = open_store(store_url, must_exist=True)
    removed = _old(store, keep) if dry_run else store.prune(keep)
    if as_json:
        print_json("checkpoint.prune", {"dry_run": dry_run, "removed": [info_fields(info) for info in removed]})
        return
    for info in removed:
        print_line(f"{'would remove' if dry_run else 'removed'} height {info.root.height} {info.digest.hex()}")
    print_verdict(True, f"{len(removed)} checkpoints {'would go' if dry_run else 'removed'}")


def find_checkpoint(store: CheckpointStore, name: str) -> CheckpointInfo:
    """The one checkpoint that a user means by `name`: a digest or its beginning, `@HEIGHT`, or `latest`.

    Raises:
        CheckpointNotFoundError: none.
        typer.BadParameter: several.
    """
    infos = store.list()
    if name == "latest":
        heights = [info.root.height for info in infos]
        found = [info for info in infos if info.root.height == max(heights)]
    elif name.startswith("@"):
        found = [info for info in infos if str(info.root.height) == name[1:]]
    elif len(name) < PREFIX_CHARS_MIN:
        raise typer.BadParameter(f"{name!r}: give at least {PREFIX_CHARS_MIN} characters of the digest")
    else:
        found = [info for info in infos if info.digest.hex().startswith(name.lower().removeprefix("0x"))]
    if not found:
        raise CheckpointNotFoundError(f"checkpoint {name}")
    if len(found) > 1:
        digests = ", ".join(info.digest.hex()[:12] for info in found)
        raise typer.BadParameter(f"{name!r} could be any of {digests}; give more of the digest")
    return found[0]


def info_fields(info: CheckpointInfo) -> dict[str, object]:
    """A checkpoint as its JSON fields."""
    return {
        "digest": info.digest.hex(),
        "root": info.root.to_json(),
        "cut": info.cut.kind,
        "chunk_leaves": info.cut.chunk_leaves,
        "leaf_count": info.leaf_count,
        "chunk_count": info.chunk_count,
        "code_count": info.code_count,
        "chunk_bytes": info.chunk_bytes,
    }


def _trusted_root(mirror: Mirror, root_hash: bytes | None) -> Root:
    """What the checkpoint must fold to: the user's word, else what the last write log claimed."""
    head, identity = mirror.head, mirror.db.identity
    if head is None:
        raise typer.BadParameter("nothing is applied yet: there is no height to cut")
    if root_hash is None:
        claimed = mirror.claimed_root
        if claimed is None:
            raise typer.BadParameter("no root was claimed for this height: give the finalised one with --root")
        root_hash = claimed.hash
    return Root(identity.scheme, identity.kind, identity.namespace, head.height, root_hash)


def _old(store: CheckpointStore, keep: int) -> list[CheckpointInfo]:
    """What `CheckpointStore.prune` would remove."""
    heights: dict[tuple[str, str, bytes], set[int]] = {}
    infos = store.list()
    for info in infos:
        heights.setdefault(_chain(info), set()).add(info.root.height)
    return [info for info in infos if info.root.height not in sorted(heights[_chain(info)])[-keep:]]


def _chain(info: CheckpointInfo) -> tuple[str, str, bytes]:
    return info.root.scheme, info.root.kind, info.root.namespace


def _row(info: CheckpointInfo) -> tuple[object, ...]:
    return (
        info.root.scheme,
        info.root.height,
        info.digest.hex()[:12],
        f"{info.root.hash.hex()[:12]}…",
        info.leaf_count,
        info.chunk_count,
        f"{info.cut.kind} {info.cut.chunk_leaves}",
    )


def _chunk_fields(manifest: Manifest) -> list[dict[str, object]]:
    leaf_chunks = (
        {"digest": chunk.digest.hex(), "start": chunk.start.hex(), "leaf_count": chunk.leaf_count}
        for chunk in manifest.leaf_chunks
    )
    code_chunks = (
        {"digest": chunk.digest.hex(), "start": chunk.start.hex(), "blob_count": chunk.blob_count}
        for chunk in manifest.code_chunks
    )
    return [*leaf_chunks, *code_chunks]


def _print_fields(fields: Mapping[str, object]) -> None:
    shown = dict(fields)
    root = shown.pop("root")
    assert isinstance(root, dict)
    shown = {name: value for name, value in root.items() if value != ""} | shown
    shown = {"scheme": shown.pop("scheme"), "height": shown.pop("height"), "root": shown.pop("hash")} | shown
    print_pairs(shown.items())
