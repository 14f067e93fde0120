"""The monitor that hears nothing takes every call."""

from __future__ import annotations

from sync.monitor import MONITOR_NONE, Monitor


def test_the_null_monitor_is_a_monitor() -> None:
    monitor: Monitor = MONITOR_NONE
    monitor.phase_started("fold", total=None, unit="leaves")
    monitor.advanced("fold", 1)
    monitor.phase_finished("fold")
    monitor.event("published", digest="00")
