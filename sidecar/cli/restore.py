"""`leafmirror restore`: a state from peers that nobody has to trust."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from flatdb import FlatDB, HeightRecord, Identity
from flatdb.errors import DatabaseNotFoundError, IncompleteDatabaseError
from sidecar.catalog import record_restore
from sidecar.cli.mirror import SCHEME_HELP, Kind, Namespace
from sidecar.cli.options import AsJSON, Progress, hash_bytes
from sidecar.cli.output import (
    ProgressStyle,
    open_monitor,
    print_json,
    print_pairs,
    print_table,
    print_verdict,
    shorten_hashes,
)
from sync.limits import Limits
from sync.peers import Verdict
from sync.restore import Report
from sync.restore import restore as restore_state
from sync.root import Root

__all__ = ["restore"]

TRUST_BYTES_MAX = 4096


def restore(
    peers: Annotated[
        list[str], typer.Argument(metavar="PEER...", help="Endpoints to ask: http://HOST:PORT.", show_default=False)
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="New or unfinished directory.", show_default=False)],
    scheme: Annotated[str | None, typer.Option("--scheme", help=SCHEME_HELP)] = None,
    kind: Kind = "",
    namespace: Namespace = b"",
    height: Annotated[int | None, typer.Option("--height", min=0, help="Height of the trusted root.")] = None,
    root_hash: Annotated[
        bytes | None, typer.Option("--root", metavar="HEX", parser=hash_bytes, help="The trusted root hash.")
    ] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", metavar="FILE", help="The trusted root as JSON or one line of text.")
    ] = None,
    stall_timeout_s: Annotated[
        float, typer.Option("--stall-timeout", metavar="S", min=0.1, help="Give a peer up after S silent seconds.")
    ] = Limits().stall_timeout_s,
    attempts: Annotated[
        int, typer.Option("--attempts", metavar="N", min=1, help="Give a peer up after N failures in a row.")
    ] = Limits().attempts_max,
    wait: Annotated[
        bool, typer.Option("--wait", help="Go on asking, N times too, where nobody has a checkpoint of the root yet.")
    ] = False,
    progress: Progress = ProgressStyle.AUTO,
    as_json: AsJSON = False,
) -> None:
    """Restore and verify a state from untrusted peers. Run it again to continue where it stopped.

    The root is the only thing believed, and it comes from you: from a node of yours, a block explorer, a light client.
    """
    root = _trusted_root(trust, scheme, kind, namespace, height, root_hash)
    if _is_restored(to, root):
        _tell_restored(to, root, as_json=as_json)
        return
    limits = replace(Limits(), stall_timeout_s=stall_timeout_s, attempts_max=attempts)
    if wait:
        limits = replace(limits, listings_empty_max=attempts)
    started_s = time.time()
    with open_monitor(progress, title="restore") as monitor:
        try:
            report = restore_state(peers, root, to, limits=limits, monitor=monitor)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        record_restore(to, root, started_s=started_s, finished_s=time.time(), monitor=monitor)
    if as_json:
        print_json("restore", _fields(report, to))
    else:
        _print(report, to)


def _trusted_root(
    trust: Path | None, scheme: str | None, kind: str, namespace: bytes, height: int | None, root_hash: bytes | None
) -> Root:
    if trust is not None:
        if scheme is not None or kind or namespace or height is not None or root_hash is not None:
            raise typer.BadParameter(
                "--trust FILE says it all: leave out --scheme, --kind, --namespace, --height, --root"
            )
        return _read_root(trust)
    if scheme is None or height is None or root_hash is None:
        raise typer.BadParameter("the trusted root is missing: give --scheme, --height and --root, or --trust FILE")
    try:
        return Root(scheme, kind, namespace, height, root_hash)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _read_root(path: Path) -> Root:
    with path.open("rb") as file:
        data = file.read(TRUST_BYTES_MAX + 1)
    try:
        if len(data) > TRUST_BYTES_MAX:
            raise ValueError(f"more than {TRUST_BYTES_MAX} bytes")
        text = data.decode()
        return Root.from_json(json.loads(text)) if text.lstrip().startswith("{") else Root.parse(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{path}: {error}") from error


def _is_restored(path: Path, root: Root) -> bool:
    """Whether a finished mirror of this very root is there: an earlier run got to the end."""
    try:
        with FlatDB.open(path, read_only=True) as db:
            same = db.identity == Identity(root.scheme, root.kind, root.namespace)
            return same and db.head == HeightRecord(root.height, root.hash, verified=True)
    except (DatabaseNotFoundError, IncompleteDatabaseError):
        return False


def _tell_restored(to: Path, root: Root, *, as_json: bool) -> None:
    if as_json:
        untouched = {"chunks_stored": 0, "ranges_before": 0, "bytes_received": 0, "duration_s": 0.0, "peers": []}
        unknown = {"leaf_count": None, "code_count": None}
        print_json("restore", {"path": str(to), "root": root.to_json(), "existed": True} | unknown | untouched)
    else:
        print_verdict(True, f"{to}: height {root.height} was restored already; nobody was asked")


def _fields(report: Report, to: Path) -> dict[str, object]:
    return {
        "path": str(to),
        "root": report.root.to_json(),
        "existed": False,
        "leaf_count": report.leaf_count,
        "code_count": report.code_count,
        "chunks_stored": report.chunks_stored,
        "ranges_before": report.ranges_before,
        "bytes_received": report.bytes_received,
        "duration_s": round(report.elapsed_s, 3),
        "peers": [
            {
                "peer": peer.peer,
                "verdict": peer.verdict.value,
                "reason": peer.reason,
                "chunks": peer.chunks,
                "bytes_received": peer.bytes_received,
                "faults": {verdict.value: count for verdict, count in peer.faults.items()},
            }
            for peer in report.peers
        ],
    }


def _print(report: Report, to: Path) -> None:
    print_verdict(True, f"{to}: height {report.root.height}, every leaf proven, together they fold to the trusted root")
    print_pairs(
        (
            ("root", report.root.hash),
            ("leaves", report.leaf_count),
            ("code", report.code_count or None),
            ("chunks", f"{report.chunks_stored} now, {report.ranges_before} before"),
            ("received", f"{report.bytes_received / 2**20:.2f} MiB in {report.elapsed_s:.1f} s"),
        )
    )
    rows = [(peer.peer, peer.verdict, peer.chunks, shorten_hashes(peer.reason)) for peer in report.peers]
    print_table(("peer", "verdict", "chunks", "why"), rows)
    bad = [peer.peer for peer in report.peers if peer.verdict is Verdict.MISBEHAVED]
    if bad:
        print_verdict(False, f"lied, and was not believed: {', '.join(bad)}")
