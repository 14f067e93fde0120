"""Creation: provable chunks of exactly the state, the same bytes whoever makes them, and nothing where it fails."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from flatdb import HeightRecord, WriteLog
from proofs import UnknownSchemeError, get_scheme
from proofs.hashing import keccak256
from proofs.kernel import ReferenceKernel
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointStore
from sync.chunk import decode_code_chunk, decode_leaf_chunk, verify_code, verify_leaf_chunk
from sync.errors import (
    CheckpointMismatchError,
    CodeUnavailableError,
    InvalidStateError,
    OversizeError,
    StoreAccessError,
    StoreLockedError,
)
from sync.limits import Limits
from sync.manifest import RANGE, SUBTREE, Cut, Manifest, chunk_entries
from sync.mirror import Mirror
from sync.root import Root
from sync.verify import verify_checkpoint
from tests.faults import kill_after_lines
from tests.sync.states import HEIGHT, SCHEMES, MemoryView, checkpoint, root_of, state_of

CUTS = [Cut(RANGE, 100), Cut(SUBTREE, 100), Cut(RANGE, 1000, 3000), Cut(SUBTREE, 64, 900), Cut(), Cut(RANGE, 1)]


def read_back(store: CheckpointStore, manifest: Manifest) -> dict[bytes, bytes]:
    """All leaves, each chunk verified as a restore would."""
    scheme = get_scheme(manifest.root.scheme)
    leaves: list[tuple[bytes, bytes]] = []
    for index, entry in enumerate(manifest.leaf_chunks):
        chunk = decode_leaf_chunk(store.chunk(entry.digest), entry, limits=Limits())
        leaves += verify_leaf_chunk(scheme, manifest.root.hash, chunk, entry, manifest.end(index)).run
    assert [key for key, _ in leaves] == sorted({key for key, _ in leaves})
    return dict(leaves)


def canonical(store: CheckpointStore, digest: bytes) -> list[bytes]:
    """The manifest, and the canonical parts of every chunk."""
    manifest = store.manifest(digest)
    parts = [manifest.encoded]
    for entry in manifest.leaf_chunks:
        chunk = decode_leaf_chunk(store.chunk(entry.digest), entry, limits=Limits())
        parts += [chunk.run.encode(), chunk.proof.encode()]
    for code in manifest.code_chunks:
        parts.append(decode_code_chunk(store.chunk(code.digest), code, limits=Limits()).encode())
    return parts


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: f"{cut.kind}-{cut.chunk_leaves}-{cut.chunk_bytes_max}")
@pytest.mark.parametrize("name", SCHEMES)
def test_every_chunk_is_proven_and_all_make_the_state(tmp_path: Path, name: str, cut: Cut) -> None:
    """Fails when a frontier is joined with the wrong neighbour, or a proof goes to the wrong chunk."""
    view = state_of(name)
    if cut.chunk_leaves == 1:
        view = MemoryView(dict(list(view.items())[:60])) if name != "ethereum" else MemoryView({})
    store, info = checkpoint(name, tmp_path, cut, view)
    manifest = store.manifest(info.digest)
    assert read_back(store, manifest) == view.state
    assert list(verify_checkpoint(store, info.digest)) == []
    assert info.leaf_count == len(view.state)
    assert {path.name for path in tmp_path.iterdir()} == {"chunks", "manifests", "spines", "staging"}
    assert [path.name for path in (tmp_path / "staging").iterdir()] == ["lock"]


def test_exactly_the_code_of_live_accounts_goes_along(tmp_path: Path) -> None:
    """Fails when code is repeated, or code that no account names is kept."""
    view = state_of("ethereum")
    store, info = checkpoint("ethereum", tmp_path, Cut(RANGE, 200, 500))
    manifest = store.manifest(info.digest)
    found: dict[bytes, bytes] = {}
    for entry in manifest.code_chunks:
        blobs = decode_code_chunk(store.chunk(entry.digest), entry, limits=Limits())
        verify_code(get_scheme("ethereum"), blobs, entry)
        found |= dict(iter(blobs))
    assert len(manifest.code_chunks) > 1
    assert len(found) == info.code_count == 8
    assert found.items() < view.code.items()


@pytest.mark.parametrize("name", SCHEMES)
def test_canonical_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path, name: str) -> None:
    """Fails when results are taken as they come, or a worker sees another neighbour."""
    made = []
    for workers in (1, 2, 7):
        store, info = checkpoint(name, tmp_path / str(workers), Cut(SUBTREE, 150), workers=workers)
        made.append(canonical(store, info.digest))
    assert made[0] == made[1] == made[2]


class ThreadedKernel(ReferenceKernel):
    """The reference under another name, so that its workers are threads."""

    name = "threaded"


def test_threads_make_the_same_bytes(tmp_path: Path) -> None:
    view, cut = state_of("mkvs"), Cut(RANGE, 50)
    store, info = checkpoint("mkvs", tmp_path / "a", cut)
    other = CheckpointStore.folder(tmp_path / "b")
    digest = create_checkpoint(view, info.root, other, cut=cut, workers=3, kernel=ThreadedKernel()).digest
    assert canonical(store, info.digest) == canonical(other, digest)


@pytest.mark.parametrize("maker", ["iterators", "directory"])
@pytest.mark.parametrize("workers", [1, 2])
def test_canonical_bytes_do_not_depend_on_how_the_state_came_to_be(tmp_path: Path, maker: str, workers: int) -> None:
    """One mirror gets the state at once, one in shuffled pieces with detours; fails when history shows."""
    view, cut = state_of("ethereum"), Cut(SUBTREE, 200)
    root = root_of("ethereum", view.state)
    reference = checkpoint("ethereum", tmp_path / "reference", cut)
    code = tuple(sorted(view.code.items()))
    with Mirror.create(tmp_path / "at once", scheme="ethereum") as mirror:
        mirror.apply(WriteLog(HEIGHT, root=root.hash, writes=tuple(view.items()), code=code))
        made = _checkpoint_of(mirror, root, tmp_path / "a", cut, maker, workers)
    rng = random.Random(5)
    leaves = list(view.items())
    rng.shuffle(leaves)
    with Mirror.create(tmp_path / "in pieces", scheme="ethereum") as mirror:
        detour = [(b"\x77" * 32, view.state[leaves[0][0][:32]])]
        mirror.apply(WriteLog(1, writes=tuple(sorted(detour + leaves[:100]))))
        for height in range(2, HEIGHT):
            part = leaves[100 * (height - 1) : 100 * height]
            mirror.apply(WriteLog(height, writes=tuple(sorted(part))))
        rest = [(b"\x77" * 32, None), *leaves[100 * (HEIGHT - 1) :]]
        mirror.apply(WriteLog(HEIGHT, root=root.hash, writes=tuple(sorted(rest)), code=code), verify=True)
        again = _checkpoint_of(mirror, root, tmp_path / "b", cut, maker, workers)
    assert made == again == canonical(reference[0], reference[1].digest)


def _checkpoint_of(mirror: Mirror, root: Root, folder: Path, cut: Cut, maker: str, workers: int) -> list[bytes]:
    store = CheckpointStore.folder(folder)
    with mirror.freeze(maker) as view:  # type: ignore[arg-type]
        info = create_checkpoint(view, root, store, cut=cut, workers=workers)
    return canonical(store, info.digest)


def test_stored_bytes_may_differ_and_mean_the_same(tmp_path: Path) -> None:
    view, cut = state_of("mkvs"), Cut(RANGE, 300)
    root = root_of("mkvs", view.state)
    stores = [CheckpointStore.folder(tmp_path / str(level)) for level in (0, 9)]
    infos = [
        create_checkpoint(view, root, store, cut=cut, level=level) for store, level in zip(stores, (0, 9), strict=True)
    ]
    assert infos[0] == infos[1]
    sizes = [sum(len(s.chunk(e.digest)) for e in chunk_entries(s.manifest(infos[0].digest))) for s in stores]
    assert sizes[0] > sizes[1]
    assert read_back(stores[0], stores[0].manifest(infos[0].digest)) == view.state


# What goes wrong, and that nothing of it is visible.


def untouched(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]


@pytest.mark.parametrize("workers", [1, 2])
def test_another_root_publishes_nothing(tmp_path: Path, workers: int) -> None:
    """Fails when the root is compared after publishing, or not at all."""
    view = state_of("mkvs")
    root = replace(root_of("mkvs", view.state), hash=b"\1" * 32)
    store = CheckpointStore.folder(tmp_path)
    with pytest.raises(CheckpointMismatchError) as caught:
        create_checkpoint(view, root, store, cut=Cut(RANGE, 100), workers=workers)
    assert caught.value.expected == root.hash
    assert caught.value.computed == root_of("mkvs", view.state).hash
    assert store.list() == ()
    assert untouched(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_leaves_that_are_no_state_publish_nothing(tmp_path: Path, workers: int) -> None:
    view = state_of("ethereum")
    slot = next(key for key in sorted(view.state) if len(key) == 64)
    broken = MemoryView({key: value for key, value in view.state.items() if key != slot}, view.code)
    with pytest.raises(InvalidStateError):
        create_checkpoint(
            broken,
            root_of("ethereum", view.state),
            CheckpointStore.folder(tmp_path),
            cut=Cut(RANGE, 100),
            workers=workers,
        )
    assert untouched(tmp_path)


def test_missing_or_other_code_publishes_nothing(tmp_path: Path) -> None:
    view = state_of("ethereum")
    root = root_of("ethereum", view.state)
    for code in ({}, dict.fromkeys(view.code, b"other")):
        with pytest.raises(CodeUnavailableError) as caught:
            create_checkpoint(MemoryView(view.state, code), root, CheckpointStore.folder(tmp_path))
        assert caught.value.code_hash in view.code
        assert untouched(tmp_path)


@pytest.mark.parametrize(
    ("limit", "value"),
    [("proof_bytes_max", 100), ("chunks_max", 3), ("leaves_max", 1000), ("code_bytes_max", 10)],
)
def test_what_nobody_could_restore_is_not_published(tmp_path: Path, limit: str, value: int) -> None:
    store = CheckpointStore.folder(tmp_path, limits=replace(Limits(), **{limit: value}))
    view = state_of("ethereum")
    with pytest.raises(OversizeError) as caught:
        create_checkpoint(view, root_of("ethereum", view.state), store, cut=Cut(RANGE, 100))
    assert caught.value.limit == limit
    assert untouched(tmp_path)


def test_a_leaf_that_fits_in_no_chunk_is_not_published(tmp_path: Path) -> None:
    view = MemoryView({b"\1": bytes(6000)})
    store = CheckpointStore.folder(tmp_path, limits=Limits(chunk_bytes_max=5000))
    with pytest.raises(OversizeError):
        create_checkpoint(view, root_of("mkvs", view.state), store, cut=Cut(RANGE, 100, 4000))
    assert untouched(tmp_path)


def test_arguments_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    view = state_of("mkvs")
    root = root_of("mkvs", view.state)
    store = CheckpointStore.folder(tmp_path / "store")
    with pytest.raises(ValueError):
        create_checkpoint(view, root, store, workers=0)
    with pytest.raises(ValueError):
        create_checkpoint(view, root, store, level=99)
    with pytest.raises(ValueError):
        create_checkpoint(view, root, store, cut=Cut(RANGE, 2**20 + 1))
    with pytest.raises(ValueError):
        create_checkpoint(view, root, store, cut=Cut(RANGE, 10, 2**30))
    with pytest.raises(ValueError):
        create_checkpoint(replace(view, head=HeightRecord(HEIGHT + 1, None, False)), root, store)
    with pytest.raises(UnknownSchemeError):
        create_checkpoint(view, replace(root, scheme="patricia"), store)
    assert not (tmp_path / "store").exists()
    with store.stage(), pytest.raises(StoreLockedError):
        create_checkpoint(view, root, store)


def test_a_largest_leaf_is_a_chunk_by_itself(tmp_path: Path) -> None:
    state = {bytes((at,)): b"v" for at in range(20)} | {b"\x0a\0": bytes(2 * 2**20)}
    store, info = checkpoint("mkvs", tmp_path, Cut(RANGE, 100, 1000), MemoryView(state))
    manifest = store.manifest(info.digest)
    assert [entry.leaf_count for entry in manifest.leaf_chunks] == [11, 1, 9]
    assert read_back(store, manifest) == state


@dataclass
class Recorder:
    """A monitor that checks the order of what it is told."""

    done: dict[str, int] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    phase: str | None = None

    def phase_started(self, phase: str, *, total: int | None, unit: str) -> None:
        assert self.phase is None
        assert unit in {"leaves", "chunks", "blobs"}
        self.phase = phase
        self.done[phase] = 0

    def advanced(self, phase: str, count: int) -> None:
        assert self.phase == phase
        self.done[phase] += count

    def phase_finished(self, phase: str) -> None:
        assert self.phase == phase
        self.phase = None

    def event(self, name: str, **fields: object) -> None:
        self.events.append(name)


def test_progress_is_told_in_phases(tmp_path: Path) -> None:
    view, monitor = state_of("ethereum"), Recorder()
    store = CheckpointStore.folder(tmp_path)
    info = create_checkpoint(view, root_of("ethereum", view.state), store, cut=Cut(RANGE, 100), monitor=monitor)
    chunks = len(store.manifest(info.digest).leaf_chunks)
    assert monitor.done == {"fold": len(view.state), "prove": chunks, "code": 8, "publish": 0}
    assert monitor.events == ["checkpoint_published"]


class FullDisk(MemoryView):
    """A view whose folder fills up while it is read."""

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        for index, leaf in enumerate(super().items()):
            if index == 700:
                raise OSError(28, "No space left on device")
            yield leaf


def test_a_full_disk_publishes_nothing(tmp_path: Path) -> None:
    view = state_of("mkvs")
    with pytest.raises(StoreAccessError) as caught:
        create_checkpoint(
            FullDisk(view.state), root_of("mkvs", view.state), CheckpointStore.folder(tmp_path), cut=Cut(RANGE, 100)
        )
    assert caught.value.reason == "No space left on device"
    assert untouched(tmp_path)


KILLED = """
import sys
from pathlib import Path
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointStore
from sync.manifest import Cut
from tests.sync.states import root_of, state_of

