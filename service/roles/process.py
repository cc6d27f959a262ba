"""What the roles of one process share, and how each joins it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from db.pool import Pool
from events.feed import Feed
from events.writer import AppendWriter
from service.clock import Clock
from service.drain import Drain
from service.operations.health import Health
from service.operations.scrape import Scrape
from service.settings import Settings

if TYPE_CHECKING:
    import aiohttp

    from service.amc.connections import Connections
    from service.backfill.broker import Broker, Consumption

log = structlog.get_logger()


class Process(msgspec.Struct, kw_only=True):
    """Opened by `bootstrap` before any role. What is pushed on `stack` is closed after the drain, the last first.

    What follows `failed` is null until a role has made it: `session`, `connections` and `broker` by `shared`,
    `consumption` by worker, `api_url` and `sign_in_url` by api. `failed` is set, with its reason, when
    a role ends by itself.
    """

    settings: Settings
    pool: Pool
    feed: Feed
    writer: AppendWriter
    clock: Clock
    health: Health
    scrape: Scrape
    drain: Drain
    stack: contextlib.AsyncExitStack
    failed: asyncio.Future[None]
    session: aiohttp.ClientSession | None = None
    connections: Connections | None = None
    broker: Broker | None = None
    consumption: Consumption | None = None
    api_url: str | None = None
    sign_in_url: str | None = None

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs the work until the stack is closed; if it ends before, that is a failure of the program."""
        task = asyncio.ensure_future(work)

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) and not self.failed.done():
                log.critical("role_failed", role=name, exc_info=error)
                self.failed.set_exception(error)
                self.failed.exception()

        task.add_done_callback(ended)

        async def stop() -> None:
            # Again and again: a pool that takes back a dead connection can swallow a cancellation.
            while not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=1)

        self.stack.push_async_callback(stop)
        return task
