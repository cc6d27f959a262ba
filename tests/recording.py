"""Events for tests: valid ones of each kind that read models are made from, and requests that append them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec

from db.pool import Connection, Pool
from events.append import (
    Appended,
    AppendRequest,
    Conflict,
    EncodedRequest,
    Expected,
    HalfKnown,
    IdempotencyKey,
    KeyReused,
    Write,
    append_batch,
)
from events.configurations import RelativeLookback, SegmentationConfig
from events.envelope import NewEvent, new_id, stream_of
from events.types import segment
from events.types.collection import CollectionCreated, PlannedSegment
from events.types.instance import InstanceAdded
from events.types.log import ProjectionRebuilt
from events.types.workflow import WorkflowCreated

TEAM = "team-1"
FIRST_DAY = date(2025, 1, 6)

Verdict = Appended | Conflict | HalfKnown | KeyReused


def note(text: str = "a projection", **surroundings: Any) -> NewEvent:
    """An event that no read model is made from."""
    made: dict[str, Any] = {"data": ProjectionRebuilt(text, 0, 0, 0, 0), "team_id": TEAM}
    return NewEvent(**(made | surroundings))


def request(
    stream: str, *events: NewEvent, expected: Expected = "any", key: IdempotencyKey | None = None
) -> AppendRequest:
    """One write; an event is made up where none is given."""
    return AppendRequest((Write(stream, expected, events or (note(),)),), key)


async def append(connection: Connection, *requests: AppendRequest) -> list[Verdict]:
    """One call, one commit, one verdict for each; without the writer."""
    return await append_batch(connection, [EncodedRequest(each) for each in requests])


async def record(connection: Connection, stream: str, *data: msgspec.Struct, workflow_id: str | None = None) -> int:
    """Appends the events to the stream, whatever its version; answers the last position."""
    events = tuple(NewEvent(data=each, team_id=TEAM, workflow_id=workflow_id) for each in data)
    (verdict,) = await append(connection, request(stream, *events))
    assert isinstance(verdict, Appended), verdict
    return verdict.last_position


def workflow(name: str = "Reach by campaign") -> WorkflowCreated:
    return WorkflowCreated(name, "SELECT campaign, SUM(impressions) AS impressions FROM display GROUP BY 1")


def instance(name: str = "Sandbox") -> InstanceAdded:
    return InstanceAdded(name, "ENTITY1", "ATVPDKIKX0DER", "America/New_York")


def collection(segments: int, *, name: str = "History") -> CollectionCreated:
    """A window of so many weeks, one segment each, oldest first."""
    planned = tuple(
        PlannedSegment(
            new_id(),
            number,
            FIRST_DAY + timedelta(days=7 * (number - 1)),
            FIRST_DAY + timedelta(days=7 * number - 1),
        )
        for number in range(1, segments + 1)
    )
    return CollectionCreated(
        name=name,
        report_id=None,
        instance_id="amc1",
        lane="bulk",
        sql_query="SELECT 1",
        declared_parameters=(),
        parameters={},
        timezone="America/New_York",
        as_of=FIRST_DAY + timedelta(days=7 * segments),
        window_start=FIRST_DAY,
        window_end=FIRST_DAY + timedelta(days=max(7 * segments - 1, 0)),
        lookback_config=RelativeLookback(value=max(segments, 1), unit="weeks"),
        segmentation_config=SegmentationConfig(type="weekly"),
        segments=planned,
    )


async def record_collection(connection: Connection, segments: int) -> tuple[UUID, list[UUID]]:
    """Records a collection; answers its id and those of its segments."""
    collection_id, data = new_id(), collection(segments)
    await record(connection, stream_of("collection", collection_id), data, workflow_id="w1")
    return collection_id, [planned.segment_id for planned in data.segments]


Move = Literal[
    "admit", "resend", "intend", "submit", "start", "execute", "complete", "retry", "release", "fail", "stall",
    "give_back", "resume",
]  # fmt: skip

# What may follow a segment's state in its stream; a person may retry a failed one.
MOVES: dict[str, tuple[Move, ...]] = {
    "pending": ("admit",),
    "dispatched": ("resend", "intend", "submit", "retry", "release", "fail", "stall", "give_back"),
    "submitted": ("resend", "start", "execute", "retry", "fail", "stall", "resume"),
    "running": ("resend", "execute", "complete", "retry", "fail", "stall", "resume"),
    "waiting": ("admit", "fail"),
    "failed": ("admit",),
    "completed": (),
}
STATE_AFTER: dict[Move, str] = {
    "admit": "dispatched",
    "submit": "submitted",
    "start": "running",
    "execute": "running",
    "complete": "completed",
    "retry": "waiting",
    "release": "pending",
    "give_back": "pending",
    "fail": "failed",
}
RETRY_AT = datetime(2025, 3, 1, tzinfo=UTC)


def segment_event(move: Move, collection_id: UUID, *, attempt: int = 1, rows: int = 7) -> msgspec.Struct:
    """The event of a segment's stream that this move records."""
    made: dict[Move, Callable[[], msgspec.Struct]] = {
        "admit": lambda: segment.Dispatched(collection_id, attempt, "submit", "admitted"),
        "resend": lambda: segment.Dispatched(collection_id, attempt, "poll", "lease_expired"),
        "intend": lambda: segment.SubmissionStarted(
            collection_id, attempt, "wf", "2025-01-06T00:00:00", "2025-01-13T00:00:00", "America/New_York", {}
        ),
        "submit": lambda: segment.Submitted(collection_id, "execution-1", False),
        "start": lambda: segment.Started(collection_id, "execution-1"),
        "execute": lambda: segment.Executed(collection_id, "execution-1", ()),
        "complete": lambda: segment.Completed(collection_id, "execution-1", rows, rows * 10, "c0ffee"),
        "retry": lambda: segment.RetryScheduled(collection_id, attempt, "transient", "503", RETRY_AT),
        "release": lambda: segment.Released(collection_id, attempt, "account_held"),
        "stall": lambda: segment.Stalled(collection_id, attempt, "poll", 10, True, "it died"),
        "give_back": lambda: segment.Stalled(collection_id, attempt, "submit", 10, False, "it died"),
        "resume": lambda: segment.Resumed(collection_id, attempt, "poll"),
        "fail": lambda: segment.Failed(collection_id, attempt, "permanent", "no such column"),
    }
    return made[move]()


