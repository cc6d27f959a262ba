"""`/api/data-collections/{id}/results`: all completed segments as one table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from db.pool import Pool
from service.data_collections.routes import find_collection
from service.problems import Refused
from service.results.read import MEDIA_TYPES, Format, SegmentResult, write_table
from service.results.store import ResultStore

CHUNK = 256 * 1024


def result_routes(pool: Pool, store: ResultStore) -> list[Route]:
    """The routes over the read models behind `pool` and the files of `store`."""

    async def results(request: Request) -> Response:
        format = request.query_params.get("format", "csv")
        if format not in get_args(Format):
            raise Refused("not_acceptable", f"format must be one of {', '.join(get_args(Format))}")
        collection = await find_collection(pool, request)
        rows = await pool.fetch(
            "SELECT week_start, week_end, checksum FROM report_data_weeks"
            " WHERE collection_id = $1 AND status = 'completed' ORDER BY week_start",
            collection["collection_id"],
        )
        found = [SegmentResult(r["week_start"], r["week_end"], 1, store.path(r["checksum"])) for r in rows]
        return StreamingResponse(
            _table(store, found, format),  # type: ignore[arg-type]
            media_type=MEDIA_TYPES[format],  # type: ignore[index]
            headers={
                "Content-Disposition": f'attachment; filename="{collection["collection_id"]}.{format}"',
                "Report-Segments": f"completed={len(found)}, total={collection['segments_total']}",
            },
        )

    return [Route("/api/data-collections/{collection_id}/results", results, methods=["GET"])]


async def _table(store: ResultStore, found: list[SegmentResult], format: Format) -> AsyncIterator[bytes]:
    """The table in pieces: it is made in a file first, so its size does not matter to memory."""
    with store.scratch_folder() as folder:
        target = Path(folder) / "table"
        await write_table(found, format, target)
        async with await anyio.open_file(target, "rb") as content:
            while piece := await content.read(CHUNK):
                yield piece
