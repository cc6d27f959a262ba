"""A schedule as it stands: what its decisions are made from."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec

from events.types.schedule import Configured
from projections.schedules import ScheduleStatus
from service.data_collections.lookback import RETENTION_DAYS
from service.schedules.occurrences import ScheduleSpec


class Planned(msgspec.Struct, frozen=True):
    """A run that is to start: its identity, and the day that its window counts from."""

    run_id: UUID
    nominal: datetime
    instant: datetime
    as_of: date


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule. All instants are in UTC.

    `running` counts its runs that have started and are not done; `run_count` those that count towards `maxRuns`;
    `recorded` has the ids of its newest runs, whatever became of them. `backfill_ended` is when its backfill came
    to its end, by the real time. `version` is that of its stream, which an append of a decision must name.
    """

    schedule_id: UUID
    team_id: str
    user_id: UUID | None
    report_id: UUID | None
    workflow_id: str
    version: int
    status: ScheduleStatus
    held: bool
    configured: Configured
    handled: datetime
    next_due: datetime | None
    run_count: int
    waiting: Planned | None = None
    running: int = 0
    recorded: frozenset[UUID] = frozenset()
    backfill_collection_id: UUID | None = None
    backfill_ended: datetime | None = None
    retention_days: int = RETENTION_DAYS

    @property
    def spec(self) -> ScheduleSpec:
        """When it runs."""
        return ScheduleSpec.of(self.configured.schedule_config, self.configured.timezone)
