"""`/api/data-collections/{id}/results` and `/api/reports/{id}/results`: all completed segments as one table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Literal
from uuid import UUID

import duckdb
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from db.pool import Pool
from service.data_collections.routes import find_collection
from service.endpoints import Endpoint, Position, Query, read_query
from service.problems import Refused
from service.results.drift import drift_header
from service.results.read import MEDIA_TYPES, Format, SegmentResult, write_table
from service.results.schema import Unified
from service.results.store import ResultDamaged, ResultMissing, ResultStore
from service.results.versions import VERSIONS, find_report
from service.results.xlsx import TooLarge

log = structlog.get_logger()

CHUNK = 256 * 1024
TABLE_HEADERS = {
    "Content-Disposition": "The name of the file.",
    "Report-Segments": "How many of the segments are in it: `completed=C, total=T`.",
    "Report-Drift": "The columns that are not the same in all of these segments.",
    "Complete-Through": "The last day to which there are results without a gap, and Amazon's data was complete.",
}
REFUSALS = (
    "not_found", "projection_behind", "table_too_large", "result_missing", "result_damaged", "store_unavailable",
)  # fmt: skip
PAUSE = 5  # seconds


class ReadResults(Query, frozen=True, kw_only=True):
    """The form of the table."""

    format: Format = "csv"
    min_position: Position = 0


class ReadReportResults(ReadResults, frozen=True, kw_only=True):
    """The form of the table, and whether each window is in it once, with its newest version, or with all of them."""

    versions: Literal["newest", "all"] = "newest"


def result_routes(pool: Pool, store: ResultStore) -> list[Endpoint]:
    """The routes over the read models behind `pool` and the files of `store`."""

    async def of_collection(request: Request) -> Response:
        query = read_query(request, ReadResults)
        collection = await find_collection(pool, request, query.min_position)
        return await collection_table(
            pool, store, collection["collection_id"], collection["segments_total"], query.format
        )

    async def of_report(request: Request) -> Response:
        query = read_query(request, ReadReportResults)
        report_id = await find_report(pool, request, query.min_position)
        rows = await pool.fetch(
            f"{VERSIONS} SELECT * FROM versions WHERE newest OR $2 ORDER BY week_start, week_end, version",  # noqa: S608
            report_id,
            query.versions == "all",
        )
        windows = await pool.fetchval(
            "SELECT count(DISTINCT (week_start, week_end)) FROM report_data_weeks"
            "  JOIN report_data_collections USING (collection_id) WHERE report_id = $1",
            report_id,
        )
        through = await pool.fetchval("SELECT report_complete_through($1)", report_id)
        return await _download(store, rows, query.format, report_id, windows, through)

    return [
        Endpoint(
            "GET",
            "/api/data-collections/{collection_id}/results",
            of_collection,
            summary="Download the results of all completed segments as one table",
            query=ReadResults,
            answer=tuple(MEDIA_TYPES.values()),
            answer_headers=TABLE_HEADERS,
            refusals=REFUSALS,
        ),
        Endpoint(
            "GET",
            "/api/reports/{report_id}/results",
            of_report,
            summary="Download a report's results over its backfill and its runs as one table",
            query=ReadReportResults,
            answer=tuple(MEDIA_TYPES.values()),
            answer_headers=TABLE_HEADERS,
            refusals=REFUSALS,
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
    through = await pool.fetchval("SELECT complete_through($1)", collection_id)
    return await _download(store, rows, format, collection_id, segments_total, through, headers)


async def _download(
    store: ResultStore,
    rows: Sequence[Any],
    format: Format,
    name: UUID,
    total: int,
    complete_through: date | None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    table, drifted = await _table(store, rows, format)
    return StreamingResponse(
        _pieces(table),
        media_type=MEDIA_TYPES[format],
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{format}"',
            "Content-Length": str(table.seek(0, 2)),
            "Report-Segments": f"completed={len(rows)}, total={total}",
            **({"Report-Drift": drift_header(drifted)} if drifted else {}),
            **({"Complete-Through": complete_through.isoformat()} if complete_through else {}),
            **(headers or {}),
        },
    )


async def _table(store: ResultStore, rows: Sequence[Any], format: Format) -> tuple[BinaryIO, list[Unified]]:
    """The finished table, as an open file that has no name any more: it goes when it is closed; and the columns that
    are not the same in all segments.

    Made before the answer begins, as an answer that has begun cannot turn into an error.
    """
    try:
        with store.scratch_folder() as folder:
            files = await _fetch(store, rows, Path(folder))
            found = [
                SegmentResult(row["week_start"], row["week_end"], row["version"], files[row["checksum"]])
                for row in rows
            ]
            target = Path(folder) / "table"
            drifted = await write_table(found, format, target)
            return target.open("rb"), drifted
    except TooLarge as error:
        raise Refused("table_too_large", str(error)) from None
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        log.error("table_not_made", error=str(error))
        raise Refused("store_unavailable", "this machine has no room for the table now", retry_after=PAUSE) from None


async def _fetch(store: ResultStore, rows: Sequence[Any], folder: Path) -> dict[str, Path]:
    """The files of the segments, by checksum. Refuses where not all of them are there, or as they were."""
    first = {row["checksum"]: row for row in reversed(rows)}
    files = {checksum: folder / f"{checksum}.parquet" for checksum in first}
    async with asyncio.TaskGroup() as group:
        asked = {checksum: group.create_task(_problem(store, checksum, file)) for checksum, file in files.items()}
    for code, where in (task.result() for task in asked.values()):
        if code == "store_unavailable":
            raise Refused(code, where, retry_after=PAUSE)
    for code, words in PROBLEMS.items():
        wrong = [(first[checksum], task.result()) for checksum, task in asked.items() if task.result()[0] == code]
        if wrong:
            row, (_, where) = wrong[0]
            raise Refused(
                code,
                f"the files of {len(wrong)} results {words}; the first one, of the segment {row['week_start']} to"
                f" {row['week_end']}, is {where}",
            )
    return files


async def _problem(store: ResultStore, checksum: str, file: Path) -> tuple[str, str]:
    """Fetches a file; answers the code of what is wrong with it, and where; two empty texts where nothing is."""
    try:
        await store.fetch(checksum, file)
    except ResultMissing as error:
        return "result_missing", str(error)
    except ResultDamaged as error:
        return "result_damaged", str(error)
    except OSError as error:
        log.error("result_not_fetched", checksum=checksum, error=str(error))
        return "store_unavailable", "a file of the results could not be fetched; the log says why"
    return "", ""


PROBLEMS = {
    "result_missing": "are not in this process's store; put them back, or give all processes the same one",
    "result_damaged": "are not what was put there; put them back, or run their segments again",
}


async def _pieces(table: BinaryIO) -> AsyncIterator[bytes]:
    with table:
        table.seek(0)
        while piece := await asyncio.to_thread(table.read, CHUNK):
            yield piece
