"""Applying write logs one after the other, and saying what came of it.

The loop that `leafmirror apply` and the demo share. Decides which heights are verified; everything about a single
height is the mirror's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flatdb import WriteLog
from sync.mirror import Mirror
from sync.monitor import MONITOR_NONE, Monitor

__all__ = ["ApplyReport", "apply_write_logs"]


@dataclass(slots=True)
class ApplyReport:
    """What was done so far; also true when an error or an interrupt ended it early."""

    applied: int = 0
    repeated: int = 0
    """Heights that had been applied before, with the same root: nothing was changed."""
    verified: int = 0
    unclaimed: int = 0
    """Applied heights that came without a root: nothing says what their leaves should fold to."""
    writes: int = 0


def apply_write_logs(
    mirror: Mirror,
    write_logs: Iterable[WriteLog],
    report: ApplyReport,
    *,
    verify_every: int = 0,
    monitor: Monitor = MONITOR_NONE,
) -> None:
    """Apply them in order, counting into `report`; durable when this returns, whatever the mirror was opened for.

    `verify_every` N >= 1: fold the whole state before each N-th height.

    Raises:
        As `Mirror.apply`; every height before the one at fault stays applied.
    """
    monitor.phase_started("apply", total=None, unit="heights")
    for write_log in write_logs:
        if not mirror.db.follows(write_log):
            mirror.apply(write_log)
            report.repeated += 1
        else:
            verify = verify_every > 0 and (report.applied + 1) % verify_every == 0
            record = mirror.apply(write_log, verify=verify)
            report.applied += 1
            report.writes += len(write_log.writes)
            report.verified += record.verified
            report.unclaimed += record.root is None
        monitor.advanced("apply", 1)
    mirror.sync()
    monitor.phase_finished("apply")
