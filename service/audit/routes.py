"""`/api/audit`: what happened, page by page, its summary, and how things stood."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.envelope import Category, Step
from service.audit.pages import read_page
from service.audit.queries import Filters, Order
from service.audit.state_routes import state_route
from service.audit.summary import Summary, read_summary
from service.auth.caller import caller_of
from service.endpoints import Answer, Endpoint, Position, Query, read_query
from service.http import json_response
from service.problems import Refused

Moment = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(min_length=1, max_length=300)]

DEFAULT_DAYS = 30

NAMES = "SELECT user_id, coalesce(name, email) AS name FROM users WHERE user_id = ANY($1)"


class ReadActivity(Query, frozen=True, kw_only=True):
    """Which events: each filter lets through what it names, `event_type` what begins with it. `from` is
    included, `to` is not. `cursor` is a `next_cursor`. `configuration` adds the events' bodies."""

    user_id: UUID | None = None
    workflow_id: Text | None = None
    entity: Category | None = None
    stream: Text | None = None
    event_type: Text | None = None
    step: Step | None = None
    since: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = msgspec.field(default=None, name="to")
    order: Order = "newest"
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Position | None = None
    configuration: bool = False
    all_teams: bool = False


class ReadSummary(Query, frozen=True, kw_only=True):
    """Days in UTC, both included; without them the last 30."""

    since: date | None = msgspec.field(default=None, name="from")
    until: date | None = msgspec.field(default=None, name="to")
    all_teams: bool = False


class ActivityItem(Answer, frozen=True, kw_only=True):
    """An event with its surroundings. `entity` and `entity_id` are the two parts of `stream`; `workflow_name` is
    the workflow's name now, and `user_name` what the person is called now: their name, else their email address; null
    where neither is known, or the person was erased. `configuration`, the event's body as it was recorded, in the
    version `schema_version` of its type, is there where it was asked for."""

    position: int
    id: UUID
    recorded_at: datetime
    event_type: str
    step_completed: Step | None
    stream: str
    stream_version: int
    entity: Category
    entity_id: str
    team_id: str
    user_id: UUID | None
    user_name: str | None
    workflow_id: str | None
    workflow_name: str | None
    correlation_id: str | None
    schema_version: int
    configuration: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class ActivityPage(Answer, frozen=True, kw_only=True):
    """A page of activity. `next_cursor` leads on; null on the last page. A page looks at a bounded part of the
    log, so it may have fewer items than `limit`, or none, and lead on all the same."""

    items: list[ActivityItem]
    next_cursor: int | None


class SummaryAnswer(Summary, frozen=True, kw_only=True):
    """The figures and the days that they are of."""

    since: date = msgspec.field(name="from")
    until: date = msgspec.field(name="to")


async def read_names(pool: Pool, users: Iterable[UUID]) -> dict[UUID, str | None]:
    """What these persons are called; without those who were erased."""
    return {row["user_id"]: row["name"] for row in await pool.fetch(NAMES, list(users))}


def audit_routes(pool: Pool) -> list[Endpoint]:
    """The routes over the log and the counts behind `pool`."""

    async def activity(request: Request) -> Response:
        query = read_query(request, ReadActivity)
        filters = Filters(
            team_id=None if query.all_teams else caller_of(request).team_id,
            user_id=query.user_id,
            workflow_id=query.workflow_id,
            entity=query.entity,
            stream=query.stream,
            event_type=query.event_type,
            step=query.step,
            since=query.since,
            until=query.until,
        )
        page = await read_page(pool, filters, query.order, query.cursor, query.limit, bodies=query.configuration)
        names = await read_names(pool, {row["user_id"] for row in page.rows if row["user_id"]})
        items = [{**row, "user_name": names.get(row["user_id"])} for row in page.rows]
        if query.configuration:
            for item in items:
                item["configuration"] = msgspec.Raw(item["configuration"].encode())
        return json_response({"items": items, "next_cursor": page.next_cursor})

    async def summary(request: Request) -> Response:
        query = read_query(request, ReadSummary)
        team_id = None if query.all_teams else caller_of(request).team_id
        until = query.until or datetime.now(UTC).date()
        since = query.since or date.fromordinal(max(until.toordinal() - DEFAULT_DAYS + 1, 1))
        if since > until:
            raise Refused("bad_request", f"from {since} is after to {until}; give an earlier from or a later to")
        figures = await read_summary(pool, team_id, since, until)
        return json_response(SummaryAnswer(**msgspec.structs.asdict(figures), since=since, until=until))

    return [
        Endpoint(
            "GET",
            "/api/audit/activity",
            activity,
            summary="Read what happened, newest first",
            query=ReadActivity,
            answer=ActivityPage,
            scope="audit:read",
        ),
        Endpoint(
            "GET",
            "/api/audit/activity/summary",
            summary,
            summary="See how far reports come in the builder, how long steps take, and what is refused",
            query=ReadSummary,
            answer=SummaryAnswer,
            scope="audit:read",
        ),
        state_route(pool),
    ]
