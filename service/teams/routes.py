"""`/api/team`: how much of the caller's team may be in flight at once."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.append import Write
from events.envelope import NewEvent, stream_of
from events.types.team import TeamLimitsSet
from service.auth.caller import Caller, caller_of
from service.commands import Change, Commands, Decision
from service.endpoints import Answer, Endpoint, Position, Query, Recorded, read_query
from service.http import json_response, wait_position
from service.teams.limits import Teams

Most = Annotated[int, Meta(ge=0, le=10_000)]


class ChangeTeam(Change, frozen=True, kw_only=True):
    """Segments of the team, and of each of its people, that may be in flight at once; what is left out stays, 0 takes
    a limit away."""

    max_concurrent: Most | None = None
    max_concurrent_per_user: Most | None = None


class TeamLimits(Recorded, frozen=True, kw_only=True):
    """The limits as they stand now; null: any number."""

    team_id: str
    max_concurrent: int | None
    max_concurrent_per_user: int | None
    version: int


class TeamAnswer(Answer, frozen=True, kw_only=True):
    """The caller's team: how many of its segments are in flight, and how many may be; null: any number."""

    team_id: str
    in_flight: int
    max_concurrent: int | None
    max_concurrent_per_user: int | None


class ReadTeam(Query, frozen=True, kw_only=True):
    """A read that may wait for the read models to have applied `min_position`."""

    min_position: Position = 0


def team_routes(pool: Pool, commands: Commands, teams: Teams) -> list[Endpoint]:
    """The routes over the team's stream and the read models behind `pool`."""

    async def read(request: Request) -> Response:
        await wait_position(pool, read_query(request, ReadTeam).min_position)
        row = await pool.fetchrow(
            "SELECT wanted.team_id, m.max_concurrent, m.max_concurrent_per_user,"
            "       (SELECT count(*) FROM segment_leases l WHERE l.team_id = $1 AND l.holds_slot) AS in_flight"
            "  FROM (SELECT $1::text AS team_id) wanted LEFT JOIN team_limits m USING (team_id)",
            caller_of(request).team_id,
        )
        assert row is not None
        return json_response(TeamAnswer(**dict(row)))

    async def change(request: Request) -> Response:
        async def decide(body: ChangeTeam, caller: Caller) -> Decision:
            team = await teams.load(caller.team_id)
            limits: dict[str, Any] = {
                name: getattr(team, name) if given is None else given or None
                for name, given in msgspec.structs.asdict(body).items()
            }
            event = NewEvent(data=TeamLimitsSet(**limits), team_id=caller.team_id, user_id=caller.user_id)
            write = Write(stream_of("team", caller.team_id), team.version or "none", (event,))
            return Decision((write,), TeamLimits(team_id=caller.team_id, version=team.version + 1, **limits))

        return await commands.run(request, ChangeTeam, decide)

    return [
        Endpoint(
            "GET",
            "/api/team",
            read,
            summary="Read how much of the team may be in flight at once",
            query=ReadTeam,
            answer=TeamAnswer,
            refusals=("projection_behind",),
        ),
        Endpoint(
            "PATCH",
            "/api/team",
            change,
            summary="Change how much of the team may be in flight at once",
            body=ChangeTeam,
            answer=TeamLimits,
            scope="admin",
            refusals=("version_conflict",),
        ),
    ]
