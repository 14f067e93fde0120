"""The root of all leaves, run by run, is the root of all leaves."""

from __future__ import annotations

import pytest

from proofs import InvalidLeafError, get_scheme, leaf_items, state_root
from sync import state_fold
from sync.state_fold import fold_leaves
from tests.sync.states import SCHEMES, state_of
from tests.sync.test_checkpoint import Recorder


@pytest.mark.parametrize("run_leaves", [1, 7, 4096])
@pytest.mark.parametrize("name", SCHEMES)
def test_runs_join_to_the_whole(name: str, run_leaves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a run is folded without its neighbours."""
    monkeypatch.setattr(state_fold, "RUN_LEAVES", run_leaves)
    scheme, view, monitor = get_scheme(name), state_of(name), Recorder()
    assert fold_leaves(scheme, view.items(), monitor=monitor) == state_root(scheme, leaf_items(view.items()))
    assert monitor.done == {"fold": len(view.state)}


def test_no_leaves_have_the_empty_root() -> None:
    assert fold_leaves(get_scheme("mpt"), []) == get_scheme("mpt").empty_root


def test_leaves_that_are_no_state_are_refused() -> None:
    with pytest.raises(InvalidLeafError):
        fold_leaves(get_scheme("ethereum"), [(bytes(64), b"\1")])
