"""The one place where the program is put together: settings in, running roles out.

Read it from `running` on: what is opened, in which order, and what each role gets. It is closed in the
opposite order, so that work in progress can still be recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
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
from service.backfill.broker import Broker, create_broker
from service.backfill.turn import Tools
from service.backfill.worker import Worker
from service.clock import Clock, SettableClock
from service.commands import Commands
from service.rates.limiter import Rates
from service.results.stores import create_store
from service.schedules.scheduler import Scheduler
from service.server import serving
from service.settings import PREFIX, Settings, SettingsError
from service.teams.limits import Limits, Teams

log = structlog.get_logger()

Role = Literal["api", "admission", "projector", "scheduler", "worker"]
ROLES: tuple[Role, ...] = get_args(Role)


class Program(msgspec.Struct, frozen=True):
    """What runs, for whoever started it. `api_url` is null without the role; `sign_in_url` signs in whoever
    opens it first, null where that must not be; `failed` is set, with its reason, when a role ends by itself."""

    pool: Pool
    feed: Feed
    writer: AppendWriter
    broker: Broker | None
    clock: Clock
    api_url: str | None
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
        writer = AppendWriter(pool, on_appended=feed.appended)
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stopping = asyncio.Event()

        await feed.start()
        _start_role(stack, "feed", feed.run(), failed)
        stack.push_async_callback(writer.close)

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
            _start_role(stack, "activity index", ActivityIndexer(pool, feed).run(), failed)

        broker = None
        if "admission" in roles or "worker" in roles:
            broker = create_broker(settings.amqp_url, prefix=settings.amqp_prefix)
            await broker.start()
            stack.push_async_callback(broker.close)
            if "worker" in roles:
                await _start_worker(stack, Tools(pool, writer, broker, accounts, store, settings, set()))
                _start_role(stack, "accounts", accounts.try_held(), failed)
            if "admission" in roles:
                _start_role(stack, "admission", Admission(pool, feed, writer, broker, settings).run(), failed)

        if "scheduler" in roles:
            _start_role(stack, "scheduler", Scheduler(pool, feed, writer, clock, settings).run(), failed)
        door: Door | None = None

        def health() -> dict[str, str]:
            problems = {}
            if projector.stopped_by:
                problems["projector"] = projector.stopped_by
            if broker is not None and not broker.healthy:
                problems["broker"] = "not connected"
            if door is not None and (problem := door.problem()):
                problems["door"] = problem
            return problems

        api_url = sign_in_url = None
        if "api" in roles:
            teams = Teams(pool, Limits(settings.max_running_backfills, settings.max_active_schedules))
            door = await open_door(settings, pool, session)
            _start_role(stack, "door", door.run(), failed)
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
                    stopping=stopping,
                    health=health,
                )
            )
            api_url = await stack.enter_async_context(
                serving(Edge(app, door.site), settings.host, settings.port, grace=settings.shutdown_grace)
            )
            sign_in_url = door.link(api_url)
        # First of all at the end: live streams finish, and readiness says so.
        stack.callback(stopping.set)
        log.info("started", roles=sorted(roles), api_url=api_url)
        yield Program(pool, feed, writer, broker, clock, api_url, sign_in_url, failed)


async def _start_worker(stack: contextlib.AsyncExitStack, tools: Tools) -> None:
    settings = tools.settings
    if missing := [PREFIX + name.upper() for name in OF_DEFAULT if not getattr(settings, name)]:
        log.info("no_default_account", settings=missing, remedy="instances of the account `default` wait for them")
    consumption = await Worker(tools).start()
    stack.push_async_callback(consumption.stop, settings.shutdown_grace)


def _start_role(stack: contextlib.AsyncExitStack, name: str, role: object, failed: asyncio.Future[None]) -> None:
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


async def _close_pool(pool: Pool) -> None:
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except TimeoutError:
        pool.terminate()
