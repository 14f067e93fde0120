"""The scene: every step of the demo, in order, each with what it must come to.

Nothing here is pretended. Heights go through the database, the endpoint and the restores are processes of their own,
the kill is SIGKILL, and a step that does not come out as it must ends the demo with an error.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from flatdb.errors import IncompleteDatabaseError
from sidecar.demo.chains import chain_chapters
from sidecar.demo.genesis import load_mainnet_genesis
from sidecar.demo.process import events_of, run_command, start_command, start_events, watched
from sidecar.demo.relay import Fault, Relay
from sidecar.demo.traffic import Chapter, ethereum_chapters, mkvs_chapters
from sidecar.errors import DemoFailedError
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointInfo, CheckpointStore
from sync.manifest import Cut
from sync.mirror import Mirror
from sync.progress import CHUNKS_PHASE
from sync.root import Root

__all__ = ["ETHEREUM", "MKVS", "Demo", "Step"]

ETHEREUM = "ethereum"
MKVS = "mkvs"
GENESIS, GENERATED = "Ethereum mainnet's genesis", "a generated state"
CONTRACTS, LEAVES = "contracts deployed, emptied, destroyed and re-created", "leaves written and deleted"
CHUNK_LEAVES = 128
KILL_AFTER_CHUNKS = 20
STALL_TIMEOUT_S = 2.0
VERDICTS = {"honest": {"good"}, "flips bits": {"misbehaved"}, "stalls": {"slow", "unavailable"}}
"""What a restore may think of each peer."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step that came out as it must. `facts` are for programs, `text` is for people."""

    name: str
    text: str
    duration_s: float
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Draft:
    text: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


