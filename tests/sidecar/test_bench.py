"""The quick bench: every step is measured, and the command says so in both forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proofs import get_kernel
from sidecar.bench import fill, random_leaves
from sidecar.cli import main
from sync.mirror import Mirror


def test_the_command_measures_all_steps_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fails if a step is skipped, counts nothing, or its files stay behind."""
    assert main(["bench", "--leaves", "1000", "--dir", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "leafmirror.bench/1"
    assert found["kernel"] == get_kernel().name
    assert [figure["name"] for figure in found["figures"]] == ["fold", "apply", "create", "restore"]
    counts = {figure["name"]: figure["count"] for figure in found["figures"]}
    assert counts["fold"] == 1000
    assert counts["create"] == counts["restore"] == 1000 + counts["apply"]
    assert all(figure["per_second"] > 0 and figure["elapsed_s"] > 0 for figure in found["figures"])
    assert list(tmp_path.iterdir()) == []


def test_the_table_has_a_row_for_each_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--leaves", "1000", "--dir", str(tmp_path)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        "fold",
        "apply",
        "create",
        "restore",
    ]


def test_what_is_loaded_in_bulk_is_a_mirror(tmp_path: Path) -> None:
    """Fails if the bench measures a state that is none: its root must be the one that a mirror folds."""
    leaves = random_leaves(300, 5)
    assert leaves == sorted(random_leaves(300, 5))
    root = fill(tmp_path / "mirror", "mkvs", leaves)
    with Mirror.open(tmp_path / "mirror") as mirror:
        assert mirror.root() == mirror.claimed_root == root
        assert list(mirror.scan()) == leaves
        assert not list(mirror.check())
