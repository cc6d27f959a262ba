"""`GET /api/reports/{id}/versions`: every result that a report has of its windows, the newest and those before it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from service.auth.caller import caller_of
from service.endpoints import Answer, Endpoint, Position, Query, path_id, read_query
from service.http import json_response, name_cursor, page_of, read_name_cursor, wait_position
from service.problems import Refused

# A version is counted per window: its first result is 1, and the newest stands for it. A result that stands for another
# segment of the same report is no further one. $1 is the report.
VERSIONS = """
WITH versions AS (
  SELECT w.week_start, w.week_end, w.segment_id, w.collection_id, w.row_count, w.checksum, w.superseded_by,
         w.finished_at,
         row_number() OVER (PARTITION BY w.week_start, w.week_end ORDER BY w.finished_at, w.segment_id)::int AS version,
         row_number() OVER (PARTITION BY w.week_start, w.week_end ORDER BY w.finished_at DESC, w.segment_id DESC) = 1
           AS newest
    FROM report_data_weeks w JOIN report_data_collections c USING (collection_id)
   WHERE c.report_id = $1 AND w.checksum IS NOT NULL
     AND NOT EXISTS (SELECT FROM report_data_weeks r JOIN report_data_collections o USING (collection_id)
                      WHERE r.segment_id = w.reused_segment_id AND o.report_id = c.report_id)
)"""


class ResultVersion(Answer, frozen=True, kw_only=True):
    """A result of the days from `week_start` to `week_end`, both included; `version` counts those of the same days."""

    week_start: date
    week_end: date
    version: int
    newest: bool
    segment_id: UUID
    collection_id: UUID
    row_count: int
    checksum: str
    superseded_by: UUID | None
    finished_at: datetime


class ResultVersions(Answer, frozen=True, kw_only=True):
    """Results, the oldest days and versions first; `next_cursor` leads on, null on the last page."""

    items: list[ResultVersion]
    next_cursor: str | None


class ListVersions(Query, frozen=True, kw_only=True):
    """Which results to list; `cursor` is a `next_cursor`."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    min_position: Position = 0


def version_route(pool: Pool) -> Endpoint:
    """The route over the read models behind `pool`."""

    async def list_versions(request: Request) -> Response:
        query = read_query(request, ListVersions)
        report_id = await find_report(pool, request, query.min_position)
        rows = await pool.fetch(
            f"{VERSIONS} SELECT *, concat_ws(' ', week_start, week_end, lpad(version::text, 10, '0')) AS place"  # noqa: S608
            "  FROM versions WHERE concat_ws(' ', week_start, week_end, lpad(version::text, 10, '0')) > $2"
            " ORDER BY place LIMIT $3",
            report_id,
            read_name_cursor(query.cursor) if query.cursor else "",
            query.limit + 1,
        )
        names = ResultVersion.__struct_fields__
        return json_response(
            page_of(
                rows,
                query.limit,
                lambda row: name_cursor(row["place"]),
                lambda row: {name: row[name] for name in names},
            )
        )

    return Endpoint(
        "GET",
        "/api/reports/{report_id}/versions",
        list_versions,
        summary="List every result that a report has of its windows",
        query=ListVersions,
        answer=ResultVersions,
        refusals=("not_found", "projection_behind"),
    )


async def find_report(pool: Pool, request: Request, min_position: int) -> UUID:
    """The report that the path names, if it is the caller's team's; waits for the position first."""
    await wait_position(pool, min_position)
    report_id, team_id = path_id(request, "report_id", "report"), caller_of(request).team_id
    known = await pool.fetchval("SELECT true FROM reports WHERE report_id = $1 AND team_id = $2", report_id, team_id)
    if not known:
        raise Refused("not_found", f"there is no report {report_id}")
    return report_id
