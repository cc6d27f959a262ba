"""The one place where the program is put together: settings in, running roles out.

Read it from `running` on: what is opened and in which order; what each role adds is in `service/roles`. It is
closed in the opposite order, so that work in progress can still be recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec
import structlog

from db.embedded import EmbeddedPostgres
from db.migrations import migrate_up, migration_status
from db.pool import DatabaseRefused, Pool, open_pool, refuse_unfit_role
from events.feed import Feed
from events.writer import AppendWriter
from service.amc.keys import SecretKeys
from service.auth.safety import refuse_unsafe
from service.clock import Clock, SettableClock
from service.drain import Drain
from service.operations import metrics
from service.operations.health import Health
from service.operations.readings import log_reading, process_state
from service.operations.routes import operations_app
from service.operations.scrape import Scrape
from service.roles import ROLES, Role
from service.roles.process import Process
from service.server import serving
from service.settings import Settings, SettingsError

if TYPE_CHECKING:
    from service.backfill.broker import Broker

log = structlog.get_logger()

# What a database that is away may hold the end up for, besides the grace time.
LAST_APPENDS = 5.0

# They are drained at once, and closed in the opposite order: the API first, while all else still works.
START_ORDER: tuple[Role, ...] = ("projector", "tree", "worker", "admission", "scheduler", "publisher", "api")


class Program(msgspec.Struct, frozen=True):
    """What runs, for whoever started it. `api_url` is null without the role, `operations_url` without a port for
    metrics; `sign_in_url` signs in whoever opens it first, null where that must not be; `failed` is set, with its
    reason, when a role ends by itself."""

    pool: Pool
    feed: Feed
    writer: AppendWriter
    broker: Broker | None
    clock: Clock
    api_url: str | None
    operations_url: str | None
    sign_in_url: str | None
    failed: asyncio.Future[None]


@contextlib.asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    """The address of the service's database: the operator's, checked, or the embedded one, brought up to date.

    Raises DatabaseRefused where the role is unfit or migrations are missing.
    """
    if settings.database_url is None:
        postgres = EmbeddedPostgres(settings.data_dir / "postgres")
        await postgres.start()
        try:
            await migrate_up(postgres.admin_url, service_url=postgres.service_url)
            yield postgres.service_url
        finally:
            await postgres.stop()
        return
    missing = [migration.name for migration, applied in await migration_status(settings.database_url) if not applied]
    if missing:
        raise DatabaseRefused(
            f"the database lacks the migrations {', '.join(missing)}: run `report-builder migrate up` with"
            " REPORT_BUILDER_DATABASE_ADMIN_URL"
        )
    yield settings.database_url


def _collect_less(stack: contextlib.AsyncExitStack) -> None:
    """Python's collector of cycles looks through what the program has been made of again and again, a tenth of the
    time of a busy API. All that is there for good: from here on it looks at what comes later, and less often."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    stack.callback(gc.set_threshold, *before)
    stack.callback(gc.unfreeze)


@contextlib.asynccontextmanager
async def running(settings: Settings, roles: Collection[Role] = ROLES) -> AsyncIterator[Program]:
    """The roles, at work while the block runs; at its end they finish what they have begun, within
    `shutdown_grace` seconds, and hand back the rest."""
    if settings.amqp_url is None and ("worker" in roles) != ("admission" in roles):
        raise SettingsError(
            "without REPORT_BUILDER_AMQP_URL the broker is in memory, so that the roles worker and admission"
            " must run in one process"
        )
    if settings.lease_margin <= settings.amc_timeout:
        raise SettingsError(
            f"REPORT_BUILDER_LEASE_MARGIN is {settings.lease_margin:g} s and must be longer than"
            f" REPORT_BUILDER_AMC_TIMEOUT, {settings.amc_timeout:g} s: a call must not outlast its lease"
        )
    if "api" in roles:
        refuse_unsafe(settings)
    SecretKeys(settings)  # a wrong one stops the start
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(database_url(settings))
        pool = await open_pool(url, size=settings.database_pool_size)
        stack.push_async_callback(_close_pool, pool)
        async with pool.acquire() as connection:
            await refuse_unfit_role(connection)

        feed = Feed(pool)
        process = Process(
            settings=settings,
            pool=pool,
            feed=feed,
            writer=AppendWriter(pool, on_appended=feed.appended, on_committed=metrics.committed),
            clock=SettableClock(pool) if settings.settable_clock else Clock(),
            health=Health(pool),
            scrape=Scrape(),
            drain=Drain(settings.shutdown_grace),
            stack=stack,
            failed=asyncio.get_running_loop().create_future(),
        )
        # Workers read the streams of their segments: nothing in them follows the log, which is much to read.
        follows = set(roles) != {"worker"}
        operations_url = await _serve_operations(process, follows=follows)
        await feed.start()
        process.start("feed", feed.run() if follows else feed.tell())
        stack.push_async_callback(_within, LAST_APPENDS, process.writer.close)
        if isinstance(process.clock, SettableClock):
            await process.clock.refresh()
            process.start("clock", process.clock.run())
        for role in START_ORDER:
            if role in roles:
                await import_module(f"service.roles.{role}").start(process)
        process.scrape.add_state(
            process_state(pool, process.writer, process.broker, process.consumption, process.health.rounds)
        )

        async def leave() -> None:
            process.health.stopping = True
            await process.drain.run()

        stack.push_async_callback(leave)
        _collect_less(stack)
        process.health.started = True
        log.info("started", roles=sorted(roles), api_url=process.api_url, operations_url=operations_url)
        yield Program(
            pool,
            feed,
            process.writer,
            process.broker,
            process.clock,
            process.api_url,
            operations_url,
            process.sign_in_url,
            process.failed,
        )


async def _serve_operations(process: Process, *, follows: bool) -> str | None:
    """Health and metrics on their own port, where there is one, and their address. It is closed after all else, so
    that who asks hears that the process is on its way out."""
    settings, health, scrape = process.settings, process.health, process.scrape
    if follows:
        health.rounds["feed"] = process.feed.rounds
    scrape.add_reading("log", log_reading(process.pool, process.feed if follows else None))
    if settings.metrics_port is None:
        return None
    return await process.stack.enter_async_context(
        serving(operations_app(health, scrape), settings.metrics_host, settings.metrics_port, grace=1)
    )


async def _within(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Waits so long for the work's end, and then goes on without it."""
    try:
        async with asyncio.timeout(seconds):
            await work()
    except TimeoutError:
        log.warning("not_finished_in_time", work=work.__qualname__, seconds=seconds)


async def _close_pool(pool: Pool) -> None:
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except TimeoutError:
        pool.terminate()
