"""Killed at any moment, with `kill -9`, the service goes on where the log says it stands.

`make test` runs 60 segments; `make chaos` a year of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.deployment import Api, Deployment, write_numbers
from tests.rabbitmq import RabbitNode

DAYS = 365 if os.environ.get("TEST_LENGTH") == "long" else 60
PATIENCE = 240 if DAYS > 60 else 90


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitNode]:
    with RabbitNode() as node:
        yield node


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


def spread_over_processes(deployment: Deployment) -> dict[str, list[subprocess.Popen[bytes]]]:
    """API, projector, two admissions and two workers, each a process of its own."""
    roles = ["api", "projector", "admission", "admission", "worker", "worker"]
    processes: dict[str, list[subprocess.Popen[bytes]]] = {}
    for role in roles:
        processes.setdefault(role, []).append(deployment.start("run", "--roles", role))
    return processes


async def test_everything_killed_at_once_goes_on_with_nothing_lost_or_done_twice(
    server_folder: Path, http: aiohttp.ClientSession
) -> None:
    deployment = Deployment(server_folder)
    api = Api(http, deployment)
    table = server_folder / "numbers.csv"
    first, last = write_numbers(table, DAYS)
    try:
        deployment.start_sandbox(table)
        deployment.start("run")
        await api.ready()
        collection_id = await api.submit_backfill(first, last)
        for share in (0.2, 0.6):
            await api.completed(collection_id, int(DAYS * share), seconds=PATIENCE)
            deployment.kill_everything()
            deployment.start_sandbox(table)
            deployment.start("run")
            await api.ready()
        await api.finished(collection_id, seconds=PATIENCE)
        await api.assert_exact(collection_id, DAYS)
    finally:
        deployment.stop()


@pytest.mark.rabbitmq
async def test_spread_over_processes_it_keeps_to_the_parallel_limit(
    server_folder: Path, http: aiohttp.ClientSession, rabbit: RabbitNode
) -> None:
    deployment = Deployment(server_folder, {"REPORT_BUILDER_AMQP_URL": rabbit.url})
    api = Api(http, deployment)
    table = server_folder / "numbers.csv"
    first, last = write_numbers(table, DAYS)
    try:
        deployment.start_sandbox(table, "--running-seconds", "0.1")
        spread_over_processes(deployment)
        await api.ready()
        collection_id = await api.submit_backfill(first, last, parallel_limit=4)
        await api.completed(collection_id, 10, seconds=PATIENCE)
        queues = rabbit.ctl("list_queues", "name", "type", "messages")
        ours = [line for line in queues.splitlines() if line.startswith("report_builder.")]
        assert ours
        assert all("quorum" in line for line in ours), queues
        await api.finished(collection_id, seconds=PATIENCE)
        await api.assert_exact(collection_id, DAYS)
        assert (await api.sandbox_stats())["max_concurrent_seen"]["overall"] <= 4
    finally:
        deployment.stop()


@pytest.mark.rabbitmq
async def test_single_processes_killed_one_after_another_lose_nothing(
    server_folder: Path, http: aiohttp.ClientSession, rabbit: RabbitNode
) -> None:
    deployment = Deployment(server_folder, {"REPORT_BUILDER_AMQP_URL": rabbit.url})
    api = Api(http, deployment)
    table = server_folder / "numbers.csv"
    first, last = write_numbers(table, DAYS)
    try:
        deployment.start_sandbox(table)
        processes = spread_over_processes(deployment)
        await api.ready()
        collection_id = await api.submit_backfill(first, last)
        victims = ["worker", "admission", "projector", "worker", "api"]
        for number, role in enumerate(victims, 1):
            await api.completed(collection_id, int(DAYS * number / (len(victims) + 2)), seconds=PATIENCE)
            victim = processes[role].pop(0)
            victim.send_signal(signal.SIGKILL)
            victim.wait(10)
            processes[role].append(deployment.start("run", "--roles", role))
        await api.ready()
        await api.finished(collection_id, seconds=PATIENCE)
        await api.assert_exact(collection_id, DAYS)
    finally:
        deployment.stop()


@pytest.mark.rabbitmq
async def test_a_broker_that_loses_everything_it_held_is_filled_again(
    server_folder: Path, http: aiohttp.ClientSession
) -> None:
    table = server_folder / "numbers.csv"
    first, last = write_numbers(table, DAYS)
    with RabbitNode() as node:
        deployment = Deployment(server_folder, {"REPORT_BUILDER_AMQP_URL": node.url})
        api = Api(http, deployment)
        try:
            deployment.start_sandbox(table)
            spread_over_processes(deployment)
            await api.ready()
            collection_id = await api.submit_backfill(first, last)
            await api.completed(collection_id, DAYS // 4, seconds=PATIENCE)
            node.kill()
            node.wipe()
            node.start()
            await api.finished(collection_id, seconds=PATIENCE)
            await api.assert_exact(collection_id, DAYS)
        finally:
            deployment.stop()


async def test_answers_dropped_after_acting_never_lead_to_a_second_execution(
    server_folder: Path, http: aiohttp.ClientSession
) -> None:
    deployment = Deployment(server_folder)
    api = Api(http, deployment)
    table = server_folder / "numbers.csv"
    first, last = write_numbers(table, DAYS)
    try:
        deployment.start_sandbox(table, "--drop-every", "5")
        deployment.start("run")
        await api.ready()
        collection_id = await api.submit_backfill(first, last)
        await api.finished(collection_id, seconds=PATIENCE)
        await api.assert_exact(collection_id, DAYS)
    finally:
        deployment.stop()


async def test_sigterm_drains_and_the_next_process_goes_on(
    server_folder: Path, http: aiohttp.ClientSession
) -> None:
    deployment = Deployment(server_folder)
    api = Api(http, deployment)
    table = server_folder / "numbers.csv"
    first, last = write_numbers(table, DAYS)
    try:
        deployment.start_sandbox(table)
        service = deployment.start("run")
        await api.ready()
        collection_id = await api.submit_backfill(first, last)
        await api.completed(collection_id, DAYS // 4, seconds=PATIENCE)
        service.terminate()
        assert service.wait(25) == 0, deployment.output()
        deployment.start("run")
        await api.ready()
        await api.finished(collection_id, seconds=PATIENCE)
        await api.assert_exact(collection_id, DAYS)
    finally:
        deployment.stop()
