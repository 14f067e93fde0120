"""Observer: reports become metrics and, seldom, lines."""

import io
import json

from sidecar.log import open_log
from sidecar.metrics import Metrics
from sidecar.observer import Observer


def make(level: str = "info") -> tuple[Observer, Metrics, io.StringIO]:
    metrics, stream, times = Metrics(), io.StringIO(), iter((10.0, 12.5))
    return (
        Observer(metrics, open_log(style="json", level=level, stream=stream), now=lambda: next(times)),
        metrics,
        stream,
    )


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_requests_are_counted_and_not_logged() -> None:
    observer, metrics, stream = make()
    observer.event("request_served", route="/v1/chunk", method="GET", status=200, bytes=7)
    observer.event("request_throttled", limit="requests_max")
    assert value(metrics, "leafmirror_sync_requests_total", route="/v1/chunk", code="200") == 1
    assert value(metrics, "leafmirror_sync_response_bytes_total") == 7
    assert value(metrics, "leafmirror_sync_throttled_total", reason="requests_max") == 1
    assert stream.getvalue() == ""


def test_phases_are_timed() -> None:
    observer, metrics, _ = make()
    observer.phase_started("fold", total=None, unit="leaves")
    observer.advanced("fold", 5)
    observer.advanced("prove", 1)
    observer.phase_finished("fold")
    assert value(metrics, "leafmirror_checkpoint_phase_seconds", phase="fold") == 2.5
    assert value(metrics, "leafmirror_checkpoint_leaves_total") == 5


def test_what_needs_a_person_is_a_warning() -> None:
    observer, _, stream = make()
    observer.event("checkpoint_corrupt", digest="ab", reason="bits")
    observer.event("checkpoint_published", height=1)
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "checkpoint_corrupt"
    assert json.loads(line)["level"] == "warning"
