"""Events of `schedule-` streams: what runs again and again, and what became of each of its occurrences.

An event that moves the schedule carries `handled`, the instant up to which every occurrence is decided, and
`next_due`, when the next one is to be looked at (null while none is: paused, held, or ended).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from events.configurations import LookbackConfig, ParameterValues, ScheduleConfig, SegmentationConfig
from events.personal import PersonalText
from events.types.workflow import DeclaredParameter

LocalTime = Annotated[datetime, Meta(tz=False)]
RunCause = Literal["on_time", "caught_up", "waited", "run_now"]
MissedReason = Literal["superseded", "too_old", "catch_up_off", "changed", "ended"]
SkippedReason = Literal["overlap", "coalesced", "out_of_reach", "ended"]
EndCause = Literal["person", "end_date", "max_runs"]


class Configured(msgspec.Struct, frozen=True, kw_only=True):
    """All that a run needs, as it stood when the schedule was set to work or changed: later edits elsewhere do
    not reach it. `timezone` is the report's zone, whose dates the windows are."""

    name: str
    instance_id: str
    sql_query: str
    declared_parameters: tuple[DeclaredParameter, ...]
    parameters: ParameterValues
    timezone: str
    lookback_config: LookbackConfig
    schedule_config: ScheduleConfig
    segmentation_config: SegmentationConfig | None


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """Where the schedule stands after the event; instants in UTC."""

    handled: datetime
    next_due: datetime | None


class Run(Moved, frozen=True, kw_only=True):
    """An occurrence. `nominal` is the local date-time asked for, `instant` when that is."""

    run_id: UUID
    nominal: LocalTime
    instant: datetime


class ScheduleCreated(Configured, frozen=True, kw_only=True):
    """A schedule was set to work. It counts the occurrences later than `counts_from`; with `hold` it counts
    none until its backfill has come to its end."""

    report_id: UUID | None
    backfill_collection_id: UUID | None
    hold: bool
    counts_from: datetime
    next_due: datetime | None


class Released(Moved, frozen=True, kw_only=True):
    """The backfill that it waited for has come to its end, well or not, or a person would not wait for it; it counts
    from that moment. `reason` is what the person said."""

    backfill_collection_id: UUID
    reason: PersonalText | None = None


class ScheduleHeld(Moved, frozen=True, kw_only=True):
    """A person lets it wait for its backfill: no occurrence counts until that has come to its end."""

    backfill_collection_id: UUID
    reason: PersonalText | None


class RunStarted(Run, frozen=True, kw_only=True):
    """A run was set to work: `collection_id` was created in the same append. `as_of` is the day that its window
    counts from. A run that was asked for by a person (`run_now`) moves nothing and counts for no limit."""

    as_of: date
    cause: RunCause
    collection_id: UUID


class RunWaiting(Run, frozen=True, kw_only=True):
    """An earlier run is not done: this one starts after it."""

    as_of: date


class RunMissed(Run, frozen=True, kw_only=True):
    """A run that was not started in time and is not made up."""

    reason: MissedReason


class RunSkipped(Run, frozen=True, kw_only=True):
    """A run that was due and does not happen."""

    reason: SkippedReason


class Paused(Moved, frozen=True, kw_only=True):
    """A person has stopped it for a while; `reason` is what they said."""

    reason: PersonalText | None


class Resumed(Moved, frozen=True, kw_only=True):
    """It goes on; what came due meanwhile is missed, and made up by its catch-up rule."""

    reason: PersonalText | None


class Rescheduled(Moved, frozen=True, kw_only=True):
    """The zone database has changed its rules: the next run is due at another instant than was recorded."""


class Changed(Configured, frozen=True, kw_only=True):
    """The new whole configuration, from the next run on."""

    handled: datetime
    next_due: datetime | None
    reason: PersonalText | None


class Ended(Moved, frozen=True, kw_only=True):
    """Nothing starts any more. The last event of its stream."""

    cause: EndCause
    reason: PersonalText | None


EVENTS = {
    ("schedule.created", 1): ScheduleCreated,
    ("schedule.released", 1): Released,
    ("schedule.held", 1): ScheduleHeld,
    ("schedule.run_started", 1): RunStarted,
    ("schedule.run_waiting", 1): RunWaiting,
    ("schedule.run_missed", 1): RunMissed,
    ("schedule.run_skipped", 1): RunSkipped,
    ("schedule.paused", 1): Paused,
    ("schedule.resumed", 1): Resumed,
    ("schedule.changed", 1): Changed,
    ("schedule.rescheduled", 1): Rescheduled,
    ("schedule.ended", 1): Ended,
}
