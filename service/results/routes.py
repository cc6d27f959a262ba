"""`/api/data-collections/{id}/results`: all completed segments as one table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from db.pool import Pool
from service.data_collections.routes import find_collection
from service.endpoints import Endpoint, Position, Query, read_query
from service.problems import Refused
from service.results.read import MEDIA_TYPES, Format, SegmentResult, write_table
from service.results.store import ResultStore

CHUNK = 256 * 1024


class ReadResults(Query, frozen=True, kw_only=True):
    """The form of the table."""

    format: Format = "csv"
    min_position: Position = 0


def result_routes(pool: Pool, store: ResultStore) -> list[Endpoint]:
    """The routes over the read models behind `pool` and the files of `store`."""

    async def results(request: Request) -> Response:
        query = read_query(request, ReadResults)
        collection = await find_collection(pool, request, query.min_position)
        rows = await pool.fetch(
            "SELECT week_start, week_end, checksum FROM report_data_weeks"
            " WHERE collection_id = $1 AND status = 'completed' ORDER BY week_start",
            collection["collection_id"],
        )
        found = [SegmentResult(r["week_start"], r["week_end"], 1, store.path(r["checksum"])) for r in rows]
        table = await _table(store, found, query.format)
        return StreamingResponse(
            _pieces(table),
            media_type=MEDIA_TYPES[query.format],
            headers={
                "Content-Disposition": f'attachment; filename="{collection["collection_id"]}.{query.format}"',
                "Content-Length": str(table.seek(0, 2)),
                "Report-Segments": f"completed={len(found)}, total={collection['segments_total']}",
            },
        )

    return [
        Endpoint(
            "GET",
            "/api/data-collections/{collection_id}/results",
            results,
            summary="Download the results of all completed segments as one table",
            query=ReadResults,
            answer=tuple(MEDIA_TYPES.values()),
            answer_headers={
                "Content-Disposition": "The name of the file.",
                "Report-Segments": "How many of the segments are in it: `completed=C, total=T`.",
            },
            refusals=("not_found", "projection_behind", "result_missing"),
        )
    ]


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
