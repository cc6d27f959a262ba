"""Programs follow the log while it grows fast, connections are cut, and the API and RabbitMQ are restarted: each has
every event once, in order.

`make test` follows 1,500 events with 20 readers over HTTP and 2 over AMQP; `make chaos` 500 events a second, for a
minute, with 200 and 4.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from db.pool import Pool, open_pool
from events.writer import AppendWriter
from tests.chaos.followers import Follower, QueueFollower, at_work, caught_up, cut_at_random
from tests.deployment import Deployment
from tests.postgres import Database
from tests.rabbitmq import RabbitNode
from tests.recording import note, request

LONG = os.environ.get("TEST_LENGTH") == "long"
READERS, QUEUE_READERS = (200, 4) if LONG else (20, 2)
RATE, SECONDS = (500, 60) if LONG else (250, 6)
STALL = 30 if LONG else 3
PATIENCE = 240
TICK = 0.05
SEED = 20261123
# The API's memory may grow by this while its readers are cut, stalled and behind, in bytes.
MOST_GROWTH = 150 * 1024 * 1024

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
def deployment(server_folder: Path, database: Database, rabbit: RabbitNode) -> Iterator[Deployment]:
    deployment = Deployment(
        server_folder,
        {
            "REPORT_BUILDER_DATABASE_URL": database.service_url,
            "REPORT_BUILDER_AMQP_URL": rabbit.url,
            "REPORT_BUILDER_AMQP_LOG_BYTES": "100000000",
            "REPORT_BUILDER_STREAMS_PER_USER": "2000",
            "REPORT_BUILDER_RATE_READS": "0",
        },
    )
    yield deployment
    deployment.stop()


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    pool = await open_pool(database.service_url, size=3)
    yield pool
    await pool.close()


async def write(pool: Pool, events: int) -> None:
    """Appends the events at RATE, as the requests of many people."""
    writer = AppendWriter(pool)
    each = max(int(RATE * TICK), 1)
    begun = asyncio.get_running_loop().time()
    for number in range(0, events, each):
        await asyncio.gather(
            *(writer.append(request(f"report-{number + one}", note(team_id="local"))) for one in range(each))
        )
        ahead = begun + number / RATE - asyncio.get_running_loop().time()
        await asyncio.sleep(max(ahead, 0))
    await writer.close()


async def ready(deployment: Deployment) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(90):
        while True:
            try:
                async with http.get(f"{deployment.url}/healthz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


def memory(process: subprocess.Popen[bytes]) -> int:
    """What it has in memory, in bytes."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    process.wait(30)


async def test_every_reader_has_every_event_once_and_in_order(
    deployment: Deployment, pool: Pool, rabbit: RabbitNode
) -> None:
    total = RATE * SECONDS
    publisher = deployment.start("run", "--roles", "publisher")
    api = deployment.start("run", "--roles", "api")
    await ready(deployment)
    readers = [Follower(deployment.url) for _ in range(READERS)]
    stalled, late, *others = readers
    queue = f"{deployment.queues}.log"
    queue_readers = [QueueFollower(rabbit.url, queue, deployment.url) for _ in range(QUEUE_READERS)]

    writing = asyncio.create_task(write(pool, total))
    async with at_work(stalled, *others, *queue_readers):
        cutting = asyncio.create_task(cut_at_random(others, 0.1 if LONG else 0.3, random.Random(SEED)))
        await asyncio.sleep(SECONDS / 6)
        stalling = asyncio.create_task(stalled.stall(STALL))
        before = memory(api)
        await asyncio.sleep(SECONDS / 6)
        end(api, signal.SIGKILL)
        api = deployment.start("run", "--roles", "api")
        if LONG:
            await asyncio.to_thread(rabbit.stop)
            await asyncio.to_thread(rabbit.start)
        else:
            await asyncio.to_thread(rabbit.ctl, "close_all_connections", "a test")
        # One that begins with the first event meets the live end in the middle of the load.
        async with at_work(late):
            end(publisher, signal.SIGTERM)
            deployment.start("run", "--roles", "publisher")
            await asyncio.gather(writing, stalling)
            cutting.cancel()
            await caught_up([*readers, *queue_readers], total, PATIENCE)
            after = memory(api)

    assert [(reader.repeats, reader.gaps) for reader in readers] == [([], [])] * READERS
    assert {*(each.position for each in readers), *(each.position for each in queue_readers)} == {total}
    assert sum(reader.cuts for reader in others) > 5
    assert late.cuts == stalled.cuts == 0
    assert after - before < MOST_GROWTH, (before, after)
    print(f"{total} events, {sum(reader.cuts for reader in readers)} cuts, the API {before >> 20} → {after >> 20} MiB")
    print(f"over AMQP: {[(each.dropped, each.fetched) for each in queue_readers]} dropped as repeats, fetched by page")
