"""`/api/events` and `/api/events/stream`: the log of the caller's team, by page or live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from db.pool import Pool
from events.envelope import RecordedEvent
from events.feed import BATCH, Feed
from events.reader import read_after
from service.auth.caller import caller_of
from service.http import LAST_POSITION, int_parameter, json_response
from service.problems import Refused
from service.server import HANG_UP
from service.stream.cloudevents import cloud_event

log = structlog.get_logger()

Filter = Callable[[RecordedEvent], bool]

KEEP_ALIVE = 15.0
MAX_PAGE = 1000

# A page looks at no more events than this, however few its filter lets through; the next one goes on there.
MAX_LOOKED_AT = 20 * BATCH

# A reader whose filter passes little still learns how far it has come, at least this often (in positions).
CHECKPOINT_EVERY = 1000

# A live reader that takes nothing for so long is cut off; it resumes where it was.
SEND_TIMEOUT = 30.0


def stream_routes(pool: Pool, feed: Feed, stopping: asyncio.Event) -> list[Route]:
    """The routes over the log, as `pool` and `feed` show it; live streams end when `stopping` is set."""

    async def page(request: Request) -> Response:
        after = int_parameter(request, "after", 0, 0, LAST_POSITION)
        limit = int_parameter(request, "limit", 100, 1, MAX_PAGE)
        passes = _filter(request)
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
            headers = {"Next-After": str(position), "More": str(more).lower()}
            return Response(lines, media_type="application/x-ndjson", headers=headers)
        return json_response(
            {
                "events": [msgspec.Raw(cloud_event(event)) for event in found],
                "next_after": position,
                "more": more,
            }
        )

    async def live(request: Request) -> Response:
        frames = _frames(feed, _start_of(request), _filter(request), stopping)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=headers)
        return LiveResponse(frames, headers)

    return [
        Route("/api/events", page, methods=["GET"]),
        Route("/api/events/stream", live, methods=["GET"]),
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
            await super().__call__(scope, receive, send_in_time)
        except TimeoutError:
            log.info("reader_cut_off", seconds=SEND_TIMEOUT)
            scope["extensions"][HANG_UP]()
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            await self._frames.aclose()


def _start_of(request: Request) -> int:
    """Where the stream goes on: at the later of `?after=` and the last id that a reader says it has."""
    after = int_parameter(request, "after", 0, 0, LAST_POSITION)
    last = request.headers.get("last-event-id", "0")
    if not (last.isascii() and last.isdigit() and len(last) <= 20 and int(last) <= LAST_POSITION):
        raise Refused("bad_request", "Last-Event-ID must be the id of an event of this stream, a position")
    return max(after, int(last))


async def _frames(feed: Feed, after: int, passes: Filter, stopping: asyncio.Event) -> AsyncGenerator[bytes]:
    """SSE frames: events with their position as id, `caught-up` at the end of the log, comments to keep alive."""
    yield b"retry: 2000\n\n"
    told = after
    caught_up = False
    stop = asyncio.create_task(stopping.wait())
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
        if waiting is not None:
            waiting.cancel()


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
