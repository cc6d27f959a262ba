"""The role worker: it takes the steps of segments from the broker."""

from __future__ import annotations

import structlog

from events.streams import Streams
from service.amc.connections import OF_DEFAULT
from service.amc.keys import SecretKeys
from service.backfill.turn import Tools
from service.backfill.worker import Worker
from service.persons.texts import PersonalTexts
from service.results.stores import create_store
from service.roles.process import Process
from service.roles.shared import open_broker, open_connections
from service.settings import PREFIX

log = structlog.get_logger()


async def start(process: Process) -> None:
    settings = process.settings
    if missing := [PREFIX + name.upper() for name in OF_DEFAULT if not getattr(settings, name)]:
        log.info("no_default_account", settings=missing, remedy="instances of the account `default` wait for them")
    store = create_store(settings)
    store.prepare()
    accounts = await open_connections(process)
    texts = PersonalTexts(process.pool, SecretKeys(settings))
    streams, broker = Streams(process.pool), await open_broker(process)
    tools = Tools(process.pool, streams, process.writer, broker, accounts, store, settings, set(), texts)
    process.consumption = await Worker(tools).start()
    process.drain.add("worker", process.consumption.stop)
    process.start("accounts", accounts.try_held())