class Demo:
    """One run in an empty folder. `steps` grows as it goes; `peers` is what the last restore says of each."""

    def __init__(
        self, folder: Path, scheme: str, *, begun: Callable[[str], None], done: Callable[[Step], None]
    ) -> None:
        """`begun` and `done` are told each step, for whoever watches."""
        self.folder = folder
        self.scheme = scheme
        self.steps: list[Step] = []
        self.peers: list[dict[str, Any]] = []
        self.root: Root | None = None
        self._begun = begun
        self._done = done
        self._store_path = folder / "checkpoints"
        self._store = CheckpointStore.folder(self._store_path)

    def run(self) -> None:
        """Every step.

        Raises:
            DemoFailedError: one came out otherwise than it must.
            DemoDataMissingError: the genesis is not installed.
            FlatDBError, SyncError, OSError: what the steps themselves raise.
        """
        with Mirror.create(self.folder / "mirror", scheme=self.scheme) as mirror:
            self._apply(mirror)
            self._check(mirror)
            info = self._checkpoint(mirror)
        with self._endpoints() as peers:
            self._restore_killed(peers, info)
            self._restore_continued(peers)
        self._compare()

    def _chapters(self) -> Iterator[Chapter]:
        if self.scheme == ETHEREUM:
            return ethereum_chapters(load_mainnet_genesis())
        return mkvs_chapters() if self.scheme == MKVS else chain_chapters(self.scheme)

    def _apply(self, mirror: Mirror) -> None:
        chapters = self._chapters()
        with self._step("genesis") as draft:
            first = next(chapters)
            mirror.apply(first.write_log, verify=True)
            leaf_count = len(first.write_log.writes)
            root_hash = first.write_log.root
            assert root_hash is not None
            state = GENESIS if self.scheme == ETHEREUM else GENERATED
            draft.text = f"{state}: {leaf_count:,} leaves fold to 0x{root_hash.hex()}"
            draft.facts = {"leaf_count": leaf_count, "root": root_hash.hex()}
        with self._step("heights") as draft:
            captions, writes = [], 0
            for chapter in chapters:
                record = mirror.apply(chapter.write_log, verify=True)
                if not record.verified:
                    raise DemoFailedError("heights", f"height {record.height} was not verified")
                captions.append(chapter.caption)
                writes += len(chapter.write_log.writes)
            traffic = CONTRACTS if self.scheme == ETHEREUM else LEAVES
            draft.text = f"{len(captions)} heights, {writes:,} writes: {traffic}; every root folded anew"
            draft.facts = {"height_count": len(captions), "write_count": writes, "captions": captions}

    def _check(self, mirror: Mirror) -> None:
        with self._step("check") as draft:
            violations = list(mirror.check())
            if violations:
                raise DemoFailedError("check", f"{violations[0].where}: {violations[0].what}")
            self.root = mirror.claimed_root
            assert self.root is not None
            draft.text = f"height {self.root.height}: database, leaves and root are sound"
            draft.facts = {"height": self.root.height, "root": self.root.hash.hex()}

    def _checkpoint(self, mirror: Mirror) -> CheckpointInfo:
        assert self.root is not None
        with self._step("checkpoint") as draft:
            mirror.flush()
            started = time.perf_counter()
            view = mirror.freeze()
            pause_s = time.perf_counter() - started
            with view:
                info = create_checkpoint(view, self.root, self._store, cut=Cut(chunk_leaves=CHUNK_LEAVES))
            draft.text = (
                f"{info.leaf_count:,} leaves in {info.chunk_count} chunks, {info.chunk_bytes / 2**20:.2f} MiB; "
                f"the mirror paused for {pause_s * 1000:.2f} ms"
            )
            draft.facts = {
                "digest": info.digest.hex(),
                "leaf_count": info.leaf_count,
                "chunk_count": info.chunk_count,
                "chunk_bytes": info.chunk_bytes,
                "pause_s": round(pause_s, 6),
            }
            return info

    @contextmanager
    def _endpoints(self) -> Iterator[dict[str, str]]:
        """Three peers by what they do: an honest endpoint, and two that answer for it and spoil its chunks."""
        log = self.folder / "serve.log"
        with self._step("peers") as draft:
            server = start_command(
                "serve", "--store", str(self._store_path), "--listen", "127.0.0.1:0", "--json", log=log
            )
            url = _read_url(server, log)
            draft.text = "three endpoints on the loopback interface: one honest, one flips bits, one stalls"
            draft.facts = {"url": url}
        try:
            with Relay(url, Fault.FLIP) as flips, Relay(url, Fault.STALL) as stalls:
                yield {url: "honest", flips.url: "flips bits", stalls.url: "stalls"}
        finally:
            server.send_signal(signal.SIGTERM)
            with watched(server):
                server.wait()

    def _restore_killed(self, peers: dict[str, str], info: CheckpointInfo) -> None:
        """Kill a restore when a good part of its chunks is durable; what is left must not pass for a mirror."""
        with self._step("killed") as draft:
            chunk_count = 0
            process = start_events("restore", *self._restore_arguments(peers))
            with watched(process):
                for event in events_of(process):
                    chunk_count += event["event"] == "advanced" and event["phase"] == CHUNKS_PHASE
                    if chunk_count == KILL_AFTER_CHUNKS:
                        process.send_signal(signal.SIGKILL)
                        break
                exit_code = process.wait()
            if exit_code != -signal.SIGKILL:
                raise DemoFailedError("killed", f"the restore ended with {exit_code} before it could be killed")
            try:
                Mirror.open(self.folder / "restored").close()
            except IncompleteDatabaseError:
                pass
            else:
                raise DemoFailedError("killed", "half a restore opened as a mirror")
            draft.text = (
                f"kill -9 after {chunk_count} of {info.chunk_count} chunks; half a state does not open as a mirror"
            )
            draft.facts = {"chunks_before_kill": chunk_count}

    def _restore_continued(self, peers: dict[str, str]) -> None:
        with self._step("restore") as draft:
            report = run_command("restore", "restore", *self._restore_arguments(peers), log=self.folder / "restore.log")
            self.peers = [peer | {"nature": peers[peer["peer"]]} for peer in report["peers"]]
            verdicts = {peer["nature"]: peer["verdict"] for peer in self.peers}
            if not report["ranges_before"]:
                raise DemoFailedError("restore", "the second restore began anew instead of continuing")
            if not all(verdict in VERDICTS[nature] for nature, verdict in verdicts.items()):
                raise DemoFailedError("restore", f"peers were judged {verdicts}")
            draft.text = (
                f"the same command again: {report['ranges_before']} chunks were there, "
                f"{report['chunks_stored']} came; the liar and the staller are named"
            )
            draft.facts = {name: report[name] for name in ("ranges_before", "chunks_stored", "bytes_received")}

    def _compare(self) -> None:
        """The root by a fold of the restored database, and every leaf and every piece of code one by one."""
        with (
            self._step("compare") as draft,
            Mirror.open(self.folder / "mirror", read_only=True) as ours,
            Mirror.open(self.folder / "restored", read_only=True) as theirs,
        ):
            if theirs.root() != self.root:
                raise DemoFailedError("compare", "the restored leaves fold to another root")
            leaf_count = _count_equal(ours.scan(), theirs.scan())
            code = [ours.scheme.code_hash(key, value) for key, value in ours.scan()]
            for digest in filter(None, code):
                if theirs.db.blob(digest) is None or theirs.db.blob(digest) != ours.db.blob(digest):
                    raise DemoFailedError("compare", f"code {digest.hex()} differs")
            code_count = len(set(filter(None, code)))
            draft.text = f"root and all {leaf_count:,} leaves are equal" + (
                f", and so is the code of {code_count} contracts" if code_count else ""
            )
            draft.facts = {"leaf_count": leaf_count, "code_count": code_count}

    def _restore_arguments(self, peers: dict[str, str]) -> tuple[str, ...]:
        assert self.root is not None
        return (
            *peers, "--scheme", self.scheme, "--height", str(self.root.height), "--root", self.root.hash.hex(),
            "--to", str(self.folder / "restored"), "--stall-timeout", str(STALL_TIMEOUT_S),
        )  # fmt: skip

    @contextmanager
    def _step(self, name: str) -> Iterator[_Draft]:
        self._begun(name)
        draft, started = _Draft(), time.perf_counter()
        yield draft
        step = Step(name, draft.text, round(time.perf_counter() - started, 3), draft.facts)
        self.steps.append(step)
        self._done(step)


def _read_url(server: subprocess.Popen[str], log: Path) -> str:
    """Where the endpoint listens, from the line that it prints once it does."""
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line:
        server.kill()
        server.wait()
        raise DemoFailedError("peers", f"the endpoint did not start; see {log}")
    url = json.loads(line)["url"]
    assert isinstance(url, str)
    return url


def _count_equal(ours: Iterator[tuple[bytes, bytes]], theirs: Iterator[tuple[bytes, bytes]]) -> int:
    count = 0
    for mine, other in zip_longest(ours, theirs):
        if mine != other:
            raise DemoFailedError("compare", f"leaf {(mine or other)[0].hex()} differs")
        count += 1
    return count
