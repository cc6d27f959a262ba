"""`/api/data-collections/{id}/results` and `/api/reports/{id}/results`: all completed segments as one table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from db.pool import Pool
from service.auth.caller import caller_of
from service.data_collections.routes import find_collection
from service.endpoints import Endpoint, Position, Query, path_id, read_query
from service.http import wait_position
from service.problems import Refused
from service.results.read import MEDIA_TYPES, Format, SegmentResult, write_table
from service.results.store import ResultStore

CHUNK = 256 * 1024
TABLE_HEADERS = {
    "Content-Disposition": "The name of the file.",
    "Report-Segments": "How many of the segments are in it: `completed=C, total=T`.",
}


class ReadResults(Query, frozen=True, kw_only=True):
    """The form of the table."""

    format: Format = "csv"
    min_position: Position = 0


def result_routes(pool: Pool, store: ResultStore) -> list[Endpoint]:
    """The routes over the read models behind `pool` and the files of `store`."""

    async def of_collection(request: Request) -> Response:
        query = read_query(request, ReadResults)
        collection = await find_collection(pool, request, query.min_position)
        return await collection_table(
            pool, store, collection["collection_id"], collection["segments_total"], query.format
        )

    async def of_report(request: Request) -> Response:
        query = read_query(request, ReadResults)
        await wait_position(pool, query.min_position)
        report_id, team_id = path_id(request, "report_id", "report"), caller_of(request).team_id
        known = await pool.fetchval(
            "SELECT true FROM reports WHERE report_id = $1 AND team_id = $2", report_id, team_id
        )
        if not known:
            raise Refused("not_found", f"there is no report {report_id}")
        # A version is counted per window: its first result is 1, and the newest stands for it.
        rows = await pool.fetch(
            """
            SELECT DISTINCT ON (week_start, week_end) week_start, week_end, checksum, version
              FROM (SELECT week_start, week_end, checksum,
                           row_number() OVER (PARTITION BY week_start, week_end ORDER BY w.finished_at)::int AS version
                      FROM report_data_weeks w JOIN report_data_collections USING (collection_id)
                     WHERE report_id = $1 AND team_id = $2 AND checksum IS NOT NULL) complete
             ORDER BY week_start, week_end, version DESC
            """,
            report_id,
            team_id,
        )
        windows = await pool.fetchval(
            "SELECT count(DISTINCT (week_start, week_end)) FROM report_data_weeks"
            "  JOIN report_data_collections USING (collection_id) WHERE report_id = $1 AND team_id = $2",
            report_id,
            team_id,
        )
        return await _download(store, rows, query.format, report_id, windows)

    return [
        Endpoint(
            "GET",
            "/api/data-collections/{collection_id}/results",
            of_collection,
            summary="Download the results of all completed segments as one table",
            query=ReadResults,
            answer=tuple(MEDIA_TYPES.values()),
            answer_headers=TABLE_HEADERS,
            refusals=("not_found", "projection_behind", "result_missing"),
        ),
        Endpoint(
            "GET",
            "/api/reports/{report_id}/results",
            of_report,
            summary="Download a report's results over its backfill and its runs as one table",
            query=ReadResults,
            answer=tuple(MEDIA_TYPES.values()),
            answer_headers=TABLE_HEADERS,
            refusals=("not_found", "projection_behind", "result_missing"),
        ),
    ]


async def collection_table(
    pool: Pool,
    store: ResultStore,
    collection_id: UUID,
    segments_total: int,
    format: Format,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A collection's results as one table, as a file to download; `headers` are added."""
    rows = await pool.fetch(
        "SELECT week_start, week_end, checksum, 1 AS version FROM report_data_weeks"
        " WHERE collection_id = $1 AND checksum IS NOT NULL ORDER BY week_start, segment_number",
        collection_id,
    )
    return await _download(store, rows, format, collection_id, segments_total, headers)


async def _download(
    store: ResultStore,
    rows: Sequence[Any],
    format: Format,
    name: UUID,
    total: int,
    headers: Mapping[str, str] | None = None,
) -> Response:
    found = [
        SegmentResult(row["week_start"], row["week_end"], row["version"], store.path(row["checksum"])) for row in rows
    ]
    table = await _table(store, found, format)
    return StreamingResponse(
        _pieces(table),
        media_type=MEDIA_TYPES[format],
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{format}"',
            "Content-Length": str(table.seek(0, 2)),
            "Report-Segments": f"completed={len(found)}, total={total}",
            **(headers or {}),
        },
    )


async def _table(store: ResultStore, found: Sequence[SegmentResult], format: Format) -> BinaryIO:
    """The finished table, as an open file that has no name any more: it goes when it is closed.

    Made before the answer begins, as an answer that has begun cannot turn into an error.
    """
    if missing := await asyncio.to_thread(_missing, found):
        raise Refused(
            "result_missing",
            f"the files of {len(missing)} completed segments are not below this process's REPORT_BUILDER_DATA_DIR,"
            f" the first one {missing[0].file.name} of {missing[0].start} to {missing[0].end}; put them back, or"
            " give all processes the same folder",
        )
    with store.scratch_folder() as folder:
        target = Path(folder) / "table"
        await write_table(found, format, target)
        return target.open("rb")


def _missing(found: Sequence[SegmentResult]) -> list[SegmentResult]:
    return [result for result in found if not result.file.is_file()]


async def _pieces(table: BinaryIO) -> AsyncIterator[bytes]:
    with table:
        table.seek(0)
        while piece := await asyncio.to_thread(table.read, CHUNK):
            yield piece
