"""Four people's backfills share ten slots: fairly, never one too many, and through kills at random.

`make test` runs 8 of 15 segments each; `make chaos` 20 of 365 on four workers, and kills every second for two minutes.
"""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.chaos.crowd import LONG, ROLES, Crowd
from tests.rabbitmq import RabbitNode

PEOPLE = 4
EACH, DAYS = (5, 365) if LONG else (2, 15)
PATIENCE = 1500 if LONG else 120
# How long processes are killed, one each second.
KILLING = 120 if LONG else 6
SEED = 20261123

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


@pytest.fixture
def crowd(server_folder: Path, rabbit: RabbitNode, http: aiohttp.ClientSession) -> Iterator[Crowd]:
    crowd = Crowd(server_folder, http, people=PEOPLE, each=EACH, days=DAYS, REPORT_BUILDER_AMQP_URL=rabbit.url)
    yield crowd
    crowd.deployment.stop()


async def test_people_share_the_slots_fairly_and_never_have_one_too_many(crowd: Crowd) -> None:
    crowd.start_sandbox("--running-seconds", "0.1")
    crowd.start(ROLES if LONG else ("api,projector", "admission", "admission", "worker", "worker"))
    await crowd.submit()
    await crowd.finished(seconds=PATIENCE)
    await crowd.assert_exact()
    shares = await crowd.shares_when_the_first_was_done()
    # Slots are dealt one by one and in turn, so nobody is ahead by more than the slots that are at work.
    assert min(shares) >= (0.9 if LONG else 0.75), shares


async def test_processes_killed_at_random_lose_nothing_and_do_nothing_twice(crowd: Crowd) -> None:
    chance = random.Random(SEED)
    crowd.start_sandbox("--running-seconds", "0.1")
    processes = crowd.start(ROLES if LONG else ("api", "projector,admission", "worker", "worker"))
    await crowd.submit()
    for _ in range(KILLING):
        await asyncio.sleep(1)
        role = chance.choice([role for role, running in processes.items() for _ in running])
        _kill(processes[role].pop(0))
        processes[role].append(crowd.deployment.start("run", "--roles", role))
    await crowd.finished(seconds=PATIENCE)
    await crowd.assert_exact()


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)
