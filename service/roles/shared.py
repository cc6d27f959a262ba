"""What several roles need: opened by the first of them in a process, and used by all."""

from __future__ import annotations

import aiohttp

from service.amc.connections import Connections
from service.amc.keys import SecretKeys
from service.amc.vault import Vault
from service.backfill.broker import Broker, create_broker
from service.roles.process import Process


async def open_broker(process: Process) -> Broker:
    """The broker between admission and workers."""
    if process.broker is None:
        broker = create_broker(process.settings.amqp_url, prefix=process.settings.amqp_prefix)
        await broker.start()
        process.stack.push_async_callback(broker.close)
        process.health.check("broker", lambda: None if broker.healthy else "not connected")
        process.broker = broker
    return process.broker


async def open_session(process: Process) -> aiohttp.ClientSession:
    """What HTTP requests are sent through."""
    if process.session is None:
        process.session = await process.stack.enter_async_context(aiohttp.ClientSession())
    return process.session


async def open_connections(process: Process) -> Connections:
    """The accounts that AMC is called with."""
    if process.connections is None:
        vault = Vault(process.pool, SecretKeys(process.settings))
        session = await open_session(process)
        process.connections = Connections(process.pool, process.writer, session, vault, process.settings)
    return process.connections
