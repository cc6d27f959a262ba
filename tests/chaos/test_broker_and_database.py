"""What a backfill stands on breaks under it: PostgreSQL killed, RabbitMQ killed, emptied, out of memory. It completes,
exact, with nothing run twice and the caps kept.

`make test` runs 40 segments through each; `make chaos` 300, with five kills of PostgreSQL and an alarm of 20 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.chaos.fleet import DAYS, LONG, Fleet
from tests.postgres import OwnServer
from tests.rabbitmq import RabbitNode

KILLS = 5 if LONG else 1
ALARM = 20.0 if LONG else 4.0

pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitNode]:
    with RabbitNode() as node:
        yield node


@pytest.fixture(scope="module")
def fleet(rabbit: RabbitNode, module_folder: Path) -> Iterator[Fleet]:
    """One for all tests of the module: each leaves it whole."""
    postgres = OwnServer(module_folder / "postgres")
    asyncio.run(postgres.start())
    fleet = Fleet(module_folder, postgres, {"REPORT_BUILDER_AMQP_URL": rabbit.url})
    fleet.start()
    yield fleet
    fleet.deployment.stop()
    asyncio.run(postgres.stop())


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def test_postgresql_killed_and_started_again_loses_nothing(fleet: Fleet, http: aiohttp.ClientSession) -> None:
    backfill = await fleet.backfill(http, "PostgreSQL killed")
    for number in range(1, KILLS + 1):
        await backfill.completed(number / (KILLS + 2))
        fleet.postgres.kill()
        await fleet.postgres.start()
    await backfill.ends_exact()


async def test_rabbitmq_killed_and_started_again_loses_nothing(
    fleet: Fleet, rabbit: RabbitNode, http: aiohttp.ClientSession
) -> None:
    backfill = await fleet.backfill(http, "RabbitMQ killed")
    await backfill.completed(0.3)
    await asyncio.to_thread(rabbit.kill)
    await asyncio.to_thread(rabbit.start)
    await backfill.ends_exact()


async def test_rabbitmq_emptied_is_filled_again(fleet: Fleet, rabbit: RabbitNode, http: aiohttp.ClientSession) -> None:
    backfill = await fleet.backfill(http, "RabbitMQ emptied")
    await backfill.completed(0.3)
    await asyncio.to_thread(rabbit.kill)
    rabbit.wipe()
    await asyncio.to_thread(rabbit.start)
    await backfill.ends_exact()


async def test_rabbitmq_out_of_memory_stops_the_work_and_wears_nothing_out(
    fleet: Fleet, rabbit: RabbitNode, http: aiohttp.ClientSession
) -> None:
    # Paused until the alarm is there: the command takes as long as the whole backfill may.
    backfill = await fleet.backfill(http, "RabbitMQ out of memory", paused=True)
    await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "0.0001")
    try:
        await backfill.resume()
        await asyncio.sleep(ALARM)
        assert await backfill.count() < DAYS  # no step can be ordered
    finally:
        await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "0.4")
    await backfill.ends_exact()
    assert (await backfill.api.get("/api/dead-letters"))["items"] == []
