"""`/api/data-collections`: list them, read one."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.configurations import LookbackConfig, SegmentationConfig, SegmentOrder
from events.types.collection import BackfillStatus, HoldCause, Lane, SkipReason
from service.amc.accounts import Hold
from service.amc.holds import held_account, hold_in
from service.auth.caller import Caller, caller_of
from service.data_collections.segmentation import SegmentType
from service.endpoints import Answer, Endpoint, Position, Query, Search, path_id, read_query
from service.http import etag, json_response, keeping_json, newest, page_of, read_cursor, wait_position
from service.problems import Refused

SegmentStatus = Literal[
    "pending", "dispatched", "submitted", "running", "waiting", "completed", "failed", "cancelled", "skipped"
]


class Act(Answer, frozen=True, kw_only=True):
    """What a person did to a collection, and still holds."""

    by: UUID | None
    at: datetime
    reason: str | None


class Held(Answer, frozen=True, kw_only=True):
    """Why a collection waits for a person to resume or cancel it: `sql_rejected`, where AMC refused the SQL or the
    parameters of its first segment, with AMC's own text; `too_many_failures`, as many as `stop_after_failures`."""

    cause: HoldCause
    segment_id: UUID | None
    at: datetime
    error: str


class Stall(Answer, frozen=True, kw_only=True):
    """Since when a segment rests: its workers failed or died `tries` times in a row at `step` of that attempt.
    `in_flight`: AMC may have an execution of it, and it keeps its slot."""

    at: datetime
    attempt: int
    step: Literal["submit", "poll", "fetch"]
    tries: int
    in_flight: bool


class CollectionAnswer(Answer, frozen=True, kw_only=True):
    """A collection as it stands. `window_start` and `window_end` are dates in `timezone`, both included; to
    `complete_through` there are results without a gap, of days that Amazon had all data of. `paused` and
    `cancelled` say who did so, `held` what a person must look at first, and `held_by` that its account must be
    connected again."""

    collection_id: UUID
    report_id: UUID | None
    user_id: UUID | None
    workflow_id: str
    instance_id: str
    name: str
    lane: Lane
    lookback_config: LookbackConfig
    segmentation_config: SegmentationConfig | None
    timezone: str
    as_of: date
    window_start: date
    window_end: date
    complete_through: date | None
    backfill_status: BackfillStatus
    segments_total: int
    segments_active: int
    segments_waiting: int
    segments_completed: int
    segments_failed: int
    segments_cancelled: int
    segments_skipped: int
    row_count: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    parallel_limit: int
    max_attempts: int
    stop_after_failures: int | None
    order: SegmentOrder
    paused: Act | None
    cancelled: Act | None
    held: Held | None
    version: int
    null_count: int
    held_by: Hold | None


class CollectionPage(Answer, frozen=True, kw_only=True):
    """Collections, newest first; `next_cursor` leads on to older ones, null on the last page."""

    items: list[CollectionAnswer]
    next_cursor: str | None


class SegmentAnswer(Answer, frozen=True, kw_only=True):
    """A segment of a collection: the days from `week_start` to `week_end`, both included. A skipped one is not run,
    and `skip_reason` says why; where an equal result is there, it is that of `reused_segment_id`. `provisional`:
    Amazon may restate the result's data yet; null where there is none. `supersedes` is the segment whose result it
    fetches again, `superseded_by` the one that has fetched this one's again. One that has `stalled` is not tried again
    until a person retries it. `nulls` are the empty fields of its result by column, what AMC has suppressed among them,
    and `null_count` is how many there are."""

    segment_id: UUID
    segment_number: int
    week_start: date
    week_end: date
    status: SegmentStatus
    attempts: int
    amc_execution_id: str | None
    skip_reason: SkipReason | None
    reused_segment_id: UUID | None
    supersedes: UUID | None
    superseded_by: UUID | None
    provisional: bool | None
    row_count: int | None
    result_bytes: int | None
    checksum: str | None
    error: str | None
    retry_at: datetime | None
    stalled: Stall | None
    dispatched_at: datetime | None
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    null_count: int | None
    nulls: dict[str, int] | None


class ListCollections(Query, frozen=True, kw_only=True):
    """Which collections to list: `search` is a part of the name, in large or small letters; `cursor` is a
    `next_cursor`."""

    lookback_type: Literal["relative", "custom"] | None = None
    segmentation: SegmentType | None = None
    status: BackfillStatus | None = None
    instance_id: str | None = None
    search: Search = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    min_position: Position = 0


class ReadOne(Query, frozen=True, kw_only=True):
    """A read that may wait for the read models to have applied `min_position`."""

    min_position: Position = 0


COLUMNS = ", ".join(
    {
        "order": "CASE WHEN newest_first THEN 'newest_first' ELSE 'oldest_first' END AS \"order\"",
        "version": "stream_version AS version",
        "complete_through": "complete_through(collection_id) AS complete_through",
    }.get(name, name)
    for name in CollectionAnswer.__struct_fields__
    if name != "held_by"
)
# Of unfinished collections alone: for the others nothing is waited for any more.
HELD = f"CASE WHEN finished_at IS NULL THEN {held_account('report_data_collections.instance_id')} END AS held_by"
# The same rule as `Existing.final`; a result that was used again was judged when it was.
PROVISIONAL = """
CASE WHEN status = 'completed' THEN (submitted_at AT TIME ZONE c.timezone)::date - week_end < i.final_after_days
     WHEN checksum IS NOT NULL THEN skip_reason <> 'final' END AS provisional"""
