"""`/api/events` and `/api/events/stream`: the log of the caller's team, by page or live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from events.envelope import RecordedEvent
from events.feed import BATCH, Feed
from service.auth.caller import caller_of
from service.commands import json_response
from service.data_collections.routes import int_parameter
from service.stream.cloudevents import cloud_event

Filter = Callable[[RecordedEvent], bool]

KEEP_ALIVE = 15.0
MAX_PAGE = 1000

# A reader whose filter passes little still learns how far it has come, at least this often (in positions).
CHECKPOINT_EVERY = 1000


def stream_routes(feed: Feed, stopping: asyncio.Event) -> list[Route]:
    """The routes over the feed; live streams end when `stopping` is set."""

    async def page(request: Request) -> Response:
        after = int_parameter(request, "after", 0, 0, 2**62)
        limit = int_parameter(request, "limit", 100, 1, MAX_PAGE)
        passes = _filter(request)
        found: list[RecordedEvent] = []
        position = after
        while len(found) < limit and (events := await feed.read(position)):
            for event in events:
                position = event.position
                if passes(event):
                    found.append(event)
                    if len(found) == limit:
                        break
        if "application/x-ndjson" in request.headers.get("accept", ""):
            lines = b"".join(cloud_event(event) + b"\n" for event in found)
            return Response(lines, media_type="application/x-ndjson", headers={"Next-After": str(position)})
        return json_response(
            {"events": [msgspec.Raw(cloud_event(event)) for event in found], "next_after": position}
        )

    async def live(request: Request) -> Response:
        after = int_parameter(request, "after", 0, 0, 2**62)
        if (last := request.headers.get("last-event-id", "")).isdigit():
            after = max(after, int(last))
        return StreamingResponse(
            _frames(feed, after, _filter(request), stopping),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return [
        Route("/api/events", page, methods=["GET"]),
        Route("/api/events/stream", live, methods=["GET"]),
    ]


async def _frames(feed: Feed, after: int, passes: Filter, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    """SSE frames: events with their position as id, `caught-up` at the end of the log, comments to keep alive."""
    yield b"retry: 2000\n\n"
    told = after
    caught_up = False
    stop = asyncio.create_task(stopping.wait())
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
                frames.append(b'id: %d\nevent: checkpoint\ndata: {"position":%d}\n\n' % (after, after))
                told = after
            if frames:
                yield b"".join(frames)
            if len(events) == BATCH:
                if caught_up:
                    caught_up = False
                    yield b'event: fell-behind\ndata: {"position":%d}\n\n' % after
                continue
            if not caught_up and after >= feed.head:
                caught_up = True
                yield b'event: caught-up\ndata: {"position":%d}\n\n' % after
            waiting = asyncio.create_task(feed.wait_beyond(after))
            await asyncio.wait((waiting, stop), timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                if not stop.done():
                    yield b": keep-alive\n\n"
    finally:
        stop.cancel()


def _frame(event: RecordedEvent) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.event_type.encode(), cloud_event(event))


def _filter(request: Request) -> Filter:
    """The events of the caller's team that `type`, `stream` and `workflow` let through; each may be repeated."""
    team = caller_of(request).team_id
    query = request.query_params
    types, streams, workflows = (frozenset(query.getlist(name)) for name in ("type", "stream", "workflow"))
    return lambda event: (
        event.team_id == team
        and (not types or event.event_type in types)
        and (not streams or event.stream in streams)
        and (not workflows or event.workflow_id in workflows)
    )
