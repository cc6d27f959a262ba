"""The role api: HTTP, with everything that the routes need."""

from __future__ import annotations

import asyncio
import contextlib

from service.amc.connecting import AccountDesk
from service.amc.instances import INSTANCES
from service.amc.keys import SecretKeys
from service.amc.vault import Vault
from service.app import Parts, create_app
from service.audit.errors import ErrorCounts
from service.auth.door import Door, open_door
from service.builder.models import REPORTS
from service.commands import Commands
from service.footing import Memory
from service.front import Front
from service.letters.desk import LetterDesk, open_broker
from service.persons.erasing import Erasing, follow_erasures
from service.persons.texts import PersonalTexts
from service.rates.limiter import Rates
from service.results.stores import create_store
from service.roles.process import Process
from service.roles.shared import open_connections, open_session
from service.server import serving
from service.stream.fanout import Fanout
from service.teams.limits import Limits, Teams
from service.tree.witnesses import witness_keys
from service.ui.pages import Pages
from service.workflows.state import WORKFLOWS


async def start(process: Process) -> None:
    settings, pool, stack = process.settings, process.pool, process.stack
    store = create_store(settings)
    store.prepare()
    accounts = await open_connections(process)
    door: Door = await open_door(settings, pool, await open_session(process))
    process.start("door", door.run())
    process.start("erasures", follow_erasures(process.feed, door.forget))
    process.health.check("door", door.problem)
    rates = Rates(pool, settings)
    process.start("rates", rates.run())
    errors = ErrorCounts(pool, kept_days=settings.error_counts_days)
    stack.push_async_callback(errors.close)
    process.start("error counts", errors.run())
    fanout = Fanout(process.feed, streams_per_user=settings.streams_per_user)
    process.start("fan-out", fanout.run())
    stopping = asyncio.Event()
    texts = PersonalTexts(pool, SecretKeys(settings))
    memory = Memory((REPORTS, WORKFLOWS, INSTANCES))
    process.start("memory", memory.follow(process.feed))
    app = create_app(
        Parts(
            pool=pool,
            commands=Commands(pool, process.writer, texts, memory),
            memory=memory,
            teams=Teams(pool, Limits(settings.max_running_backfills, settings.max_active_schedules)),
            fanout=fanout,
            store=store,
            clock=process.clock,
            accounts=AccountDesk(pool, accounts, Vault(pool, SecretKeys(settings)), settings),
            door=door,
            rates=rates,
            errors=errors,
            letters=LetterDesk(pool, open_broker(process.broker, settings)),
            witnesses=witness_keys(settings),
            texts=texts,
            erasing=Erasing(pool, process.feed.appended),
            stopping=stopping,
            health=process.health,
            scrape=process.scrape,
            pages=Pages.read(),
        )
    )
    server = await stack.enter_async_context(contextlib.AsyncExitStack())
    process.api_url = await server.enter_async_context(
        serving(Front(app, door.site), settings.host, settings.port, grace=settings.shutdown_grace)
    )
    process.sign_in_url = door.link(process.api_url)

    async def stop_serving(grace: float) -> None:
        await asyncio.sleep(settings.shutdown_delay)
        stopping.set()  # live streams end
        await server.aclose()

    process.drain.add("api", stop_serving)