SEGMENT_COLUMNS = ", ".join(
    {"provisional": PROVISIONAL}.get(name, f"w.{name}") for name in SegmentAnswer.__struct_fields__
)
SEGMENTS = f"""
SELECT {SEGMENT_COLUMNS}
  FROM report_data_weeks w
  JOIN report_data_collections c USING (collection_id)
  JOIN amc_instances i ON i.instance_id = c.instance_id"""  # noqa: S608


def collection_routes(pool: Pool) -> list[Endpoint]:
    """The routes over the read models behind `pool`."""

    async def list_all(request: Request) -> Response:
        query = read_query(request, ListCollections)
        await wait_position(pool, query.min_position)
        statement, values = list_statement(query, caller_of(request))
        rows = await pool.fetch(statement, *values)
        return json_response(page_of(rows, query.limit, newest("created_at", "collection_id"), shown))

    async def read(request: Request) -> Response:
        query = read_query(request, ReadOne)
        row = await find_collection(pool, request, query.min_position)
        return json_response(shown(row), headers=etag(row["version"]))

    return [
        Endpoint(
            "GET",
            "/api/data-collections",
            list_all,
            summary="List the team's collections",
            query=ListCollections,
            answer=CollectionPage,
            refusals=("projection_behind",),
        ),
        Endpoint(
            "GET",
            "/api/data-collections/{collection_id}",
            read,
            summary="Read a collection",
            query=ReadOne,
            answer=CollectionAnswer,
            refusals=("not_found", "projection_behind"),
        ),
    ]


async def find_collection(pool: Pool, request: Request, min_position: int) -> asyncpg.Record:
    """The collection that the path names, if it is the caller's team's; waits for the position first."""
    await wait_position(pool, min_position)
    collection_id = path_id(request, "collection_id", "collection")
    row = await pool.fetchrow(
        f"SELECT {COLUMNS}, {HELD} FROM report_data_collections WHERE collection_id = $1 AND team_id = $2",  # noqa: S608
        collection_id,
        caller_of(request).team_id,
    )
    if row is None:
        raise Refused(
            "not_found",
            f"there is no collection {collection_id}; one submitted just now shows with"
            " ?min_position= and the position that the submission answered",
        )
    return row


def shown(row: asyncpg.Record) -> dict[str, Any]:
    """The row as callers see it; its JSON columns stay JSON."""
    return keeping_json(row, "lookback_config", "segmentation_config", "paused", "cancelled", "held") | {
        "held_by": hold_in(row["held_by"])
    }


def list_statement(query: ListCollections, caller: Caller) -> tuple[str, list[Any]]:
    """The page of the query, and one row more where there is another page.

    The conditions on JSONB are containment tests, which the GIN indexes answer.
    """
    conditions, values = ["team_id = $1"], [caller.team_id]

    def add(condition: str, *more: Any) -> None:
        numbers = range(len(values) + 1, len(values) + 1 + len(more))
        values.extend(more)
        conditions.append(condition.format(*(f"${number}" for number in numbers)))

    if query.lookback_type:
        add("lookback_config @> {}::jsonb", msgspec.json.encode({"type": query.lookback_type}).decode())
    if query.segmentation:
        add("segmentation_config @> {}::jsonb", msgspec.json.encode({"type": query.segmentation}).decode())
    if query.status:
        add("backfill_status = {}", query.status)
    if query.instance_id:
        add("instance_id = {}", query.instance_id)
    if query.search:
        add("strpos(lower(name), lower({})) > 0", query.search)
    if query.cursor:
        add("(created_at, collection_id) < ({}, {})", *read_cursor(query.cursor))
    return (
        f"SELECT {COLUMNS}, {HELD} FROM report_data_collections WHERE {' AND '.join(conditions)}"  # noqa: S608
        f" ORDER BY created_at DESC, collection_id DESC LIMIT {query.limit + 1}",
        values,
    )


def segments_statement(collection_id: UUID, since: date | None, until: date | None) -> tuple[str, list[Any]]:
    """The collection's segments, oldest first; of two days only those that have days between them."""
    values: list[Any] = [collection_id]
    conditions = "w.collection_id = $1"
    if since is not None:
        values.append(since)
        # Segments do not overlap: none before the last that begins by that day can reach it.
        conditions += (
            " AND w.week_end >= $2 AND w.week_start >= coalesce((SELECT max(s.week_start) FROM report_data_weeks s"
            " WHERE s.collection_id = $1 AND s.week_start <= $2), $2)"
        )
    if until is not None:
        values.append(until)
        conditions += f" AND w.week_start <= ${len(values)}"
    return f"{SEGMENTS} WHERE {conditions} ORDER BY week_start, segment_number", values
