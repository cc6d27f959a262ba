"""The log over RabbitMQ: every event, in order, by one process at a time, whatever broker and processes go through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC
from secrets import token_hex

import aio_pika
import asyncpg
import msgspec
import pytest
from aio_pika.abc import AbstractIncomingMessage

from db.pool import Pool
from events.epochs import Epochs
from events.reader import read_after
from service.backfill.broker.topology import LogTopology
from service.stream.cloudevents import cloud_event
from tests.amqp_log import delete, kept, once, publishing
from tests.postgres import Database
from tests.rabbitmq import RabbitNode, shared_node
from tests.recording import append, note, request

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
def node() -> RabbitNode:
    node = shared_node()
    node.start()
    return node


@pytest.fixture
async def topology(node: RabbitNode) -> AsyncIterator[LogTopology]:
    topology = LogTopology(f"log-{token_hex(4)}", size=20_000_000)
    yield topology
    await delete(node.url, topology)


async def add(pool: Pool, count: int) -> None:
    async with pool.acquire() as connection:
        await append(connection, request("report-1", *(note() for _ in range(count))))


def up_to(last: int) -> Callable[[list[int]], bool]:
    return lambda found: bool(found) and found[-1] == last


async def checkpoint(pool: Pool) -> int:
    position: int = await pool.fetchval("SELECT position FROM subscriptions WHERE subscriber = 'amqp'")
    return position


async def test_every_event_is_sent_once_and_in_order_as_a_cloud_event(
    pool: Pool, node: RabbitNode, topology: LogTopology
) -> None:
    await add(pool, 600)
    async with publishing(pool, node.url, topology):
        assert await kept(node.url, topology.queue.name, up_to(600)) == list(range(1, 601))
        async with await aio_pika.connect(node.url) as connection:
            channel = await connection.channel()
            own = await channel.declare_queue(exclusive=True)
            await own.bind(topology.exchange, "log.#")
            await (await channel.declare_queue(f"{topology.exchange}.other", exclusive=True)).bind(
                topology.exchange, "report.#"
            )
            arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
            await own.consume(arrived.put, no_ack=True)
            await add(pool, 5)
            async with asyncio.timeout(20):
                messages = [await arrived.get() for _ in range(5)]
            assert (
                await channel.declare_queue(f"{topology.exchange}.other", passive=True)
            ).declaration_result.message_count == 0
    events = await read_after(pool, 600, 5)
    assert [message.body for message in messages] == [cloud_event(event, Epochs()) for event in events]
    for event, message in zip(events, messages, strict=True):
        assert (message.routing_key, message.exchange) == (event.event_type, topology.exchange)
        assert message.content_type == "application/cloudevents+json"
        assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        assert (message.message_id, message.type) == (str(event.id), event.event_type)
        assert message.timestamp == event.recorded_at.astimezone(UTC).replace(microsecond=0)
        assert msgspec.json.decode(message.body)["sequence"] == f"{event.position:020}"
    assert await checkpoint(pool) == 605


async def test_one_sends_and_when_it_ends_the_next_goes_on_behind_it(
    pool: Pool, node: RabbitNode, topology: LogTopology
) -> None:
    async with publishing(pool, node.url, topology):
        await add(pool, 10)
        await kept(node.url, topology.queue.name, up_to(10))
        async with publishing(pool, node.url, topology) as second:
            await add(pool, 10)
            await kept(node.url, topology.queue.name, up_to(20))
            assert second.problem is None
            assert await pool.fetchval("SELECT count(*) FROM subscriptions WHERE held_until > clock_timestamp()") == 1
    async with publishing(pool, node.url, topology):
        await add(pool, 10)
        assert await kept(node.url, topology.queue.name, up_to(30)) == list(range(1, 31))


async def test_what_was_sent_and_not_saved_is_sent_again_with_the_same_sequences(
    pool: Pool, node: RabbitNode, topology: LogTopology
) -> None:
    await add(pool, 700)
    async with publishing(pool, node.url, topology):
        await kept(node.url, topology.queue.name, up_to(700))
    await pool.execute("UPDATE subscriptions SET position = 300")  # as a process that was killed leaves it
    await add(pool, 10)
    async with publishing(pool, node.url, topology):
        found = await kept(node.url, topology.queue.name, up_to(710))
    assert found == [*range(1, 701), *range(301, 711)]
    assert once(found) == list(range(1, 711))


async def test_it_goes_on_from_what_the_broker_has_where_its_checkpoint_is_beyond(
    pool: Pool, node: RabbitNode, topology: LogTopology
) -> None:
    await add(pool, 20)
    async with publishing(pool, node.url, topology):
        await kept(node.url, topology.queue.name, up_to(20))
    await add(pool, 30)
    await pool.execute("UPDATE subscriptions SET position = 40")  # as if the broker had come back from an older backup
    async with publishing(pool, node.url, topology):
        assert await kept(node.url, topology.queue.name, up_to(50)) == list(range(1, 51))


async def test_a_broker_that_was_emptied_is_filled_again(
    pool: Pool, node: RabbitNode, topology: LogTopology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.stream.publisher.LOOK_EVERY", 0.1)
    await add(pool, 400)
    async with publishing(pool, node.url, topology):
        await kept(node.url, topology.queue.name, up_to(400))
        await delete(node.url, topology)
        await add(pool, 10)
        found = await kept(node.url, topology.queue.name, up_to(410))
    assert found == list(range(1, 411))


async def test_what_is_older_than_the_queue_keeps_is_not_sent_again_but_what_was_never_sent_is(
    database: Database, pool: Pool, node: RabbitNode, topology: LogTopology
) -> None:
    await add(pool, 100)
    owner = await asyncpg.connect(database.admin_url)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(
        "UPDATE report_builder_audit SET recorded_at = recorded_at - interval '31 days' WHERE position <= 60"
    )
    await owner.close()
    await pool.execute("INSERT INTO subscriptions VALUES ('amqp', 90, gen_random_uuid(), '-infinity')")
    async with publishing(pool, node.url, topology):
        assert await kept(node.url, topology.queue.name, up_to(100)) == list(range(61, 101))
    await delete(node.url, topology)
    await pool.execute("UPDATE subscriptions SET position = 30")
    async with publishing(pool, node.url, topology):
        assert await kept(node.url, topology.queue.name, up_to(100)) == list(range(31, 101))


async def test_connections_that_are_cut_in_the_middle_leave_no_gap(
    pool: Pool, node: RabbitNode, topology: LogTopology
) -> None:
    await add(pool, 500)
    async with publishing(pool, node.url, topology):
        await kept(node.url, topology.queue.name, up_to(500))
        for _ in range(3):
            await add(pool, 700)
            await asyncio.to_thread(node.ctl, "close_all_connections", "test")
        found = await kept(node.url, topology.queue.name, up_to(2600))
    assert once(found) == list(range(1, 2601))


async def test_a_queue_with_other_settings_is_named_until_it_is_deleted(
    pool: Pool, node: RabbitNode, topology: LogTopology
) -> None:
    await add(pool, 3)
    async with publishing(pool, node.url, topology):
        await kept(node.url, topology.queue.name, up_to(3))
    async with publishing(pool, node.url, LogTopology(topology.exchange.removesuffix(".events"), days=7)) as publisher:
        async with asyncio.timeout(30):
            while publisher.problem is None:
                await asyncio.sleep(0.05)
        assert "Delete the queue" in publisher.problem
        await delete(node.url, topology)
        assert await kept(node.url, topology.queue.name, up_to(3)) == [1, 2, 3]
        async with asyncio.timeout(30):
            while publisher.problem is not None:
                await asyncio.sleep(0.05)