async def record_moves(connection: Connection, collection_id: UUID, segment_id: UUID, *moves: Move) -> int:
    """Appends these moves to the segment's stream; answers the last position."""
    data = [segment_event(move, collection_id) for move in moves]
    return await record(connection, stream_of("segment", segment_id), *data)


TABLES = (
    "workflows",
    "amc_account_states",
    "amc_instances",
    "instance_grants",
    "report_data_collections",
    "report_data_weeks",
    "workflow_schedules",
    "schedule_runs",
    "reports",
    "report_steps",
)


async def table_rows(connection: Connection | Pool) -> dict[str, list[str]]:
    """Each read model's rows as text, sorted: equal where, and only where, the tables are equal row by row."""
    return {
        table: [row[0] for row in await connection.fetch(f"SELECT t::text FROM public.{table} t ORDER BY 1")]
        for table in TABLES
    }


def last_position(verdicts: Sequence[Verdict]) -> int:
    """The last position of requests that must all have been appended."""
    positions = []
    for verdict in verdicts:
        assert isinstance(verdict, Appended), verdict
        positions.append(verdict.last_position)
    return max(positions)


async def blocked_backend(connection: Connection) -> int:
    """Waits until another backend waits for a lock that this connection holds; answers which."""
    # Not pg_stat_activity: in a transaction it stays as it was at the first look.
    blocked = "SELECT pid FROM pg_locks WHERE NOT granted AND $1 = ANY (pg_blocking_pids(pid))"
    holder = await connection.fetchval("SELECT pg_backend_pid()")
    async with asyncio.timeout(10):
        while (pid := await connection.fetchval(blocked, holder)) is None:
            await asyncio.sleep(0.01)
    return int(pid)
