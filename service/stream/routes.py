"""`/api/events` and `/api/events/stream`: the log of the caller's teams, by page or live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from service.auth.caller import caller_of
from service.endpoints import Answer, Endpoint, Header, Position, read_query
from service.http import json_response
from service.stream.cloudevents import cloud_event
from service.stream.epochs import ReaderGuard
from service.stream.fanout import Fanout
from service.stream.filters import Events, filter_of
from service.stream.live import HEADERS, MEDIA_TYPE, LiveResponse
from service.stream.pages import read_page

NDJSON = "application/x-ndjson"

LAST_EVENT_ID = Header("Last-Event-ID", Position, "The last event that a reader has: the stream goes on after it.", 42)


class EventsByPage(Events, frozen=True, kw_only=True):
    """A page of events."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class EventPage(Answer, frozen=True, kw_only=True):
    """A page of CloudEvents. `next_after` is where the next page begins, to be named with `epoch`; `more` is false at
    the log's end, which was at `head`."""

    events: list[dict[str, Any]]
    next_after: int
    more: bool
    epoch: int
    head: int


def stream_routes(
    pool: Pool, fanout: Fanout, stopping: asyncio.Event, lapsed: Callable[[Request], Awaitable[None]]
) -> list[Endpoint]:
    """The routes over the log, as `pool` and `fanout` show it; live streams end when `stopping` is set, or when
    `lapsed` comes back for their request: then its credential does not hold any more."""

    guard = ReaderGuard(pool, fanout.feed)

    async def page(request: Request) -> Response:
        query = read_query(request, EventsByPage)
        epoch = await guard.admit(query.after, query.epoch)
        found = await read_page(pool, fanout.feed, query.after, query.limit, filter_of(query, caller_of(request)))
        head = max(fanout.feed.head, found.position)
        if NDJSON in request.headers.get("accept", ""):
            lines = b"".join(cloud_event(event, fanout.feed.epochs) + b"\n" for event in found.events)
            headers = {
                "Next-After": str(found.position),
                "More": str(found.more).lower(),
                "Log-Head": str(head),
                "Epoch": str(epoch),
            }
            return Response(lines, media_type=NDJSON, headers=headers)
        return json_response(
            {
                "events": [msgspec.Raw(cloud_event(event, fanout.feed.epochs)) for event in found.events],
                "next_after": found.position,
                "more": found.more,
                "head": head,
                "epoch": epoch,
            }
        )

    async def over(request: Request) -> None:
        ends = [asyncio.ensure_future(end) for end in (stopping.wait(), lapsed(request))]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    async def live(request: Request) -> Response:
        query = read_query(request, Events)
        caller = caller_of(request)
        wanted = filter_of(query, caller)
        # The later of the two counts: what a reader says that it has it does not want again.
        after = max(query.after, int(request.headers.get(LAST_EVENT_ID.name, "0")))
        epoch = await guard.admit(after, query.epoch)
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE, headers=HEADERS)
        return LiveResponse(fanout, after, epoch, wanted, user_id=caller.user_id, over=partial(over, request))

    return [
        Endpoint(
            "GET",
            "/api/events",
            page,
            summary="Read the log, page by page",
            query=EventsByPage,
            answer=EventPage,
            scope="events:read",
            media=(NDJSON,),
            keeps_tokens=True,
            answer_headers={
                "Next-After": "`next_after`, with NDJSON.",
                "More": "`more`, with NDJSON.",
                "Log-Head": "`head`, with NDJSON.",
                "Epoch": "`epoch`, with NDJSON.",
            },
            refusals=("log_rewound",),
        ),
        Endpoint(
            "GET",
            "/api/events/stream",
            live,
            summary="Follow the log live (server-sent events)",
            query=Events,
            answer=(MEDIA_TYPE,),
            scope="events:read",
            headers=(LAST_EVENT_ID,),
            refusals=("log_rewound", "too_many_streams"),
        ),
    ]
