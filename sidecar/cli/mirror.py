"""Commands on one mirror: init, apply, status, get, scan, root, check."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import typer

from flatdb import HeightRecord, Preset
from flatdb.types import prefix_end
from flatdb.writelog_file import read_write_logs
from proofs import SCHEMES
from sidecar.apply import ApplyReport, apply_write_logs
from sidecar.cli.failure import ExitCode
from sidecar.cli.options import AsJSON, MirrorPath, Progress, hex_bytes, kind_name
from sidecar.cli.output import (
    ProgressStyle,
    open_monitor,
    print_json,
    print_line,
    print_pairs,
    print_verdict,
)
from sync.mirror import Mirror

__all__ = ["apply", "check", "init", "root", "scan", "status"]

SCHEME_HELP = "How the chain commits to its leaves: " + ", ".join(SCHEMES) + "."
Scheme = Annotated[
    str, typer.Option("--scheme", help=SCHEME_HELP, autocompletion=lambda: list(SCHEMES), show_default=False)
]
Kind = Annotated[str, typer.Option("--kind", metavar="KIND", parser=kind_name, help="Only Oasis: state or io.")]
Namespace = Annotated[
    bytes, typer.Option("--namespace", metavar="HEX", parser=hex_bytes, help="Runtime or chain id.", show_default=False)
]


def init(
    path: MirrorPath, scheme: Scheme, kind: Kind = "", namespace: Namespace = b"", as_json: AsJSON = False
) -> None:
    """Make an empty mirror in a new or empty directory."""
    if kind and scheme != "mkvs":
        raise typer.BadParameter(f"{scheme} has one state without a kind: leave out --kind")
    try:
        Mirror.create(path, scheme=scheme, kind=kind, namespace=namespace).close()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        print_json("init", {"path": str(path), "scheme": scheme, "kind": kind, "namespace": namespace})
    else:
        print_verdict(True, f"{path}: an empty {scheme} mirror")


def apply(
    path: MirrorPath,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Write logs: .ndjson or .cbor, plain, .gz or .zst; - is stdin.", show_default=False
        ),
    ],
    verify_every: Annotated[
        int, typer.Option(min=0, metavar="N", help="Fold the whole state before each N-th height; 0: never.")
    ] = 0,
    progress: Progress = ProgressStyle.AUTO,
    as_json: AsJSON = False,
) -> None:
    """Apply finalised write logs, each height atomic, all durable at the end. Repeats change nothing."""
    report = ApplyReport()
    with Mirror.open(path, preset=Preset.LOAD) as mirror:
        write_logs = chain.from_iterable(map(read_write_logs, files))
        with open_monitor(progress, title="apply") as monitor:
            apply_write_logs(mirror, write_logs, report, verify_every=verify_every, monitor=monitor)
        head = mirror.head
    if as_json:
        print_json("apply", asdict(report) | _head(head))
        return
    counts = f"{report.applied} heights applied, {report.writes} writes, {report.verified} roots verified"
    print_verdict(True, counts + (f", {report.repeated} repeated" if report.repeated else ""))
    if report.unclaimed:
        print_line(f"  {report.unclaimed} heights came without a root: nobody claimed what they fold to")
    print_pairs(_head(head).items())


def status(path: MirrorPath, as_json: AsJSON = False) -> None:
    """Show whose state this is, its height and its root. Works beside a running writer."""
    with Mirror.open(path, read_only=True) as mirror:
        identity, head, records = mirror.db.identity, mirror.head, mirror.db.records()
    fields: dict[str, object] = {
        "path": str(path),
        "scheme": identity.scheme,
        "kind": identity.kind,
        "namespace": identity.namespace,
        "height": None if head is None else head.height,
        "root": None if head is None else head.root,
        "verified": head is not None and head.verified,
        "oldest_record": records[0].height if records else None,
        "disk_bytes": _disk_bytes(path),
    }
    if as_json:
        print_json("status", {name: value if value != b"" else "" for name, value in fields.items()})
        return
    size = f"{_disk_bytes(path) / 2**20:.1f} MiB"
    shown = fields | {"kind": identity.kind or None, "namespace": identity.namespace or None, "disk_bytes": None}
    shown["height"] = "none: nothing is applied yet" if head is None else head.height
    print_pairs((*((name.replace("_", " "), value) for name, value in shown.items()), ("disk", size)))


def scan(
    path: MirrorPath,
    start: Annotated[bytes, typer.Option(metavar="HEX", parser=hex_bytes, help="First key.", show_default=False)] = b"",
    end: Annotated[
        bytes | None, typer.Option(metavar="HEX", parser=hex_bytes, help="Key to stop in front of.", show_default=False)
    ] = None,
    prefix: Annotated[
        bytes | None, typer.Option(metavar="HEX", parser=hex_bytes, help="Only keys below this.", show_default=False)
    ] = None,
    limit: Annotated[int | None, typer.Option(min=0, metavar="N", help="At most so many leaves.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Print leaves in key order, one a line: key and value in hex. With --json, one object a line."""
    if prefix is not None:
        if start or end is not None:
            raise typer.BadParameter("--prefix is a range by itself: leave out --start and --end")
        start, end = prefix, prefix_end(prefix)
    with Mirror.open(path, read_only=True) as mirror:
        for key, value in islice(mirror.scan(start, end), limit):
            if as_json:
                sys.stdout.write(json.dumps({"key": key.hex(), "value": value.hex()}) + "\n")
            else:
                # A key may be empty (Oasis): 0x keeps the columns apart.
                print_line(f"0x{key.hex()} 0x{value.hex()}")


