"""RabbitMQ as a cluster of three: the node that leads the queues is killed, and the work goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_hex

import aiohttp
import pytest

from service.backfill.broker import Topology
from service.backfill.broker.amqp import AmqpBroker
from service.backfill.broker.publisher import Publisher
from tests.chaos.fleet import Fleet
from tests.deployment import Api
from tests.postgres import OwnServer
from tests.rabbitmq import RabbitCluster

pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def cluster() -> Iterator[RabbitCluster]:
    with RabbitCluster() as cluster:
        yield cluster


@pytest.fixture
async def fleet(cluster: RabbitCluster, server_folder: Path) -> AsyncIterator[Fleet]:
    postgres = OwnServer(server_folder / "postgres")
    await postgres.start()
    fleet = Fleet(server_folder, postgres, {"REPORT_BUILDER_AMQP_URL": cluster.url})
    fleet.start()
    yield fleet
    fleet.deployment.stop()
    await postgres.stop()


async def test_the_leader_of_a_cluster_of_three_killed_loses_nothing(fleet: Fleet, cluster: RabbitCluster) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        await Api(http, fleet.deployment).ready(60)
        work = f"{fleet.deployment.queues}.work.bulk"
        members = await asyncio.to_thread(cluster.ctl, "list_queues", "--no-table-headers", "name", "members")
        ours = [line for line in members.splitlines() if line.startswith(fleet.deployment.queues)]
        assert ours
        assert all(line.count("@localhost") == 3 for line in ours), members
        leader = (await asyncio.to_thread(cluster.leaders))[work]
        backfill = await fleet.backfill(http, "leader killed")
        await backfill.completed(0.2)
        await asyncio.to_thread(cluster.nodes[leader].kill)
        await backfill.completed(0.5)
        assert (await asyncio.to_thread(cluster.leaders))[work] != leader
        await backfill.ends_exact()
        assert (await backfill.api.get("/api/dead-letters"))["items"] == []


async def test_who_first_met_a_queue_without_a_leader_sends_to_it_once_it_has_one(cluster: RabbitCluster) -> None:
    for node in cluster.nodes.values():
        await asyncio.to_thread(node.start)
    topology = Topology(f"no-leader-{token_hex(4)}", delays=())
    broker = AmqpBroker(cluster.url, topology=topology)
    await broker.start()
    await broker.close()
    queue = topology.work["bulk"]
    leader = (await asyncio.to_thread(cluster.leaders))[queue]
    back, *_ = set(cluster.nodes) - {leader}
    for name in (leader, back):
        await asyncio.to_thread(cluster.nodes[name].kill)
    publisher = Publisher(cluster.url, "came while there was no leader", timeout=5)
    await publisher.connection.start()
    try:
        assert "Nack" in (await publisher.send([(queue, b"{}")]))[0]
        await asyncio.to_thread(cluster.nodes[back].start)
        async with asyncio.timeout(60):
            while await publisher.send([(queue, b"{}")]):
                await asyncio.sleep(0.2)
    finally:
        await publisher.connection.close()
