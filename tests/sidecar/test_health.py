"""Health: ready only when nothing is wrong, and otherwise every reason is told."""

import pytest

from sidecar.health import Health, ReadyLimits

NOW = 1_000_000.0
GOOD = {"applied_height": 10, "source_height": 12, "caught_up": True, "free_bytes": 100}


def make(**limits: float) -> Health:
    defaults = {"lag_heights_max": 5, "checkpoint_age_s_max": 0.0, "free_bytes_min": 100}
    health = Health(ReadyLimits(**(defaults | limits)))  # type: ignore[arg-type]
    health.set(**GOOD)
    return health


def test_ready() -> None:
    health = make()
    assert health.ready(NOW) == ()
    assert health.alive() == ()
    assert health.lag_heights == 2


@pytest.mark.parametrize(
    "facts",
    [
        {"source_error": "gone"},
        {"applied_height": None},
        {"caught_up": False},
        {"source_height": 16},
        {"free_bytes": 99},
    ],
)
def test_each_reason_by_itself(facts: dict[str, object]) -> None:
    health = make()
    health.set(**facts)
    assert health.ready(NOW)
    assert health.alive() == ()


def test_a_dead_writer_is_neither_alive_nor_ready() -> None:
    health = make()
    health.set(writer_error="no space")
    assert len(health.alive()) == 1
    assert health.ready(NOW) == health.alive()


def test_checkpoint_age() -> None:
    health = make(checkpoint_age_s_max=60.0)
    assert health.ready(NOW) == ("no checkpoint yet",)
    health.set(checkpoint_time=NOW - 60)
    assert health.ready(NOW) == ()
    health.set(checkpoint_time=NOW - 61)
    assert len(health.ready(NOW)) == 1


def test_disk_full() -> None:
    health = make()
    assert not health.disk_full
    health.set(free_bytes=99)
    assert health.disk_full
    health.set(free_bytes=None)
    assert not health.disk_full


def test_lag_before_anything() -> None:
    health = Health(ReadyLimits(lag_heights_max=0, checkpoint_age_s_max=0.0, free_bytes_min=0))
    assert health.lag_heights == 0
    health.set(source_height=0)
    assert health.lag_heights == 1


def test_unknown_facts_are_a_bug() -> None:
    with pytest.raises(AssertionError):
        make().set(weather="fine")
