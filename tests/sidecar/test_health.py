"""Health: ready only when nothing is wrong, and otherwise every reason is told."""

from dataclasses import replace

import pytest

from sidecar.health import Health, ReadyLimits

NOW = 1_000_000.0
LIMITS = ReadyLimits(lag_heights_max=5, checkpoint_age_s_max=0.0, free_bytes_min=100)
GOOD = Health(LIMITS, applied_height=10, source_height=12, free_bytes=100)


def test_ready() -> None:
    assert GOOD.reasons(NOW) == ()
    assert GOOD.lag_heights == 2


@pytest.mark.parametrize(
    "facts",
    [
        {"source_error": "gone"},
        {"applied_height": None, "source_height": None},
        {"source_height": 16},
        {"backlog_bytes": 1},
        {"free_bytes": 99},
    ],
)
def test_each_reason_by_itself(facts: dict[str, int | str]) -> None:
    assert len(replace(GOOD, **facts).reasons(NOW)) == 1


def test_checkpoint_age() -> None:
    strict = replace(GOOD, limits=replace(LIMITS, checkpoint_age_s_max=60.0))
    assert strict.reasons(NOW) == ("no checkpoint yet",)
    assert replace(strict, checkpoint_time=NOW - 60).reasons(NOW) == ()
    assert len(replace(strict, checkpoint_time=NOW - 61).reasons(NOW)) == 1
    assert "no space" in replace(strict, checkpoint_time=NOW - 61, checkpoint_error="no space").reasons(NOW)
    assert replace(strict, checkpoint_time=NOW, checkpoint_error="no space").reasons(NOW) == ()


def test_disk() -> None:
    assert not GOOD.is_disk_full
    assert replace(GOOD, free_bytes=99).is_disk_full
    assert not replace(GOOD, free_bytes=None).is_disk_full


def test_lag_before_anything() -> None:
    assert Health(LIMITS).lag_heights == 0
    assert Health(LIMITS, source_height=0).lag_heights == 1
    assert Health(LIMITS, source_height=3, applied_height=5).lag_heights == 0
