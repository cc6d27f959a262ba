"""Read models of one thing as they were at any position: folded from its events alone, by the projection's own code.

What the tables hold now plays no part, so the answer is that of a database which has applied the log up to there and
no further. What a thing's rows depend on besides its own stream: a collection's on its segments', a segment's on its
collection's, a schedule's on those of the backfill that it was submitted with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from db.pool import Connection
from events.envelope import RecordedEvent, stream_of
from events.reader import read_stream, read_streams
from events.types.collection import CollectionCreated, SegmentSplit
from events.types.schedule import ScheduleCreated
from projections.accounts import ACCOUNTS
from projections.backfills import COLLECTIONS, SEGMENTS
from projections.instances import GRANTS, INSTANCES
from projections.reports import REPORTS
from projections.rows import Rows, Table
from projections.runner import TABLES, fold
from projections.schedules import RUNS, SCHEDULES
from projections.steps import REPORT_STEPS
from projections.teams import LIMITS
from projections.workflows import WORKFLOWS

BATCH = 500

SHOWN: dict[str, tuple[Table[Any], ...]] = {
    "report": (REPORTS, REPORT_STEPS),
    "collection": (COLLECTIONS, SEGMENTS),
    "segment": (SEGMENTS,),
    "schedule": (SCHEDULES, RUNS),
    "team": (LIMITS,),
    "instance": (INSTANCES, GRANTS),
    "workflow": (WORKFLOWS,),
    "account": (ACCOUNTS,),
}
"""The read models that say how a thing of a category stands. Of the others there is none."""


class Moment(msgspec.Struct, frozen=True):
    """How a stream's thing stood at a position. `rows` by read model; `latest`: of each type that its stream has the
    newest event, by position. `team_id` is its team's; null, and all else empty, where it was not there yet."""

    position: int
    team_id: str | None
    rows: dict[str, list[msgspec.Struct]]
    latest: list[RecordedEvent]


async def read_moments(connection: Connection, stream: str, positions: Sequence[int]) -> list[Moment]:
    """How it stood at each of the positions, which must be in order. Raises CannotApply."""
    streams = await _streams(connection, stream, positions[-1])
    folded = _Folded(stream)
    moments: list[Moment] = []
    async for batch in _in_batches(read_streams(connection, streams, positions[-1])):
        while batch and len(moments) < len(positions):
            position = positions[len(moments)]
            within = [event for event in batch if event.position <= position]
            folded.apply(within)
            batch = batch[len(within) :]
            if batch:
                moments.append(folded.moment(position))
    return [*moments, *(folded.moment(position) for position in positions[len(moments) :])]


class _Folded:
    """The rows that a stream's events, and those of what belongs to it, have made so far."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        category, _, self._id = stream.partition("-")
        self._category = category
        self._rows = Rows(TABLES)
        self._latest: dict[str, RecordedEvent] = {}
        self._team: str | None = None

    def apply(self, events: list[RecordedEvent]) -> None:
        fold(events, self._rows)
        for event in events:
            # A segment that never had a slot has no event of its own: its collection's first one speaks for it.
            self._team = self._team or event.team_id
            if event.stream == self._stream:
                self._latest[event.event_type] = event

    def moment(self, position: int) -> Moment:
        rows = {table.name: self._copies(table) for table in SHOWN.get(self._category, ())}
        there = bool(self._latest or any(rows.values()))
        latest = sorted(self._latest.values(), key=lambda event: event.position)
        return Moment(position, self._team if there else None, rows, latest)

    def _copies(self, table: Table[Any]) -> list[msgspec.Struct]:
        """As they are now: the rows themselves change with the next events."""
        rows: Iterable[Any] = self._rows.of(table)
        if self._category == "segment":
            rows = (row for row in rows if str(row.segment_id) == self._id)
        return [msgspec.structs.replace(row) for row in rows]


async def _streams(connection: Connection, stream: str, position: int) -> list[str]:
    """The stream, and those that its rows depend on at the position."""
    category, _, id = stream.partition("-")
    match category:
        case "collection":
            return [stream, *await _segments_of(connection, stream, position)]
        case "segment" if (collection_id := await _collection_of(connection, stream, id)) is not None:
            return [stream_of("collection", collection_id), stream]
        case "schedule":
            begun = [event.data for event in await read_stream(connection, stream, until=1)]
            backfills = [
                stream_of("collection", data.backfill_collection_id)
                for data in begun
                if isinstance(data, ScheduleCreated) and data.backfill_collection_id is not None
            ]
            segments = [of for each in backfills for of in await _segments_of(connection, each, position)]
            return [stream, *backfills, *segments]
    return [stream]


async def _segments_of(connection: Connection, stream: str, position: int) -> list[str]:
    """The streams of the segments that a collection has at the position."""
    found: list[str] = []
    async for event in read_streams(connection, [stream], position):
        match event.data:
            case CollectionCreated(segments=planned) | SegmentSplit(into=planned):
                found += [stream_of("segment", each.segment_id) for each in planned]
    return found


async def _collection_of(connection: Connection, stream: str, id: str) -> UUID | None:
    """The collection of a segment. Its first event says so, where that is not about a result that it has from
    another one; else, and before there is any, it is looked up."""
    for event in await read_stream(connection, stream, until=1):
        if (collection_id := getattr(event.data, "collection_id", None)) is not None:
            return collection_id  # type: ignore[no-any-return]
    try:
        segment_id = UUID(id)
    except ValueError:
        return None
    return await connection.fetchval(  # type: ignore[no-any-return]
        "SELECT collection_id FROM report_data_weeks WHERE segment_id = $1", segment_id
    )


async def _in_batches(events: AsyncIterator[RecordedEvent]) -> AsyncIterator[list[RecordedEvent]]:
    batch: list[RecordedEvent] = []
    async for event in events:
        batch.append(event)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
