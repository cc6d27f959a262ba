"""Killed at any moment, with `kill -9`, the service goes on where the log says it stands.

`make test` runs 60 segments; `make chaos` a year of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import aiohttp
import pytest

from tests.deployment import Api, Deployment, write_numbers
from tests.rabbitmq import RabbitNode

DAYS = 365 if os.environ.get("TEST_LENGTH") == "long" else 60
PATIENCE = 240 if DAYS > 60 else 90


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


class Year:
    """A deployment with a table of days, and one backfill over all of them."""

    def __init__(self, folder: Path, http: aiohttp.ClientSession, environment: Mapping[str, str] | None) -> None:
        self.deployment = Deployment(folder, environment)
        self.api = Api(http, self.deployment)
        self._table = folder / "numbers.csv"
        self._first, self._last = write_numbers(self._table, DAYS)
        self.collection_id = ""

    def start_sandbox(self, *options: str) -> None:
        self.deployment.start_sandbox(self._table, *options)

    async def submit(self, *, parallel_limit: int = 10) -> None:
        await self.api.ready()
        self.collection_id = await self.api.submit_backfill(self._first, self._last, parallel_limit=parallel_limit)

    async def completed(self, share: float) -> None:
        """Waits until this share of the segments is completed."""
        await self.api.completed(self.collection_id, int(DAYS * share), seconds=PATIENCE)

    async def ends_exact(self) -> None:
        await self.api.finished(self.collection_id, seconds=PATIENCE)
        await self.api.assert_exact(self.collection_id, DAYS)


Begin = Callable[..., Year]


@pytest.fixture
def begin(server_folder: Path, http: aiohttp.ClientSession) -> Iterator[Begin]:
    """Makes the deployment, with settings of the test's own, and stops it at the end."""
    made: list[Year] = []

    def make(**environment: str) -> Year:
        made.append(Year(server_folder, http, environment))
        return made[-1]

    yield make
    for year in made:
        year.deployment.stop()


def spread_over_processes(deployment: Deployment) -> dict[str, list[subprocess.Popen[bytes]]]:
    """API, projector, admission and two workers, each a process of its own."""
    roles = ["api", "projector", "admission", "worker", "worker"]
    processes: dict[str, list[subprocess.Popen[bytes]]] = {}
    for role in roles:
        processes.setdefault(role, []).append(deployment.start("run", "--roles", role))
    return processes


async def test_everything_killed_at_once_goes_on_with_nothing_lost_or_done_twice(begin: Begin) -> None:
    year = begin()
    year.start_sandbox()
    year.deployment.start("run")
    await year.submit()
    for share in (0.2, 0.6):
        await year.completed(share)
        year.deployment.kill_everything()
        year.start_sandbox()
        year.deployment.start("run")
        await year.api.ready()
    await year.ends_exact()


@pytest.mark.long  # in the short form the crowd is there for it
@pytest.mark.rabbitmq
async def test_spread_over_processes_it_keeps_to_the_parallel_limit(begin: Begin, rabbit: RabbitNode) -> None:
    year = begin(REPORT_BUILDER_AMQP_URL=rabbit.url)
    year.start_sandbox("--running-seconds", "0.1")
    spread_over_processes(year.deployment)
    await year.submit(parallel_limit=4)
    await year.completed(0.1)
    queues = rabbit.ctl("list_queues", "name", "type", "messages")
    ours = [line for line in queues.splitlines() if line.startswith(year.deployment.queues)]
    assert ours
    assert all("quorum" in line for line in ours), queues
    await year.ends_exact()
    assert (await year.api.sandbox_stats())["max_concurrent_seen"]["overall"] <= 4


@pytest.mark.long  # in the short form the crowd is there for it
@pytest.mark.rabbitmq
async def test_single_processes_killed_one_after_another_lose_nothing(begin: Begin, rabbit: RabbitNode) -> None:
    year = begin(REPORT_BUILDER_AMQP_URL=rabbit.url)
    year.start_sandbox()
    processes = spread_over_processes(year.deployment)
    await year.submit()
    victims = ["worker", "admission", "projector", "worker", "api"]
    for number, role in enumerate(victims, 1):
        await year.completed(number / (len(victims) + 2))
        victim = processes[role].pop(0)
        victim.send_signal(signal.SIGKILL)
        victim.wait(10)
        processes[role].append(year.deployment.start("run", "--roles", role))
    await year.api.ready()
    await year.ends_exact()


async def test_answers_dropped_after_acting_never_lead_to_a_second_execution(begin: Begin) -> None:
    year = begin()
    year.start_sandbox("--drop-every", "5")
    year.deployment.start("run")
    await year.submit()
    await year.ends_exact()


async def test_sigterm_drains_and_the_next_process_goes_on(begin: Begin) -> None:
    year = begin()
    year.start_sandbox()
    service = year.deployment.start("run")
    await year.submit()
    await year.completed(0.25)
    service.terminate()
    assert service.wait(25) == 0, year.deployment.output()
    year.deployment.start("run")
    await year.api.ready()
    await year.ends_exact()
