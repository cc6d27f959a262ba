"""Read models `workflow_schedules` and `schedule_runs`: where each schedule stands, and what became of its runs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from events.codec import encode
from events.envelope import RecordedEvent
from events.types import collection as collections
from events.types import schedule as schedules
from events.types import segment as segments
from events.types.collection import BackfillStatus
from projections.backfills import COLLECTIONS
from projections.rows import Json, Rows, Table

ScheduleStatus = Literal["active", "paused", "ended"]
RunStatus = Literal["waiting", "started", "missed", "skipped"]


class ScheduleRow(msgspec.Struct, kw_only=True):
    schedule_id: UUID
    team_id: str
    user_id: UUID | None
    report_id: UUID | None
    workflow_id: str
    instance_id: str
    name: str
    schedule_config: Json
    lookback_config: Json
    timezone: str
    status: ScheduleStatus
    backfill_status: BackfillStatus | None
    backfill_collection_id: UUID | None
    next_run_at: datetime | None
    last_run_at: datetime | None = None
    run_count: int = 0
    stream_version: int
    created_at: datetime
    updated_at: datetime
    sql_query: str
    declared_parameters: Json
    parameters: Json
    segmentation_config: Json | None
    held: bool
    handled_at: datetime
    waiting_run_id: UUID | None = None
    end_cause: schedules.EndCause | None = None
    state_reason: str | None = None
    state_changed_by: UUID | None = None


class RunRow(msgspec.Struct, kw_only=True):
    run_id: UUID
    schedule_id: UUID
    team_id: str
    nominal: datetime
    instant: datetime
    as_of: date | None = None
    status: RunStatus = "waiting"
    cause: schedules.RunCause | None = None
    reason: str | None = None
    collection_id: UUID | None = None
    stream_version: int
    created_at: datetime
    started_at: datetime | None = None
    updated_at: datetime


SCHEDULES = Table("workflow_schedules", "schedule_id", ScheduleRow)
RUNS = Table("schedule_runs", "run_id", RunRow)


def want_schedule(event: RecordedEvent, rows: Rows) -> None:
    rows.want(SCHEDULES, event.entity_uuid)
    match event.data:
        case schedules.ScheduleCreated(backfill_collection_id=UUID() as collection_id):
            rows.want(COLLECTIONS, collection_id)
        case schedules.Run(run_id=run_id):
            rows.want(RUNS, run_id)


def schedule_created(event: RecordedEvent, data: Any, rows: Rows) -> None:
    assert isinstance(data, schedules.ScheduleCreated)
    assert event.workflow_id is not None
    backfill = data.backfill_collection_id and rows.read(COLLECTIONS, data.backfill_collection_id)
    row = ScheduleRow(
        schedule_id=event.entity_uuid,
        team_id=event.team_id,
        user_id=event.user_id,
        report_id=data.report_id,
        **_configuration(event, data),
        status="active",
        backfill_status=backfill.backfill_status if backfill else None,
        backfill_collection_id=data.backfill_collection_id,
        next_run_at=data.next_due,
        held=data.hold,
        handled_at=data.counts_from,
        stream_version=event.stream_version,
        created_at=event.recorded_at,
        updated_at=event.recorded_at,
    )
    rows.add(SCHEDULES, row)


def schedule_moved(event: RecordedEvent, data: Any, rows: Rows) -> None:
    schedule = rows.change(SCHEDULES, event.entity_uuid)
    schedule.handled_at, schedule.next_run_at = data.handled, data.next_due
    schedule.stream_version, schedule.updated_at = event.stream_version, event.recorded_at
    match data:
        case schedules.Run():
            _run_moved(event, data, schedule, rows)
        case schedules.Released():
            schedule.held = False
        case schedules.ScheduleHeld():
            schedule.held = True
        case schedules.Paused():
            schedule.status = "paused"
        case schedules.Resumed():
            schedule.status = "active"
        case schedules.Changed():
            for name, value in _configuration(event, data).items():
                setattr(schedule, name, value)
        case schedules.Ended():
            schedule.status, schedule.end_cause, schedule.held = "ended", data.cause, False
    if isinstance(data, schedules.Paused | schedules.Resumed | schedules.Ended):
        schedule.state_reason, schedule.state_changed_by = data.reason, event.user_id


def _run_moved(event: RecordedEvent, data: schedules.Run, schedule: ScheduleRow, rows: Rows) -> None:
    run = rows.read(RUNS, data.run_id)
    if run is None:
        run = RunRow(
            run_id=data.run_id,
            schedule_id=schedule.schedule_id,
            team_id=schedule.team_id,
            nominal=data.nominal,
            instant=data.instant,
            stream_version=event.stream_version,
            created_at=event.recorded_at,
            updated_at=event.recorded_at,
        )
        rows.add(RUNS, run)
    else:
        run = rows.change(RUNS, data.run_id)
    run.stream_version, run.updated_at = event.stream_version, event.recorded_at
    # One that waited until now has started, or will not.
    if schedule.waiting_run_id == data.run_id:
        schedule.waiting_run_id = None
    match data:
        case schedules.RunStarted():
            run.status, run.cause, run.as_of = "started", data.cause, data.as_of
            run.collection_id, run.started_at = data.collection_id, event.recorded_at
            schedule.last_run_at = data.instant
            schedule.run_count += data.cause != "run_now"
        case schedules.RunWaiting():
            run.status, run.as_of = "waiting", data.as_of
            schedule.waiting_run_id = data.run_id
        case schedules.RunMissed():
            run.status, run.reason = "missed", data.reason
        case schedules.RunSkipped():
            run.status, run.reason = "skipped", data.reason


def want_followers(event: RecordedEvent, rows: Rows) -> None:
    """The schedule, if any, whose backfill the event's collection is."""
    collection_id = getattr(event.data, "collection_id", None) or event.entity_uuid
    rows.follow(COLLECTIONS, collection_id, "backfill_of_schedule", SCHEDULES)


def backfill_moved(event: RecordedEvent, data: Any, rows: Rows) -> None:
    """After the collection has changed: a schedule has the status of its backfill."""
    collection_id = getattr(data, "collection_id", None) or event.entity_uuid
    collection = rows.read(COLLECTIONS, collection_id)
    if collection is None or collection.backfill_of_schedule is None:
        return
    schedule = rows.read(SCHEDULES, collection.backfill_of_schedule)
    if schedule is not None and schedule.backfill_status != collection.backfill_status:
        rows.change(SCHEDULES, schedule.schedule_id).backfill_status = collection.backfill_status


def _configuration(event: RecordedEvent, data: schedules.Configured) -> dict[str, Any]:
    """The columns that a creation and a change set."""
    return {
        "workflow_id": event.workflow_id,
        "instance_id": data.instance_id,
        "name": data.name,
        "sql_query": data.sql_query,
        "declared_parameters": encode(data.declared_parameters),
        "parameters": encode(data.parameters),
        "timezone": data.timezone,
        "lookback_config": encode(data.lookback_config),
        "schedule_config": encode(data.schedule_config),
        "segmentation_config": encode(data.segmentation_config) if data.segmentation_config else None,
    }


TABLES = (SCHEDULES, RUNS)
HANDLERS = (
    {name: (want_schedule, schedule_moved) for name, _ in schedules.EVENTS}
    | {"schedule.created": (want_schedule, schedule_created)}
    | {
        name: (want_followers, backfill_moved)
        for name, _ in (*collections.EVENTS, *segments.EVENTS)
        if name != "collection.created"
    }
)
