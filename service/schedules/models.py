"""What the schedules' routes take and answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from msgspec import Meta, field

from events.configurations import (
    DAILY,
    ONE_DAY,
    Id,
    LookbackConfig,
    ParameterValues,
    ScheduleConfig,
    SegmentationConfig,
    ZoneName,
)
from events.types.collection import BackfillStatus
from events.types.schedule import EndCause, LocalTime, RunCause
from events.types.workflow import DeclaredParameter
from events.validation import Body
from projections.schedules import RunStatus, ScheduleStatus
from service.commands import Reason
from service.endpoints import Answer, Position, Query, Recorded, Search
from service.results.read import Format
from service.schedules.preview import RunWindow
from service.schedules.words import Upcoming

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Limit = Annotated[int, Meta(ge=1, le=200)]


class CreateSchedule(Body, frozen=True, kw_only=True):
    """Sets a schedule to work, without a report; `lookback_config` is the window of each run. `timezone` is that
    of the windows' dates; absent means the advertiser zone of the instance."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = {
        "name": "Untitled",
        "lookback_config": ONE_DAY,
        "schedule_config": DAILY,
    }

    name: Name
    instance_id: Id
    workflow_id: Id
    lookback_config: LookbackConfig
    schedule_config: ScheduleConfig
    parameters: ParameterValues = field(default_factory=dict)
    timezone: ZoneName | None = None
    segmentation_config: SegmentationConfig | None = None


class ChangeSchedule(Body, frozen=True, kw_only=True):
    """Changes what is given, from the next run on. `workflow_id` also brings the schedule to that workflow's
    newest SQL: without it the schedule keeps the SQL that it was set to work with."""

    stand_ins: ClassVar[Mapping[str, Any] | None] = {}

    name: Name | None = None
    workflow_id: Id | None = None
    parameters: ParameterValues | None = None
    lookback_config: LookbackConfig | None = None
    schedule_config: ScheduleConfig | None = None
    segmentation_config: SegmentationConfig | None = None
    reason: Reason | None = None


class RunNow(Body, frozen=True, kw_only=True):
    """Asks for a run at once; it takes nothing."""


class ListSchedules(Query, frozen=True, kw_only=True):
    """Which schedules to list: `search` is a part of the name, in large or small letters; `cursor` is a
    `next_cursor`."""

    status: ScheduleStatus | None = None
    frequency: Literal["daily", "weekly", "monthly"] | None = None
    backfill_status: BackfillStatus | None = None
    instance_id: str | None = None
    workflow_id: str | None = None
    report_id: UUID | None = None
    search: Search = None
    limit: Limit = 50
    cursor: str | None = None
    min_position: Position = 0


class ListRuns(Query, frozen=True, kw_only=True):
    """Which runs to list; `cursor` is a `next_cursor`."""

    status: RunStatus | None = None
    limit: Limit = 50
    cursor: str | None = None
    min_position: Position = 0


class ReadSchedule(Query, frozen=True, kw_only=True):
    """A read that may wait for the read models to have applied `min_position`."""

    min_position: Position = 0


class ReadLatest(Query, frozen=True, kw_only=True):
    """The form of the table."""

    format: Format = "csv"
    min_position: Position = 0


class RunAnswer(Answer, frozen=True, kw_only=True):
    """What became of a run. `nominal` is the local date-time asked for, `instant` when that is. A run that has
    started has the state of its collection."""

    run_id: UUID
    nominal: LocalTime
    instant: datetime
    as_of: date | None
    status: RunStatus
    cause: RunCause | None
    reason: str | None
    collection_id: UUID | None
    backfill_status: BackfillStatus | None
    window_start: date | None
    window_end: date | None
    row_count: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ScheduleSummary(Answer, frozen=True, kw_only=True):
    """A schedule as it stands; `version` is what `If-Match` names. `run_count` counts the runs that occurrences
    have started; `next_run_at` is null while none is to come: paused, held, or ended. `last_run` is the newest
    of its runs, whatever became of it."""

    schedule_id: UUID
    version: int
    report_id: UUID | None
    user_id: UUID | None
    workflow_id: str
    instance_id: str
    name: str
    timezone: str
    schedule_config: ScheduleConfig
    lookback_config: LookbackConfig
    segmentation_config: SegmentationConfig | None
    parameters: ParameterValues
    status: ScheduleStatus
    held: bool
    state_reason: str | None
    state_changed_by: UUID | None
    end_cause: EndCause | None
    backfill_status: BackfillStatus | None
    backfill_collection_id: UUID | None
    next_run_at: datetime | None
    last_run_at: datetime | None
    run_count: int
    waiting_run_id: UUID | None
    created_at: datetime
    updated_at: datetime
    last_run: RunAnswer | None


class ScheduleAnswer(ScheduleSummary, frozen=True, kw_only=True):
    """The same with its SQL, its rules in plain English, and what comes next."""

    sql_query: str
    declared_parameters: tuple[DeclaredParameter, ...]
    sentences: tuple[str, ...]
    upcoming: tuple[Upcoming, ...]


class SchedulePage(Answer, frozen=True, kw_only=True):
    """Schedules, newest first; `next_cursor` leads on to older ones, null on the last page."""

    items: list[ScheduleSummary]
    next_cursor: str | None


class RunPage(Answer, frozen=True, kw_only=True):
    """Runs, newest first; `next_cursor` leads on to older ones, null on the last page."""

    items: list[RunAnswer]
    next_cursor: str | None


class ScheduleMoved(Recorded, frozen=True, kw_only=True):
    """The schedule after a command."""

    schedule_id: UUID
    version: int
    status: ScheduleStatus
    next_run_at: datetime | None


class ScheduleSetUp(ScheduleMoved, frozen=True, kw_only=True):
    """A new schedule, and its next three runs."""

    upcoming: list[RunWindow]


class ScheduleChanged(ScheduleMoved, frozen=True, kw_only=True):
    """The next three runs as they would have been, and as they will be."""

    before: list[RunWindow]
    after: list[RunWindow]


class RunStartedNow(ScheduleMoved, frozen=True, kw_only=True):
    """The run that was asked for, and its collection."""

    run_id: UUID
    collection_id: UUID
