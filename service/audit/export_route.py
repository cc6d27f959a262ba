"""`GET /api/audit/export`: the log as a file that proves itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from db.pool import Pool
from events.reader import read_head
from service.audit.export import NoTreeHead, choose_part, export
from service.endpoints import LAST_POSITION, Endpoint, Query, read_query
from service.once import Once
from service.problems import Refused

ZIP = "application/zip"

EventPosition = Annotated[int, Meta(ge=1, le=LAST_POSITION)]


class ReadExport(Query, frozen=True, kw_only=True):
    """The positions from `from` to `to`, both included; without them all that the newest tree head covers. With `team`
    the bodies of that team's events alone: of the others there are the leaves, which name what happened to what, and
    when, and of the contents only the hash."""

    first: EventPosition | None = msgspec.field(default=None, name="from")
    last: EventPosition | None = msgspec.field(default=None, name="to")
    team: Annotated[str, Meta(min_length=1, max_length=300)] | None = None


def export_route(pool: Pool, schemas: Once[Mapping[tuple[str, str], bytes]]) -> Endpoint:
    """The route over the log and its tree behind `pool`."""

    async def exported(request: Request) -> Response:
        query = read_query(request, ReadExport)
        if query.first and query.last and query.first > query.last:
            raise Refused("bad_request", f"from {query.first} is after to {query.last}; give an earlier from")
        asked = max(query.first or 0, query.last or 0)
        if asked > (end := await read_head(pool)):
            raise Refused("not_found", f"the log ends at position {end}, before {asked}")
        try:
            part = await choose_part(pool, query.first, query.last, query.team)
        except NoTreeHead as error:
            raise Refused("tree_behind", f"{error}; ask again in a few seconds", retry_after=2) from None
        headers = {"Content-Disposition": f'attachment; filename="{part.file_name}"'}
        if request.method == "HEAD":
            return Response(media_type=ZIP, headers=headers)
        return StreamingResponse(export(pool, part, await schemas()), media_type=ZIP, headers=headers)

    return Endpoint(
        "GET",
        "/api/audit/export",
        exported,
        summary="Export the log with its proofs, for an auditor to verify offline",
        query=ReadExport,
        answer=(ZIP,),
        scope="audit:read",
        refusals=("not_found", "tree_behind"),
        answer_headers={"Content-Disposition": "The name of the file."},
    )
