"""The set behind docs/performance.md: runs every question, keeps the answers, renders tables and plots.

    python -m benchmarks                          run all, write docs/performance/, renew the tables in the page
    python -m benchmarks --scale 0.01             the same, a hundredth of the leaves: does it work at all?
    python -m benchmarks --only create --only restore      these anew; answers of others are kept
    python -m benchmarks --render                 only tables and plots, from the answers that are there

Every question is a process of its own, so that none warms another up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.answer import Fields
from benchmarks.plot import bars, lines, short

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: python -m benchmarks -->", "<!-- end of figures -->"

RUNS: tuple[tuple[str, Fields], ...] = (
    ("fold", {"leaves": 1_000_000, "shape": "uniform-mkvs"}),
    ("fold", {"leaves": 1_000_000, "shape": "uniform-mpt", "peers": 1}),
    ("fold", {"leaves": 1_000_000, "shape": "ethereum"}),
    ("fold", {"leaves": 1_000_000, "shape": "oasis"}),
    ("fold", {"leaves": 1_000_000, "shape": "uniform-jam"}),
    ("fold", {"leaves": 1_000_000, "shape": "uniform-nomt-blake3"}),
    ("fold", {"leaves": 1_000_000, "shape": "uniform-nomt-sha2"}),
    ("fold", {"leaves": 1_000_000, "shape": "uniform-solana"}),
    ("fold", {"leaves": 1_000_000, "shape": "accounts"}),
    ("root", {"leaves": 100_000, "value_bytes": 4_096, "shape": "uniform-nomt-blake3"}),
    ("root", {"leaves": 300_000, "value_bytes": 4_096, "large_percent": 10, "shape": "uniform-nomt-blake3"}),
    ("verify", {"leaves": 200_000, "shape": "uniform-mpt", "peers": 1}),
    ("apply", {"leaves": 1_000_000, "peers": 1}),
    ("presets", {"leaves": 2_000_000}),
    ("create", {"leaves": 2_000_000, "shape": "uniform-mkvs", "repeat": 3}),
    ("create", {"leaves": 1_000_000, "shape": "oasis", "repeat": 3, "peers": 1}),
    ("create", {"leaves": 1_000_000, "shape": "oasis", "repeat": 3, "cold": 1, "peers": 1}),
    ("create", {"leaves": 1_000_000, "shape": "oasis", "repeat": 3, "cold": 1, "peers": 1, "scattered": 1}),
    ("create", {"leaves": 10_000_000, "shape": "oasis", "peers": 1}),
    ("create", {"leaves": 10_000_000, "shape": "oasis", "cold": 1, "peers": 1}),
    ("create", {"leaves": 1_000_000, "shape": "ethereum", "repeat": 3}),
    ("restore", {"leaves": 1_000_000, "shape": "uniform-mkvs", "repeat": 3}),
    ("restore", {"leaves": 1_000_000, "shape": "oasis", "repeat": 3}),
    ("restore", {"leaves": 1_000_000, "shape": "ethereum", "repeat": 3}),
    ("oasis", {"leaves": 1_000_000}),
    ("oasis", {"leaves": 1_000_000, "threads": 12}),
    ("pause", {"leaves": 100_000}),
    ("pause", {"leaves": 10_000_000}),
    ("memory", {"leaves": 1_000_000}),
    ("memory", {"leaves": 10_000_000}),
    ("scaling", {"leaves": 10_000_000}),
    ("serving", {}),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the leaves")
    parser.add_argument("--only", action="append", help="a question, repeatable")
    parser.add_argument("--render", action="store_true", help="run nothing")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "performance")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    answers = options.out / "answers.jsonl"
    kept = [json.loads(line) for line in answers.read_text().splitlines()] if answers.exists() else []
    if not options.render:
        asked = options.only or sorted({question for question, _ in RUNS})
        kept = [answer for answer in kept if answer["question"] not in asked]
        for question, fields in RUNS:
            if question in asked:
                kept += _ask(question, fields, options.scale)
        questions = [question for question, _ in RUNS]
        kept.sort(key=lambda answer: questions.index(answer["question"]))
        answers.write_text("".join(json.dumps(answer) + "\n" for answer in kept))
    _render(kept, options.out)


def _ask(question: str, fields: Fields, scale: float) -> list[Fields]:
    if "leaves" in fields:
        fields = fields | {"leaves": max(10_000, int(fields["leaves"] * scale))}
    arguments = [text for name, value in fields.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", f"benchmarks.{question}", "--json", *arguments]
    sys.stderr.write(f"{question} {' '.join(arguments)}\n")
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def _render(answers: list[Fields], out: Path) -> None:
    """Plots beside the answers, tables into the page between its two marks."""
    folds = [answer for answer in answers if answer["question"] == "fold" and "leaves_per_second" in answer]
    if folds:
        values = [(f"{a['who']} {a['shape']}", a["leaves_per_second"]) for a in folds]
        (out / "fold.svg").write_text(bars("Fold, one core", "leaves/s", values))
    scaling = [answer for answer in answers if answer["question"] == "scaling"]
    if scaling:
        series = {
            step: [(a["count"], a["microseconds_per_leaf"]) for a in scaling if a["step"] == step]
            for step in ("create", "restore")
        }
        (out / "scaling.svg").write_text(lines("Time for one leaf", "leaves", "microseconds", series))
    if out == ROOT / "docs" / "performance" and PAGE.exists():
        before, _, rest = PAGE.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n\n{tables(answers)}\n{END}{after}")


def tables(answers: list[Fields]) -> str:
    """Every answer in one row, by question. Where a run was repeated: its best, and how many there were."""
    grouped: dict[str, dict[str, list[Fields]]] = {}
    for answer in answers:
        what = _what(answer)
        grouped.setdefault(answer["question"], {}).setdefault(what, []).append(answer)
    lines_out = []
    for question, rows in grouped.items():
        lines_out += [f"**{question}**", "", "| what | leaves | result | runs |", "|---|---:|---|---:|"]
        for what, found in rows.items():
            best = min(found, key=lambda answer: float(answer.get("seconds", 0)))
            count = best.get("count", best.get("leaves", 0))
            lines_out.append(f"| {what} | {count:,} | {_result(best)} | {len(found)} |")
        lines_out.append("")
    return "\n".join(lines_out)


def _what(answer: Fields) -> str:
    words = [answer.get("who", "leafmirror"), answer.get("step"), answer.get("shape"), answer.get("maker")]
    if answer["question"] == "root":
        words.append(f"{answer['large_percent']} % of {answer['value_bytes']:,} bytes")
    if answer.get("threads") is not None:
        words.append(f"{answer['threads'] or 1} threads, {answer.get('where', 'on disk')}")
    if answer["question"] == "create":
        words.append(f"{answer['leaves']:,}")
        if answer.get("scattered"):
            words.append("committed in random order")
    if answer["question"] in ("scaling", "pause", "memory"):
        words.append(f"{answer.get('count', answer['leaves']):,}")
    return " ".join(str(word) for word in words if word)


def _result(answer: Fields) -> str:
    match answer:
        case {"error": error}:
            return str(error)
        case {"heights_per_second": rate, "cpu_seconds": cpu_seconds}:
            return f"{rate:,.0f} heights/s, {cpu_seconds:.2f} s of CPU, {_memory(answer)}"
        case {"small_ms_p50": _, "large_ms_p50": _}:
            small, large = (
                ", ".join(f"{answer[f'{size}_ms_{at}']:.{digits}f}" for at in ("p50", "p90", "max"))
                for size, digits in (("small", 1), ("large", 0))
            )
            return f"p50, p90, max: small {small} ms, large {large} ms; {_memory(answer)}"
        case {"hit_us_p50": hit, "hit_us_p99": hit99, "miss_us_p50": miss, "miss_us_p99": miss99}:
            times = f"p50, p99: there {hit:.1f}, {hit99:.1f} µs, absent {miss:.1f}, {miss99:.1f} µs"
            return f"{times}; {_memory(answer)}"
        case {"microseconds_per_leaf": time_us, "cpu_microseconds_per_leaf": cpu_us}:
            return f"{time_us:.2f} µs a leaf, {cpu_us:.2f} µs of CPU"
        case {"leaves_per_second": rate, "cold": 1, "read_bytes": read}:
            return f"{short(rate)} leaves/s, {short(read)}B read"
        case {"leaves_per_second": rate}:
            return f"{short(rate)} leaves/s"
        case {"bytes_per_second": rate}:
            return f"{short(rate)}B/s"
        case {"peak_pss_bytes": size}:
            return f"{size / 2**20:.0f} MiB"
        case {"pause_ms": pause, "wait_ms": wait, "writes_per_second": rate}:
            times = f"pause p50 {pause['p50']}, p99 {pause['p99']}, max {pause['max']} ms; wait p99 {wait['p99']} ms"
            return f"{times}; {rate:,.0f} writes/s"
        case {"seconds_median": median, "seconds_max": largest}:
            return f"median {median:.3f} s, max {largest:.3f} s"
    return json.dumps(answer)


def _memory(answer: Fields) -> str:
    return f"{answer['peak_rss_bytes'] / 2**20:.0f} MiB"


if __name__ == "__main__":
    main()
