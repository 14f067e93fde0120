"""Progress: phases that are opened and closed in turn, and no line for a single chunk."""

from __future__ import annotations

from sync.events import ChunkStored, ManifestChosen, PeerFaulted, RestoreState, StateChanged
from sync.peers import Verdict
from sync.progress import CHUNKS_PHASE, FOLD_PHASE, Progress


class Heard:
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def phase_started(self, phase: str, *, total: int | None, unit: str) -> None:
        self.calls.append(("start", phase, total, unit))

    def advanced(self, phase: str, count: int) -> None:
        self.calls.append(("advance", phase, count))

    def phase_finished(self, phase: str) -> None:
        self.calls.append(("finish", phase))

    def event(self, name: str, **fields: object) -> None:
        self.calls.append(("event", name))


def test_a_restore_told_to_a_monitor() -> None:
    """Each phase that starts is finished before the next; progress of a phase that is over is not told."""
    heard = Heard()
    progress = Progress(heard)
    for event in (
        StateChanged(RestoreState.LEAVES),
        ManifestChosen(bytes(32), ("a",), 2, 100),
        ChunkStored("a", 0, 5, 60),
        PeerFaulted("b", Verdict.SLOW, "slow"),
        ManifestChosen(bytes(32), ("b",), 1, 40),
        ChunkStored("b", 1, 5, 40),
        StateChanged(RestoreState.FOLDING),
        ChunkStored("b", 1, 5, 40),
    ):
        progress.tell(event)
    progress.advanced(FOLD_PHASE, 7)
    progress.tell(StateChanged(RestoreState.COMPLETE))
    progress.advanced(FOLD_PHASE, 7)
    assert heard.calls == [
        ("event", "restore_state_changed"),
        ("start", CHUNKS_PHASE, 100, "bytes"),
        ("event", "restore_manifest_chosen"),
        ("advance", CHUNKS_PHASE, 60),
        ("event", "restore_peer_faulted"),
        ("finish", CHUNKS_PHASE),
        ("start", CHUNKS_PHASE, 40, "bytes"),
        ("event", "restore_manifest_chosen"),
        ("advance", CHUNKS_PHASE, 40),
        ("finish", CHUNKS_PHASE),
        ("start", FOLD_PHASE, None, "leaves"),
        ("event", "restore_state_changed"),
        ("advance", FOLD_PHASE, 7),
        ("finish", FOLD_PHASE),
        ("event", "restore_state_changed"),
    ]
