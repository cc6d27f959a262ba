"""Read models `report_data_collections` and `report_data_weeks`: where each segment stands, and what
follows from it for its collection."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from events.codec import encode
from events.envelope import RecordedEvent
from events.types import collection as collections
from events.types import segment as segments
from events.types.collection import BackfillStatus, CollectionCreated, HoldCause, PlannedSegment
from events.types.segment import WorkStep
from projections.rows import Json, Rows, Table


class CollectionRow(msgspec.Struct, kw_only=True):
    collection_id: UUID
    team_id: str
    user_id: UUID | None
    report_id: UUID | None
    workflow_id: str
    instance_id: str
    name: str
    lane: str
    lookback_config: Json
    segmentation_config: Json | None
    timezone: str
    as_of: date
    window_start: date
    window_end: date
    parallel_limit: int
    newest_first: bool
    max_attempts: int
    backfill_status: BackfillStatus
    segments_total: int
    segments_active: int = 0
    segments_waiting: int = 0
    segments_completed: int = 0
    segments_failed: int = 0
    segments_cancelled: int = 0
    segments_skipped: int = 0
    row_count: int = 0
    null_count: int = 0
    content_key: str = ""
    stream_version: int
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    updated_at: datetime
    schedule_id: UUID | None = None
    backfill_of_schedule: UUID | None = None
    paused: Json | None = None
    cancelled: Json | None = None
    held: Json | None = None
    sql_taken: bool = False
    stop_after_failures: int | None = None
    stop_at_failures: int | None = None
    front_at: datetime | None = None


class SegmentRow(msgspec.Struct, kw_only=True):
    segment_id: UUID
    collection_id: UUID
    segment_number: int
    week_start: date
    week_end: date
    status: str
    attempts: int = 0
    amc_execution_id: str | None = None
    row_count: int | None = None
    result_bytes: int | None = None
    checksum: str | None = None
    error: str | None = None
    retry_at: datetime | None = None
    reused_segment_id: UUID | None = None
    stream_version: int
    stalled: Json | None = None
    dispatched_at: datetime | None = None
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    updated_at: datetime
    front_at: datetime | None = None
    skip_reason: str | None = None
    supersedes: UUID | None = None
    superseded_by: UUID | None = None
    null_count: int | None = None
    nulls: Json | None = None


COLLECTIONS = Table("report_data_collections", "collection_id", CollectionRow)
SEGMENTS = Table("report_data_weeks", "segment_id", SegmentRow)

# The collection's counter for a segment in this state; pending ones are the rest.
COUNTERS = {
    "dispatched": "segments_active",
    "submitted": "segments_active",
    "running": "segments_active",
    "waiting": "segments_waiting",
    "completed": "segments_completed",
    "failed": "segments_failed",
    "cancelled": "segments_cancelled",
    "skipped": "segments_skipped",
}


def backfill_status(row: CollectionRow) -> BackfillStatus:
    """The first that matches: all completed or skipped → completed; all final and one of those → partial;
    all final → failed; none dispatched yet → pending; else in_progress."""
    good = row.segments_completed + row.segments_skipped
    final = good + row.segments_failed + row.segments_cancelled
    if good == row.segments_total:
        return "completed"
    if final == row.segments_total:
        return "partial" if good else "failed"
    if row.started_at is None:
        return "pending"
    return "in_progress"


def want_collection(event: RecordedEvent, rows: Rows) -> None:
    rows.want(COLLECTIONS, event.entity_uuid)


def want_segment(event: RecordedEvent, rows: Rows) -> None:
    rows.want(SEGMENTS, event.entity_uuid)
    rows.want(COLLECTIONS, event.data.collection_id)  # type: ignore[attr-defined]


def want_superseded(event: RecordedEvent, rows: Rows) -> None:
    # What took its place is of another collection, which the event names.
    rows.follow(SEGMENTS, event.entity_uuid, "collection_id", COLLECTIONS)


def collection_created(event: RecordedEvent, data: Any, rows: Rows) -> None:
    assert isinstance(data, CollectionCreated)
    assert event.workflow_id is not None
    collection_id = event.entity_uuid
    reused = [planned.reuses for planned in data.segments if planned.reuses]
    collection = CollectionRow(
        collection_id=collection_id,
        team_id=event.team_id,
        user_id=event.user_id,
        report_id=data.report_id,
        workflow_id=event.workflow_id,
        instance_id=data.instance_id,
        name=data.name,
        lane=data.lane,
        lookback_config=encode(data.lookback_config),
        segmentation_config=encode(data.segmentation_config) if data.segmentation_config else None,
        timezone=data.timezone,
        as_of=data.as_of,
        window_start=data.window_start,
        window_end=data.window_end,
        parallel_limit=data.segmentation.parallel_limit,
        newest_first=data.segmentation.order == "newest_first",
        max_attempts=data.segmentation.attempts,
        backfill_status="pending",
        segments_total=len(data.segments),
        segments_skipped=data.segments_skipped,
        row_count=sum(result.rows for result in reused),
        null_count=sum(result.nulls or 0 for result in reused),
        content_key=data.content_key,
        schedule_id=data.schedule_id,
        backfill_of_schedule=data.backfill_of_schedule,
        sql_taken=data.sql_checked or bool(reused),
        stop_after_failures=data.segmentation.stop_after_failures,
        stop_at_failures=data.segmentation.stop_after_failures,
        stream_version=event.stream_version,
        created_at=event.recorded_at,
        updated_at=event.recorded_at,
    )
    collection.backfill_status = backfill_status(collection)
    rows.add(COLLECTIONS, collection)
    for planned in data.segments:
        rows.add(SEGMENTS, segment_planned(collection_id, planned, event.recorded_at))


def segment_planned(collection_id: UUID, planned: PlannedSegment, at: datetime) -> SegmentRow:
    """The row of a segment that was planned at this time."""
    segment = SegmentRow(
        segment_id=planned.segment_id,
        collection_id=collection_id,
        segment_number=planned.number,
        week_start=planned.start,
        week_end=planned.end,
        status="pending",
        supersedes=planned.supersedes,
        stream_version=0,
        updated_at=at,
    )
    if planned.skip_reason:
        segment.status = "skipped"
        segment.skip_reason = planned.skip_reason
        segment.finished_at = at
    if planned.reuses:
        segment.reused_segment_id = planned.reuses.segment_id
        segment.row_count = planned.reuses.rows
        segment.result_bytes = planned.reuses.bytes
        segment.checksum = planned.reuses.checksum
        segment.null_count = planned.reuses.nulls
    return segment


class Act(msgspec.Struct, frozen=True):
    """What a person did to a collection that lasts, as the columns `paused` and `cancelled` keep it."""

    by: UUID | None
    at: datetime
    reason: str | None


class Held(msgspec.Struct, frozen=True):
    """Why a collection does not go on by itself, as the column `held` keeps it."""

    cause: HoldCause
    segment_id: UUID | None
    at: datetime
    error: str


class Stall(msgspec.Struct, frozen=True):
    """Why a segment does not go on by itself, as the column `stalled` keeps it."""

    at: datetime
    attempt: int
    step: WorkStep
    tries: int
    in_flight: bool


def want_moved_collection(event: RecordedEvent, rows: Rows) -> None:
    want_collection(event, rows)
    if (segment_id := getattr(event.data, "segment_id", None)) is not None:
        rows.want(SEGMENTS, segment_id)


def collection_moved(event: RecordedEvent, data: Any, rows: Rows) -> None:
    collection = rows.change(COLLECTIONS, event.entity_uuid)
    match data:
        case collections.CollectionPaused():
            collection.paused = encode(Act(event.user_id, event.recorded_at, data.reason))
        case collections.CollectionResumed():
            collection.paused = collection.held = None
            _allow_more_failures(collection)
        case collections.CollectionHeld():
            collection.held = encode(Held(data.cause, data.segment_id, event.recorded_at, data.error))
        case collections.CollectionCancelled():
            collection.cancelled = encode(Act(event.user_id, event.recorded_at, data.reason))
        case collections.CollectionChanged():
            collection.parallel_limit = data.parallel_limit
            collection.max_attempts = data.max_attempts
            collection.newest_first = data.order == "newest_first"
            if data.stop_after_failures is not msgspec.UNSET:
                collection.stop_after_failures = data.stop_after_failures
                _allow_more_failures(collection)
        case collections.MovedToFront():
            if data.segment_id is None:
                collection.front_at = event.recorded_at
            else:
                rows.change(SEGMENTS, data.segment_id).front_at = event.recorded_at
        case collections.CollectionRetried():
            collection.finished_at = None
            _allow_more_failures(collection)
        case collections.SegmentSplit():
            for planned in data.into:
                rows.add(SEGMENTS, segment_planned(collection.collection_id, planned, event.recorded_at))
            collection.segments_total += len(data.into)
            collection.backfill_status = backfill_status(collection)
            collection.finished_at = None
            _allow_more_failures(collection)
        case collections.CollectionFinished():
            collection.finished_at = event.recorded_at
            collection.paused = collection.held = None
    collection.stream_version = event.stream_version
    collection.updated_at = event.recorded_at


def _allow_more_failures(collection: CollectionRow) -> None:
    """A person wants it to go on: those that have failed so far count no more."""
    most = collection.stop_after_failures
    collection.stop_at_failures = None if most is None else collection.segments_failed + most


def segment_moved(event: RecordedEvent, data: Any, rows: Rows) -> None:
    segment = rows.change(SEGMENTS, event.entity_uuid)
    collection = rows.change(COLLECTIONS, segment.collection_id)
    before = segment.status
    now = event.recorded_at
    segment.stalled = None
    match data:
        case segments.Dispatched():
            # Sent again, it stands where it stood; only a new attempt begins from the start.
            if data.reason == "admitted":
                segment.status = "dispatched"
                segment.amc_execution_id = segment.submitted_at = segment.started_at = None
                segment.retry_at = segment.finished_at = None
                segment.dispatched_at = now
                segment.attempts = data.attempt
            collection.started_at = collection.started_at or now
        case segments.SubmissionStarted():
            pass
        case segments.Submitted():
            segment.status = "submitted"
            segment.amc_execution_id = data.execution_id
            segment.submitted_at = now
        case segments.Started():
            segment.status = "running"
            segment.started_at = now
        case segments.Executed():
            segment.status = "running"
            segment.started_at = segment.started_at or now
            collection.sql_taken = True
        case segments.Completed():
            segment.status = "completed"
            segment.row_count = data.rows
            segment.result_bytes = data.bytes
            segment.checksum = data.checksum
            segment.error = None
            segment.finished_at = now
            collection.row_count += data.rows
            if data.nulls is not None:
                segment.nulls = encode(data.nulls)
                segment.null_count = sum(data.nulls.values())
                collection.null_count += segment.null_count
        case segments.RetryScheduled():
            segment.status = "waiting"
            segment.error = data.error
            segment.retry_at = data.retry_at
        case segments.Released():
            _give_back(segment, data.attempt)
        case segments.Stalled():
            segment.stalled = encode(Stall(now, data.attempt, data.step, data.tries, data.in_flight))
            segment.error = data.error
            if data.step == "submit" and not data.in_flight:
                _give_back(segment, data.attempt)
        case segments.Resumed():
            segment.error = None
        case segments.Failed():
            segment.status = "failed"
            segment.error = data.error
            segment.finished_at = now
        case segments.Cancelled():
            segment.status = "cancelled"
            segment.retry_at = None
            segment.finished_at = now
        case segments.Split():
            segment.status, segment.skip_reason, segment.error = "skipped", "split", None
        case segments.Superseded():
            segment.superseded_by = data.by_segment_id
        case segments.Retried():
            segment.status = "pending"
            segment.error = segment.finished_at = None
    segment.stream_version = event.stream_version
    segment.updated_at = collection.updated_at = now
    if segment.status != before:
        _count(collection, before, -1)
        _count(collection, segment.status, 1)
        collection.backfill_status = backfill_status(collection)


def _count(collection: CollectionRow, status: str, change: int) -> None:
    if counter := COUNTERS.get(status):
        setattr(collection, counter, getattr(collection, counter) + change)


def _give_back(segment: SegmentRow, attempt: int) -> None:
    """As it was before this attempt."""
    segment.status = "pending"
    segment.attempts = attempt - 1
    segment.dispatched_at = None


TABLES = (COLLECTIONS, SEGMENTS)
HANDLERS = (
    {name: (want_moved_collection, collection_moved) for name, _ in collections.EVENTS}
    | {
        "collection.created": (want_collection, collection_created),
    }
    | {name: (want_segment, segment_moved) for name, _ in segments.EVENTS}
    | {"segment.superseded": (want_superseded, segment_moved)}
)
