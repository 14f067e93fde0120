"""Every benchmark answers at a tiny size: one that no longer measures the product fails here, not when needed."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import RUNS, tables
from benchmarks.answer import frame, options_of
from benchmarks.create import OPTIONS, measure
from benchmarks.plot import bars, lines
from benchmarks.workload import SHAPES
from proofs import LeafRun, frontier_root, get_kernel, get_scheme

TINY: dict[str, list[str]] = {
    "fold": ["--shape", "oasis", "--repeat", "1"],
    "root": ["--shape", "uniform-nomt-blake3", "--large-percent", "50"],
    "verify": ["--range-leaves", "100", "--ranges", "3", "--shape", "uniform-mpt", "--repeat", "1"],
    "apply": ["--puts", "100", "--logs", "3"],
    "presets": ["--heights", "5", "--puts", "3", "--logs", "3", "--large-puts", "10", "--gets", "50", "--repeat", "1"],
    "create": ["--shape", "ethereum"],
    "restore": ["--shape", "uniform-mkvs"],
    "oasis": [],
    "pause": ["--pauses", "3", "--interval-ms", "1", "--log-writes", "10"],
    "memory": [],
    "scaling": [],
    "serving": ["--seconds", "0.05"],
}
SIZES = {"scaling": 10_000}
RATES = (
    "leaves_per_second",
    "puts_per_second",
    "writes_per_second",
    "reads_per_second",
    "peak_pss_bytes",
    "bytes_per_second",
)


def ask(question: str, tmp_path: Path) -> list[dict[str, Any]]:
    arguments = ["--leaves", str(SIZES.get(question, 2_000)), "--dir", str(tmp_path), *TINY[question]]
    module = importlib.import_module(f"benchmarks.{question}")
    options = options_of(question, module.OPTIONS, arguments)
    return [frame(question, options, found) for found in module.measure(options)]


@pytest.mark.parametrize("question", TINY)
def test_every_question_is_answered(question: str, tmp_path: Path) -> None:
    """Fails if a question no longer runs, finds nothing, or finds what is not JSON."""
    answers = ask(question, tmp_path)
    assert answers
    for answer in answers:
        assert "error" not in answer
        assert json.loads(json.dumps(answer)) == answer
        assert answer["kernel"] == get_kernel().name
        assert answer["seed"] == 1
        figures = [answer[name] for name in RATES if name in answer]
        assert all(figure > 0 for figure in figures)
        assert figures or answer["microseconds_per_leaf"] > 0
    assert question in tables(answers)
    assert list(tmp_path.iterdir()) == []


def test_creation_from_disk_says_what_it_read(tmp_path: Path) -> None:
    """Fails if files stay in the page cache, or the table does not tell the two apart."""
    options = options_of("create", OPTIONS, ["--leaves", "20000", "--cold", "1", "--dir", str(tmp_path)])
    (answer,) = (frame("create", options, found) for found in measure(options))
    assert answer["step"] == "create from disk"
    assert f"{answer['read_bytes'] / 1e6:.3g} MB read" in tables([answer]) or not answer["read_bytes"]


def test_every_question_is_in_the_set() -> None:
    """Fails if a question is asked by nobody, or the smoke tests forget one."""
    assert {question for question, _ in RUNS} == set(TINY)


@pytest.mark.parametrize("shape", SHAPES)
def test_workloads_are_states(shape: str) -> None:
    """Fails if a workload repeats a key, changes between runs, or does not fold (an account with a wrong root)."""
    name, generate = SHAPES[shape]
    leaves = list(generate(3_000, 7))
    assert leaves == list(generate(3_000, 7))
    assert leaves != list(generate(3_000, 8))
    assert 2_900 <= len(leaves) <= 3_000
    run = LeafRun([key for key, _ in leaves], [value for _, value in leaves])
    assert len(frontier_root(get_scheme(name), get_kernel().frontier(get_scheme(name), run))) == 32


def test_plots_hold_every_point() -> None:
    """Fails if a bar or a point is lost, or a label can break the file."""
    text = bars("Fold", "leaves/s", [("leafmirror <x>", 2e6), ("other", 1e6)])
    assert text.count("<rect") == 3
    assert "&lt;x&gt;" in text
    text = lines("Time", "leaves", "us", {"create": [(1e4, 2.0), (1e7, 1.0)], "restore": [(1e4, 3.0)]})
    assert text.count("<circle") == 3