def root(path: MirrorPath, progress: Progress = ProgressStyle.AUTO, as_json: AsJSON = False) -> None:
    """Fold all leaves anew and print the root. Exit code 1 if it is not the one that was claimed."""
    with Mirror.open(path, read_only=True) as mirror:
        claimed = mirror.claimed_root
        with open_monitor(progress, title="root") as monitor:
            computed = mirror.root(monitor=monitor)
    matches = None if claimed is None else claimed == computed
    if as_json:
        print_json("root", {"root": computed.to_json(), "claimed": claimed and claimed.hash, "matches": matches})
    else:
        print_line(computed.hash.hex())
        if matches is False:
            print_verdict(False, f"height {computed.height} claims {claimed.hash.hex() if claimed else ''}")
    if matches is False:
        raise typer.Exit(ExitCode.WRONG)


def check(path: MirrorPath, progress: Progress = ProgressStyle.AUTO, as_json: AsJSON = False) -> None:
    """Look at everything: the database, every leaf, and the root they fold to. Exit code 1 if something is wrong."""
    with Mirror.open(path, read_only=True) as mirror, open_monitor(progress, title="check") as monitor:
        violations = list(mirror.check(monitor=monitor))
        head = mirror.head
    if as_json:
        found = [{"where": violation.where, "what": violation.what} for violation in violations]
        print_json("check", {"violations": found, **_head(head)})
    else:
        for violation in violations:
            print_verdict(False, f"{violation.where}: {violation.what}")
        if not violations:
            print_verdict(True, _verdict(head))
    if violations:
        raise typer.Exit(ExitCode.WRONG)


def _verdict(head: HeightRecord | None) -> str:
    if head is None:
        return "an empty mirror, nothing is wrong"
    if head.root is None:
        return f"height {head.height}: nothing is wrong; no root was claimed for it, so none was compared"
    return f"height {head.height}: every leaf is legal, and together they fold to {head.root.hex()}"


def _head(head: HeightRecord | None) -> dict[str, object]:
    return {"height": None if head is None else head.height, "root": None if head is None else head.root}


def _disk_bytes(path: Path) -> int:
    """Bytes of all files below; those that a running writer removes meanwhile do not count."""
    total = 0
    for file in path.rglob("*"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size if file.is_file() else 0
    return total
