"""`GET /api/data-collections/{id}/segments/{segment_id}`: what has happened to a segment, attempt by attempt."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.envelope import RecordedEvent, stream_of
from events.reader import read_stream
from events.types import segment
from events.types.segment import ErrorKind
from service.data_collections.routes import SEGMENTS, SegmentAnswer, find_collection
from service.endpoints import Answer, Endpoint, Position, Query, path_id, read_query
from service.http import json_response
from service.problems import Refused

Outcome = Literal["at_work", "completed", "failed", "retried", "given_back", "cancelled"]


class Attempt(Answer, frozen=True, kw_only=True):
    """One attempt at AMC. `creates` were sent for it, and `resent` times its work was ordered again as nobody was heard
    of. `adopted`: the execution was found again after a lost answer. Where it is `retried`, the next attempt waits
    until `retry_at`; `given_back` counts as none, as the account had to be connected again first."""

    attempt: int
    outcome: Outcome
    dispatched_at: datetime
    creates: int = 0
    resent: int = 0
    execution_id: str | None = None
    adopted: bool = False
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    executed_at: datetime | None = None
    ended_at: datetime | None = None
    error_kind: ErrorKind | None = None
    error: str | None = None
    retry_at: datetime | None = None


class SegmentEvent(Answer, frozen=True, kw_only=True):
    """An event of the segment's stream, by its position in the log."""

    position: int
    event_type: str
    user_id: UUID | None
    recorded_at: datetime


class SegmentTimeline(Answer, frozen=True, kw_only=True):
    """A segment as it stands, its attempts and all its events, oldest first."""

    segment: SegmentAnswer
    attempts: list[Attempt]
    events: list[SegmentEvent]


class ReadSegment(Query, frozen=True, kw_only=True):
    """A read that may wait for the read models to have applied `min_position`."""

    min_position: Position = 0


def timeline_route(pool: Pool) -> Endpoint:
    """The route over the log and the read models behind `pool`."""

    async def read(request: Request) -> Response:
        collection = await find_collection(pool, request, read_query(request, ReadSegment).min_position)
        segment_id = path_id(request, "segment_id", "segment")
        row = await pool.fetchrow(
            f"{SEGMENTS} WHERE w.collection_id = $1 AND w.segment_id = $2", collection["collection_id"], segment_id
        )
        if row is None:
            raise Refused("not_found", f"the collection has no segment {segment_id}; GET its progress for their ids")
        events = await read_stream(pool, stream_of("segment", segment_id))
        return json_response(
            {
                "segment": dict(row),
                "attempts": attempts_of(events),
                "events": [
                    SegmentEvent(
                        position=event.position,
                        event_type=event.event_type,
                        user_id=event.user_id,
                        recorded_at=event.recorded_at,
                    )
                    for event in events
                ],
            }
        )

    return Endpoint(
        "GET",
        "/api/data-collections/{collection_id}/segments/{segment_id}",
        read,
        summary="See what has happened to a segment, attempt by attempt",
        query=ReadSegment,
        answer=SegmentTimeline,
        refusals=("not_found", "projection_behind"),
    )


def attempts_of(events: Iterable[RecordedEvent]) -> list[Attempt]:
    """The attempts that a segment's events tell of."""
    attempts: list[Attempt] = []
    for event in events:
        at = event.recorded_at
        changes: dict[str, Any] = {}
        match data := event.data:
            case segment.Dispatched(reason="admitted"):
                attempts.append(Attempt(attempt=data.attempt, outcome="at_work", dispatched_at=at))
            case segment.Dispatched():
                changes = {"resent": attempts[-1].resent + 1}
            case segment.SubmissionStarted():
                changes = {"creates": attempts[-1].creates + 1}
            case segment.Submitted():
                changes = {"execution_id": data.execution_id, "adopted": data.adopted, "submitted_at": at}
            case segment.Started():
                changes = {"started_at": at}
            case segment.Executed():
                changes = {"executed_at": at}
            case segment.Completed():
                changes = {"outcome": "completed", "ended_at": at}
            case segment.RetryScheduled():
                changes = {"outcome": "retried", "ended_at": at, "retry_at": data.retry_at}
                changes |= {"error_kind": data.kind, "error": data.error}
            case segment.Failed():
                changes = {"outcome": "failed", "ended_at": at, "error_kind": data.kind, "error": data.error}
            case segment.Released():
                changes = {"outcome": "given_back", "ended_at": at}
            case segment.Cancelled() if attempts and attempts[-1].outcome == "at_work":
                changes = {"outcome": "cancelled", "ended_at": at}
        if changes:
            attempts[-1] = msgspec.structs.replace(attempts[-1], **changes)
    return attempts
