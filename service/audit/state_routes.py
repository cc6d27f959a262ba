"""`/api/audit/state`: how a report, a collection, a schedule, a segment … stood at any moment of the log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Connection, Pool
from events.reader import read_head
from projections.history import read_moments
from service.audit.moments import StateAnswer, state_answer
from service.auth.caller import caller_of
from service.endpoints import Endpoint, Position, Query, read_query
from service.http import json_response
from service.problems import Refused

Moment = Annotated[datetime, Meta(tz=True)]


class ReadState(Query, frozen=True, kw_only=True):
    """The moment, by position or by time, which includes what was recorded at it; without either, now. `from_…` names
    an earlier one, since when changes are told."""

    at_position: Position | None = None
    at_time: Moment | None = None
    from_position: Position | None = None
    from_time: Moment | None = None
    all_teams: bool = False


def state_route(pool: Pool) -> Endpoint:
    """The route over the log behind `pool`."""

    async def state(request: Request) -> Response:
        query = read_query(request, ReadState)
        stream: str = request.path_params["stream"]
        if not stream.isprintable():  # which no stream's name is, and the database may refuse to look for
            raise Refused("not_found", f"there is no {stream!r}")
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            head = await read_head(connection)
            at = await _position(connection, head, "at", query.at_position, query.at_time)
            since = await _position(connection, head, "from", query.from_position, query.from_time)
            if at is None:
                at = head
            if since is not None and since > at:
                raise Refused("bad_request", f"from position {since} is after position {at}; give an earlier one")
            moments = await read_moments(connection, stream, [at] if since is None else [since, at])
        moment = moments[-1]
        if moment.team_id is None or not (query.all_teams or moment.team_id == caller_of(request).team_id):
            raise Refused("not_found", f"there is no {stream!r} at position {at}")
        return json_response(state_answer(stream, moment, None if since is None else moments[0]))

    return Endpoint(
        "GET",
        "/api/audit/state/{stream}",
        state,
        summary="See how a thing stood at any moment, and what has changed since another",
        query=ReadState,
        answer=StateAnswer,
        scope="audit:read",
        refusals=("log_rewound",),
    )


async def _position(
    connection: Connection, head: int, which: str, position: int | None, moment: datetime | None
) -> int | None:
    """The position that one of the two names: of a moment, the last one recorded then or earlier. Null where neither
    is given."""
    if position is not None and moment is not None:
        raise Refused("bad_request", f"{which}_position and {which}_time are both given; give one of them")
    if position is not None and position > head:
        raise Refused("log_rewound", f"the log ends at position {head}; {which}_position is beyond it")
    if moment is None:
        return position
    try:
        after = moment + timedelta(microseconds=1)
    except OverflowError:
        return head
    return await connection.fetchval("SELECT position_before($1)", after)  # type: ignore[no-any-return]
