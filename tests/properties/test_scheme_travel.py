"""Every registered scheme travels: cut both ways, published, checked, restored beside a liar, folded again."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from flatdb import FlatDB
from proofs import SCHEMES, LeafRun, get_kernel, get_scheme, leaf_items, leaf_run, state_root
from sync.checkpoint import create_checkpoint
from sync.checkpoint_store import CheckpointStore
from sync.errors import UnsupportedCutError
from sync.limits import Limits
from sync.manifest import RANGE, SUBTREE, Cut
from sync.restore import Restore
from sync.root import Root
from sync.verify import verify_checkpoint
from tests.properties.scheme_states import STATES
from tests.simnet import INLINE, SimFetcher, SimPeer, chunks_only, flip, run_stepped
from tests.sync.states import HEIGHT, MemoryView

BY_RANGE, BY_SUBTREE = Cut(RANGE, chunk_leaves=3), Cut(SUBTREE, chunk_leaves=3)
LIMITS = Limits(attempts_max=4)


@pytest.mark.parametrize("name", SCHEMES)
def test_checkpoint_and_restore(name: str) -> None:
    @settings(max_examples=4)
    @given(state=STATES[name])
    def run(state: list[tuple[bytes, bytes]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            travel(name, dict(state), Path(folder))

    run()


def travel(name: str, state: dict[bytes, bytes], folder: Path) -> None:
    root = Root(name, "", b"", HEIGHT, state_root(get_scheme(name), leaf_items(sorted(state.items()))))
    store = CheckpointStore.folder(folder / "store")
    digests = {create_checkpoint(MemoryView(state), root, store, cut=cut).digest for cut in _cuts(name)}
    if not get_scheme(name).capabilities.subtree_cuts:
        with pytest.raises(UnsupportedCutError):
            create_checkpoint(MemoryView(state), root, store, cut=BY_SUBTREE)
    for digest in digests:
        assert not list(verify_checkpoint(store, digest))
    liar = SimPeer(store, answer=chunks_only(lambda honest: flip(honest, -1)))
    run_stepped(restored(root, {"liar": liar, "honest": SimPeer(store, latency_s=0.02)}, folder / "db"))
    with FlatDB.open(folder / "db") as db:
        assert dict(db.scan()) == state
        assert db.head is not None
        assert (db.head.height, db.head.root, db.head.verified) == (HEIGHT, root.hash, True)


def _cuts(name: str) -> tuple[Cut, ...]:
    return (BY_RANGE, BY_SUBTREE) if get_scheme(name).capabilities.subtree_cuts else (BY_RANGE,)


async def restored(root: Root, peers: dict[str, SimPeer], to: Path) -> None:
    fetcher = SimFetcher(peers, LIMITS)
    jitter = random.Random(1).random
    async with Restore(list(peers), root, to, limits=LIMITS, fetcher=fetcher, workers=INLINE, jitter=jitter) as running:
        async for _ in running:
            pass
    assert running.report.leaf_count >= 0


@pytest.mark.parametrize("name", SCHEMES)
def test_the_kernels_are_twins(name: str) -> None:
    """Whatever kernel is the default folds parts of a run as the reference does."""
    scheme, reference, default = get_scheme(name), get_kernel("reference"), get_kernel()

    @settings(max_examples=60)
    @given(state=STATES[name])
    def run(state: list[tuple[bytes, bytes]]) -> None:
        run: LeafRun = leaf_run(state)
        third = len(run) // 3
        for a, b in ((0, len(run)), (0, third), (third, len(run)), (third, 2 * third)):
            before = run.keys[a - 1] if a else None
            after = run.keys[b] if b < len(run) else None
            part = run[a:b]
            assert default.frontier(scheme, part, before, after) == reference.frontier(scheme, part, before, after)

    run()
