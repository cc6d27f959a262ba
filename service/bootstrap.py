"""The one place where the program is put together: settings in, running roles out.

Read it from `running` on: what is opened, in which order, and what each role gets. It is closed in the
opposite order, so that work in progress can still be recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import partial
from typing import Literal, get_args

import aiohttp
import msgspec
import structlog

from db.embedded import EmbeddedPostgres
from db.migrations import migrate_up, migration_status
from db.pool import DatabaseRefused, Pool, open_pool, refuse_unfit_role
from events.feed import Feed
from events.writer import AppendWriter
from projections.activity import ActivityIndexer
from projections.runner import Projector
from service.amc.connecting import AccountDesk
from service.amc.connections import OF_DEFAULT, Connections
from service.amc.keys import SecretKeys
from service.amc.vault import Vault
from service.app import Parts, create_app
from service.audit.errors import ErrorCounts
from service.auth.door import Door, open_door
from service.auth.edge import Edge
from service.auth.safety import refuse_unsafe
from service.backfill.admission import Admission
from service.backfill.broker import Broker, Consumption, create_broker
from service.backfill.turn import Tools
from service.backfill.worker import Worker
from service.clock import Clock, SettableClock
from service.commands import Commands
from service.drain import Drain
from service.letters.desk import LetterDesk, open_broker
from service.operations import metrics
from service.operations.health import Health
from service.operations.readings import (
    amc_reading,
    log_reading,
    process_state,
    queues_reading,
    schedules_reading,
    slots_reading,
)
from service.operations.routes import Measured, operations_app
from service.operations.scrape import Scrape
from service.rates.limiter import Rates
from service.results.stores import create_store
from service.schedules.scheduler import Scheduler
from service.server import serving
from service.settings import PREFIX, Settings, SettingsError
from service.teams.limits import Limits, Teams

log = structlog.get_logger()

# What a database that is away may hold the end up for, besides the grace time.
LAST_APPENDS = 5.0

Role = Literal["api", "admission", "projector", "scheduler", "worker"]
ROLES: tuple[Role, ...] = get_args(Role)


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
    keys = SecretKeys(settings)
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(database_url(settings))
        pool = await open_pool(url, size=settings.database_pool_size)
        stack.push_async_callback(_close_pool, pool)
        async with pool.acquire() as connection:
            await refuse_unfit_role(connection)

        store = create_store(settings)
        store.prepare()
        feed = Feed(pool)
        writer = AppendWriter(pool, on_appended=feed.appended, on_committed=metrics.committed)
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stopping = asyncio.Event()
        drain = Drain(settings.shutdown_grace)

        health, scrape = Health(pool), Scrape()
        # Workers read the streams of their segments: nothing in them follows the log, which is much to read.
        follows = set(roles) != {"worker"}
        if follows:
            health.rounds["feed"] = feed.rounds
        scrape.add_reading("log", log_reading(pool, feed if follows else None))
        operations_url = None
        if settings.metrics_port is not None:
            # Until the very end, so that who asks hears that the process is on its way out.
            operations_url = await stack.enter_async_context(
                serving(operations_app(health, scrape), settings.metrics_host, settings.metrics_port, grace=1)
            )

        await feed.start()
        _start_role(stack, "feed", feed.run() if follows else feed.tell(), failed)
        stack.push_async_callback(_within, LAST_APPENDS, writer.close)

        clock = Clock()
        if settings.settable_clock:
            clock = SettableClock(pool)
            await clock.refresh()
            _start_role(stack, "clock", clock.run(), failed)
        vault = Vault(pool, keys)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        accounts = Connections(pool, writer, session, vault, settings)

        projector = Projector(pool, feed)
        if "projector" in roles:
            _start_role(stack, "projector", projector.run(), failed)
            health.rounds["projector"] = projector.rounds
            health.check("projector", lambda: projector.stopped_by)
            _start_role(stack, "activity index", ActivityIndexer(pool, feed).run(), failed)

        broker: Broker | None = None
        consumption: Consumption | None = None
        if "admission" in roles or "worker" in roles:
            broker = create_broker(settings.amqp_url, prefix=settings.amqp_prefix)
            await broker.start()
            stack.push_async_callback(broker.close)
            health.check("broker", partial(_broker_problem, broker))
            if "worker" in roles:
                consumption = await _start_worker(Tools(pool, writer, broker, accounts, store, settings, set()))
                drain.add("worker", consumption.stop)
                _start_role(stack, "accounts", accounts.try_held(), failed)
            if "admission" in roles:
                admission = Admission(pool, feed, writer, broker, settings)
                task = _start_role(stack, "admission", admission.run(), failed)
                drain.add("admission", partial(admission.rounds.stop, task))
                health.rounds["admission"] = admission.rounds
                scrape.add_reading("queues", queues_reading(broker))
                scrape.add_reading("slots", slots_reading(pool))
                scrape.add_reading("amc", amc_reading(pool, settings.amc_requests_per_second))

        if "scheduler" in roles:
            scheduler = Scheduler(pool, feed, writer, clock, settings)
            task = _start_role(stack, "scheduler", scheduler.run(), failed)
            drain.add("scheduler", partial(scheduler.rounds.stop, task))
            health.rounds["scheduler"] = scheduler.rounds
            scrape.add_reading("schedules", schedules_reading(pool, clock))
        scrape.add_state(process_state(pool, writer, broker, consumption, health.rounds))

        api_url = sign_in_url = None
        if "api" in roles:
            teams = Teams(pool, Limits(settings.max_running_backfills, settings.max_active_schedules))
            door: Door = await open_door(settings, pool, session)
            _start_role(stack, "door", door.run(), failed)
            health.check("door", door.problem)
            rates = Rates(pool, settings)
            _start_role(stack, "rates", rates.run(), failed)
            errors = ErrorCounts(pool, kept_days=settings.error_counts_days)
            stack.push_async_callback(errors.close)
            _start_role(stack, "error counts", errors.run(), failed)
            app = create_app(
                Parts(
                    pool=pool,
                    commands=Commands(pool, writer),
                    teams=teams,
                    feed=feed,
                    store=store,
                    clock=clock,
                    accounts=AccountDesk(pool, accounts, vault, settings),
                    door=door,
                    rates=rates,
                    errors=errors,
                    letters=LetterDesk(pool, open_broker(broker, settings)),
                    stopping=stopping,
                    health=health,
                    scrape=scrape,
                )
            )
            server = await stack.enter_async_context(contextlib.AsyncExitStack())
            api_url = await server.enter_async_context(
                serving(Measured(Edge(app, door.site)), settings.host, settings.port, grace=settings.shutdown_grace)
            )
            sign_in_url = door.link(api_url)

            async def stop_serving(grace: float) -> None:
                await asyncio.sleep(settings.shutdown_delay)
                stopping.set()  # live streams end
                await server.aclose()

            drain.add("api", stop_serving)

        async def leave() -> None:
            health.stopping = True
            await drain.run()

        stack.push_async_callback(leave)
        health.started = True
        log.info("started", roles=sorted(roles), api_url=api_url, operations_url=operations_url)
        yield Program(pool, feed, writer, broker, clock, api_url, operations_url, sign_in_url, failed)


async def _start_worker(tools: Tools) -> Consumption:
    settings = tools.settings
    if missing := [PREFIX + name.upper() for name in OF_DEFAULT if not getattr(settings, name)]:
        log.info("no_default_account", settings=missing, remedy="instances of the account `default` wait for them")
    return await Worker(tools).start()


def _broker_problem(broker: Broker) -> str | None:
    return None if broker.healthy else "not connected"


def _start_role(
    stack: contextlib.AsyncExitStack, name: str, role: object, failed: asyncio.Future[None]
) -> asyncio.Task[None]:
    """Runs a role's coroutine until the stack is closed; one that ends before is a failure of the program."""
    task: asyncio.Task[None] = asyncio.ensure_future(role)  # type: ignore[call-overload]

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not failed.done():
            log.critical("role_failed", role=name, exc_info=error)
            failed.set_exception(error)
            failed.exception()

    task.add_done_callback(ended)

    async def stop() -> None:
        # Again and again: a pool that takes back a dead connection can swallow a cancellation.
        while not task.done():
            task.cancel()
            await asyncio.wait((task,), timeout=1)

    stack.push_async_callback(stop)
    return task


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
