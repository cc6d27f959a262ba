"""One live reader: frames as the log grows, for as long as somebody takes them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from db.pool import DATABASE_ERRORS, end_if_cancelled
from events.feed import BATCH
from service.operations import metrics
from service.server import TRANSPORT
from service.stream.fanout import Fanout
from service.stream.filters import EventFilter

log = structlog.get_logger()

KEEP_ALIVE = 15.0

# A reader whose filter passes little still learns how far it has come: this many positions on, or this many seconds.
CHECKPOINT_EVERY = 1000
CHECKPOINT_SECONDS = 5.0

# A reader that takes nothing for so long is cut off; it resumes where it was.
SEND_TIMEOUT = 30.0

# What the kernel holds for a reader; left alone it lets this grow to megabytes for one that does not read.
SOCKET_BUFFER = 64 * 1024

# Until a reader that catches up asks again for what the database did not answer.
RETRY_AFTER = 1.0

HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
MEDIA_TYPE = "text/event-stream"


class LiveResponse(Response):
    """The stream after a position, until `over` comes back, the reader goes away, or takes nothing for SEND_TIMEOUT."""

    def __init__(
        self,
        fanout: Fanout,
        after: int,
        epoch: int,
        wanted: EventFilter,
        *,
        user_id: UUID,
        over: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(media_type=MEDIA_TYPE, headers=HEADERS)
        del self.headers["content-length"]
        self._fanout = fanout
        self._feed = fanout.feed
        self._epoch = epoch
        self._wanted = wanted
        self._user_id = user_id
        self._until_over = over
        self._position = self._told = after
        self._caught_up = False
        self._sent_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._fanout.place(self._user_id) as self._woken, metrics.stream_open():
            self._send = send
            ends = [asyncio.ensure_future(end) for end in (self._until_over(), _disconnected(receive))]
            for end in ends:
                end.add_done_callback(lambda _: self._woken.set())
            try:
                _bound_buffer(scope)
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await self._write(b"retry: 2000\n\n")
                while not any(end.done() for end in ends):
                    await self._go_on()
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            except TimeoutError:
                log.info("reader_cut_off", seconds=SEND_TIMEOUT)
                if (connection := scope["extensions"][TRANSPORT]()) is not None:
                    connection.abort()
                await ends[1]
            finally:
                for end in ends:
                    end.cancel()

    async def _go_on(self) -> None:
        """Sends what there is next; at the log's end waits for it to grow."""
        self._woken.clear()  # before the look, so that what comes during it is looked at, too
        behind = self._feed.head - self._position
        if behind <= 0:
            await self._rest()
            return
        if self._caught_up and behind >= BATCH:
            self._caught_up = False
            await self._tell("fell-behind")
        try:
            chunk = await self._fanout.after(self._position, self._wanted)
        except DATABASE_ERRORS as error:
            end_if_cancelled(error)
            log.warning("reader_waits_for_database", error=type(error).__name__)
            await asyncio.sleep(RETRY_AFTER)
            return
        self._position = chunk.position
        if chunk.frames:
            await self._write(chunk.frames)
            self._told = chunk.told
        if self._position - self._told >= CHECKPOINT_EVERY:
            await self._checkpoint()
        if not chunk.at_head:
            await asyncio.sleep(0)  # it has all of this to catch up with, and is not the only one

    async def _rest(self) -> None:
        """Says that the end is reached, how far a quiet filter has come, or that the stream is alive; then waits."""
        if not self._caught_up:
            if self._position > self._told:
                await self._checkpoint()
            self._caught_up = True
            await self._tell("caught-up")
        elif self._position > self._told and _now() - self._sent_at >= CHECKPOINT_SECONDS:
            await self._checkpoint()
        try:
            async with asyncio.timeout_at(self._sent_at + KEEP_ALIVE):
                await self._woken.wait()
        except TimeoutError:
            if self._position > self._told:
                await self._checkpoint()
            else:
                await self._write(b": keep-alive\n\n")

    async def _checkpoint(self) -> None:
        """Where to resume from, in place of an event that passes."""
        self._told = self._position
        await self._write(b"id: %d\n%s" % (self._told, self._said("checkpoint")))

    async def _tell(self, what: str) -> None:
        await self._write(self._said(what))

    def _said(self, what: str) -> bytes:
        return b'event: %s\ndata: {"position":%d,"epoch":%d}\n\n' % (what.encode(), self._position, self._epoch)

    async def _write(self, frames: bytes) -> None:
        """Raises TimeoutError where the reader does not take what was sent before."""
        async with asyncio.timeout(SEND_TIMEOUT):
            await self._send({"type": "http.response.body", "body": frames, "more_body": True})
        self._sent_at = _now()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _bound_buffer(scope: Scope) -> None:
    if (connection := scope["extensions"][TRANSPORT]()) is not None:
        own = connection.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
