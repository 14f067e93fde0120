"""The event log: JSON lines elsewhere, words on a terminal."""

import io
import json
from datetime import datetime

from sidecar.log import open_log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_lines_hold_event_and_fields() -> None:
    stream = io.StringIO()
    open_log(style="auto", level="info", stream=stream).warning("peer_dropped", peer="a", root=b"\x01\xff", count=2)
    line = json.loads(stream.getvalue())
    datetime.fromisoformat(line.pop("time"))
    assert line == {"level": "warning", "event": "peer_dropped", "peer": "a", "root": "01ff", "count": 2}


def test_people_get_words_on_a_terminal() -> None:
    stream = Terminal()
    log = open_log(style="auto", level="info", stream=stream)
    log.info("checkpoint_published", height=12)
    log.info("stopped")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("info    checkpoint published  height=12")
    assert second.endswith("info    stopped")


def test_levels() -> None:
    stream = io.StringIO()
    log = open_log(style="json", level="error", stream=stream)
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["d"]