class Loud:
    def phase_started(self, phase, *, total, unit): print(phase)
    def advanced(self, phase, count): print(phase, count)
    def phase_finished(self, phase): print(phase)
    def event(self, name, **fields): print(name)

view = state_of("mkvs")
store = CheckpointStore.folder(Path(sys.argv[1]))
while True:
    info = create_checkpoint(view, root_of("mkvs", view.state), store, cut=Cut("range", 20), monitor=Loud())
    store.remove(info.digest)
"""


@pytest.mark.parametrize("line_count", [1, 40, 85, 150, 157, 158])
def test_killed_at_any_moment_the_store_is_whole(tmp_path: Path, line_count: int) -> None:
    """Real processes, real kill -9. Fails when a half checkpoint is visible or the lock outlives its process."""
    kill_after_lines(KILLED, str(tmp_path), line_count=line_count)
    store = CheckpointStore.folder(tmp_path)
    for info in store.list():
        assert list(verify_checkpoint(store, info.digest)) == []
        store.remove(info.digest)
    with store.stage():
        assert untouched(tmp_path)
    _, info = checkpoint("mkvs", tmp_path, Cut(RANGE, 20))
    assert list(verify_checkpoint(store, info.digest)) == []


def test_code_is_hashed_by_keccak() -> None:
    """The states of these tests are what they claim: code under its own hash."""
    assert all(keccak256(blob) == code_hash for code_hash, blob in state_of("ethereum").code.items())
