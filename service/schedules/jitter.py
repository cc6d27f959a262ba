"""Spreads the starts of schedules that ask for the same minute: the same run always waits the same time."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from service.schedules.occurrences import Occurrence
from service.schedules.runs import run_key


def jitter(schedule_id: UUID, nominal: datetime, jitter_seconds: int, gap_to_next: timedelta | None) -> int:
    """Seconds that the run starts after its instant: less than `jitter_seconds`, and before the next run.

    `gap_to_next` is the time from this run's instant to the next one's; None where no run follows.
    """
    bound = jitter_seconds if gap_to_next is None else min(jitter_seconds, int(gap_to_next.total_seconds()))
    fraction = int.from_bytes(sha256(run_key(schedule_id, nominal).encode()).digest()[:8])
    return fraction * max(bound, 0) >> 64


def due(schedule_id: UUID, occurrence: Occurrence, following: Occurrence | None, jitter_seconds: int) -> datetime:
    """When the run starts, in UTC: its instant and its jitter. `following` is the schedule's next occurrence."""
    gap = following.instant - occurrence.instant if following else None
    return occurrence.instant + timedelta(seconds=jitter(schedule_id, occurrence.nominal, jitter_seconds, gap))
