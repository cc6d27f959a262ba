"""`/api/events` and `/api/events/stream`: the log of the caller's team, by page or live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import msgspec
import structlog
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from db.pool import Pool
from events.envelope import RecordedEvent
from events.feed import BATCH, Feed
from events.reader import read_after
from service.auth.caller import Caller, caller_of
from service.endpoints import LAST_POSITION, Answer, Endpoint, Header, Position, Query, read_query
from service.http import json_response
from service.operations import metrics
from service.server import HANG_UP
from service.stream.cloudevents import cloud_event
from service.stream.epochs import ReaderGuard

log = structlog.get_logger()

Filter = Callable[[RecordedEvent], bool]

KEEP_ALIVE = 15.0

# A page looks at no more events than this, however few its filter lets through; the next one goes on there.
MAX_LOOKED_AT = 20 * BATCH

# A reader whose filter passes little still learns how far it has come, at least this often (in positions).
CHECKPOINT_EVERY = 1000

# A live reader that takes nothing for so long is cut off; it resumes where it was.
SEND_TIMEOUT = 30.0


LAST_EVENT_ID = Header("Last-Event-ID", Position, "The last event that a reader has: the stream goes on after it.", 42)


class Events(Query, frozen=True, kw_only=True):
    """Which events: those after a position, which was seen in `epoch`; each filter may be repeated, and lets through
    what it names."""

    after: Position = 0
    epoch: Annotated[int, Meta(ge=1, le=LAST_POSITION)] | None = None
    type: tuple[str, ...] = ()
    stream: tuple[str, ...] = ()
    workflow: tuple[str, ...] = ()


class EventsByPage(Events, frozen=True, kw_only=True):
    """A page of events."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class EventPage(Answer, frozen=True, kw_only=True):
    """A page of CloudEvents. `next_after` is where the next page begins; `more` is false at the log's end. `epoch` is
    to be named with `next_after`."""

    events: list[dict[str, Any]]
    next_after: int
    more: bool
    epoch: int


def stream_routes(
    pool: Pool, feed: Feed, stopping: asyncio.Event, lapsed: Callable[[Request], Awaitable[None]]
) -> list[Endpoint]:
    """The routes over the log, as `pool` and `feed` show it; live streams end when `stopping` is set, or when
    `lapsed` comes back for their request: then its credential does not hold any more."""

    guard = ReaderGuard(pool, feed)

    async def page(request: Request) -> Response:
        query = read_query(request, EventsByPage)
        after, limit = query.after, query.limit
        epoch = await guard.admit(after, query.epoch)
        passes = _filter(query, caller_of(request))
        found: list[RecordedEvent] = []
        position, more = after, True
        while more and len(found) < limit and position - after < MAX_LOOKED_AT:
            # The feed may be a moment behind the table; whoever has just written finds it here all the same.
            events = await feed.read(position) or await read_after(pool, position, BATCH)
            more = bool(events)
            for event in events:
                position = event.position
                if passes(event):
                    found.append(event)
                    if len(found) == limit:
                        break
        if "application/x-ndjson" in request.headers.get("accept", ""):
            lines = b"".join(cloud_event(event) + b"\n" for event in found)
            headers = {"Next-After": str(position), "More": str(more).lower(), "Epoch": str(epoch)}
            return Response(lines, media_type="application/x-ndjson", headers=headers)
        return json_response(
            {
                "events": [msgspec.Raw(cloud_event(event)) for event in found],
                "next_after": position,
                "more": more,
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
        after = _start_of(request, query)
        epoch = await guard.admit(after, query.epoch)
        frames = _frames(feed, after, epoch, _filter(query, caller_of(request)), partial(over, request))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=headers)
        return LiveResponse(frames, headers)

    return [
        Endpoint(
            "GET",
            "/api/events",
            page,
            summary="Read the log, page by page",
            query=EventsByPage,
            answer=EventPage,
            scope="events:read",
            media=("application/x-ndjson",),
            keeps_tokens=True,
            answer_headers={
                "Next-After": "`next_after`, with NDJSON.",
                "More": "`more`, with NDJSON.",
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
            answer=("text/event-stream",),
            scope="events:read",
            headers=(LAST_EVENT_ID,),
            refusals=("log_rewound",),
        ),
    ]


class LiveResponse(StreamingResponse):
    """A response without end, whose every send must be taken within SEND_TIMEOUT seconds."""

    def __init__(self, frames: AsyncGenerator[bytes], headers: dict[str, str]) -> None:
        super().__init__(frames, media_type="text/event-stream", headers=headers)
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(SEND_TIMEOUT):
                await send(message)

        try:
            with metrics.stream_open():
                await super().__call__(scope, receive, send_in_time)
        except TimeoutError:
            log.info("reader_cut_off", seconds=SEND_TIMEOUT)
            scope["extensions"][HANG_UP]()
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            await self._frames.aclose()


def _start_of(request: Request, query: Events) -> int:
    """Where the stream goes on: at the later of `?after=` and the last id that a reader says it has."""
    return max(query.after, int(request.headers.get(LAST_EVENT_ID.name, "0")))


async def _frames(
    feed: Feed, after: int, epoch: int, passes: Filter, over: Callable[[], Awaitable[None]]
) -> AsyncGenerator[bytes]:
    """SSE frames: events with their position as id, `caught-up` at the end of the log, comments to keep alive; until
    `over` comes back."""
    yield b"retry: 2000\n\n"
    told = after
    caught_up = False
    stop = asyncio.ensure_future(over())
    waiting: asyncio.Task[bool] | None = None
    try:
        while not stop.done():
            events = await feed.read(after)
            frames = []
            for event in events:
                after = event.position
                if passes(event):
                    frames.append(_frame(event))
                    told = after
            if after - told >= CHECKPOINT_EVERY or (after > told and len(events) < BATCH):
                frames.append(
                    b'id: %d\nevent: checkpoint\ndata: {"position":%d,"epoch":%d}\n\n' % (after, after, epoch)
                )
                told = after
            if frames:
                yield b"".join(frames)
            if len(events) == BATCH:
                if caught_up:
                    caught_up = False
                    yield b'event: fell-behind\ndata: {"position":%d,"epoch":%d}\n\n' % (after, epoch)
                continue
            if not caught_up and after >= feed.head:
                caught_up = True
                yield b'event: caught-up\ndata: {"position":%d,"epoch":%d}\n\n' % (after, epoch)
            waiting = asyncio.create_task(feed.wait_beyond(after))
            await asyncio.wait((waiting, stop), timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                if not stop.done():
                    yield b": keep-alive\n\n"
    finally:
        stop.cancel()
        if waiting is not None:
            waiting.cancel()


def _frame(event: RecordedEvent) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.event_type.encode(), cloud_event(event))


def _filter(query: Events, caller: Caller) -> Filter:
    """The events of the caller's team that the query lets through."""
    team = caller.team_id
    types, streams, workflows = frozenset(query.type), frozenset(query.stream), frozenset(query.workflow)
    return lambda event: (
        event.team_id == team
        and (not types or event.event_type in types)
        and (not streams or event.stream in streams)
        and (not workflows or event.workflow_id in workflows)
    )
