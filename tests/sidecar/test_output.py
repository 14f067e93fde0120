"""Output: progress in every style, and JSON that names its schema."""

import io
import json

import pytest

from sidecar.cli.output import (
    BarMonitor,
    EventMonitor,
    LineMonitor,
    ProgressStyle,
    SilentMonitor,
    StepPrinter,
    open_monitor,
    print_error,
    print_json,
    print_pairs,
)


def work(monitor: SilentMonitor) -> None:
    with monitor:
        monitor.phase_started("fold", total=10, unit="leaves")
        monitor.advanced("fold", 4)
        monitor.advanced("fold", 6)
        monitor.phase_finished("fold")
        monitor.phase_started("code", total=None, unit="blobs")
        monitor.advanced("code", 1)
        monitor.phase_finished("code")
        monitor.event("apply_done", root=b"\x01", peers=["a"])


def test_lines_come_every_few_seconds() -> None:
    """Fails if short phases are told one by one, or long ones say nothing."""
    lines: list[str] = []
    times = iter([0.0, 0.0, 1.0, 2.5, 3.0, 3.5])
    work(LineMonitor("apply", lines.append, lambda: next(times)))
    assert lines == [
        "apply: fold: 10/10 leaves (100 %), 4/s, 0 s left",
        "apply: fold: done, 10 leaves",
        "apply: done root=01 peers=['a']",
    ]


def test_lines_without_a_total() -> None:
    lines: list[str] = []
    times = iter([0.0, 0.0, 4.0])
    monitor = LineMonitor("apply", lines.append, lambda: next(times))
    monitor.phase_started("apply", total=None, unit="heights")
    monitor.advanced("apply", 8)
    assert lines == ["apply: apply: 8 heights, 2/s"]


def test_events_are_json_lines() -> None:
    lines: list[str] = []
    work(EventMonitor(lines.append))
    events = [json.loads(line) for line in lines]
    assert events[0] == {"event": "phase_started", "phase": "fold", "total": 10, "unit": "leaves"}
    assert [event["event"] for event in events[1:4]] == ["advanced", "advanced", "phase_finished"]
    assert events[-1] == {"event": "apply_done", "root": "01", "peers": ["a"]}


def test_bars_and_silence(capsys: pytest.CaptureFixture[str]) -> None:
    work(SilentMonitor())
    assert capsys.readouterr() == ("", "")
    work(BarMonitor("apply"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "apply: fold" in err
    assert "10/10" in err


@pytest.mark.parametrize(
    ("style", "kind"),
    [
        (ProgressStyle.AUTO, LineMonitor),
        (ProgressStyle.LINES, LineMonitor),
        (ProgressStyle.BAR, BarMonitor),
        (ProgressStyle.EVENTS, EventMonitor),
        (ProgressStyle.NONE, SilentMonitor),
    ],
)
def test_styles(style: ProgressStyle, kind: type) -> None:
    assert type(open_monitor(style, title="x")) is kind


def test_auto_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    assert type(open_monitor(title="x")) is BarMonitor


def test_markup_in_values_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Fails if a path like `[red]` can paint the terminal, or vanish."""
    print_pairs([("path", "[red]x[/]"), ("none", None)])
    print_error("[bold]y", "[z]")
    out, err = capsys.readouterr()
    assert "[red]x[/]" in out
    assert "none" not in out
    assert "[bold]y" in err
    assert "[z]" in err


def test_json_names_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    print_json("status", {"root": b"\xff", "height": None})
    assert json.loads(capsys.readouterr().out) == {"schema": "leafmirror.status/1", "root": "ff", "height": None}


def test_steps_on_a_terminal_and_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout", stream)
    with StepPrinter({"a": "First"}, silent=False) as printer:
        printer.begin("a")
        printer.finish("it went well", 1.25)
    assert "it went well" in stream.getvalue()
    assert "\x1b" in stream.getvalue()
    stream.truncate(0)
    with StepPrinter({"a": "First"}, silent=True) as printer:
        printer.begin("a")
        printer.finish("it went well", 1.25)
    assert "it went well" not in stream.getvalue()
