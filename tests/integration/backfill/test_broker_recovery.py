"""RabbitMQ as it is on bad days: restarted, wiped, frozen, out of memory, its queues deleted under us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from secrets import token_hex

import aio_pika
import pytest

from service.backfill.broker import (
    BrokerRefused,
    BrokerUnavailable,
    Delivery,
    Lane,
    PublishFailed,
    StepMessage,
    Topology,
)
from service.backfill.broker.amqp import AmqpBroker
from service.backfill.broker.connection import KeptConnection
from service.backfill.broker.consumer import LaneConsumer
from tests.rabbitmq import RabbitNode, shared_node

QUIET = 600.0
"""Seconds between two looks of the watchdog where a test shows that something else wakes it."""


@pytest.fixture
def node() -> RabbitNode:
    node = shared_node()
    node.start()
    return node


@pytest.fixture
def topology() -> Topology:
    return Topology(f"recovery-{token_hex(4)}", delays=(0.1, 1.0))


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., Awaitable[AmqpBroker]]]:
    """Makes started brokers and closes them after the test."""
    brokers = []

    async def start(url: str, topology: Topology, *, timeout: float = 10, watch: float = QUIET) -> AmqpBroker:
        broker = AmqpBroker(url, topology=topology, timeout=timeout, watchdog_interval=watch)
        brokers.append(broker)
        await broker.start()
        return broker

    yield start
    for broker in brokers:
        await broker.close()


Opened = Callable[..., Awaitable[AmqpBroker]]


def message(name: str, lane: Lane = "bulk") -> StepMessage:
    return StepMessage(segment_id=name, collection_id="c", team_id="t", step="poll", fence=1, sequence=1, lane=lane)


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def publish_until_taken(broker: AmqpBroker, *messages: StepMessage, seconds: float = 30) -> None:
    """Send again what was not confirmed, as the sweeper does."""
    waiting = messages
    async with asyncio.timeout(seconds):
        while waiting:
            try:
                await broker.publish(waiting)
                return
            except PublishFailed as failed:
                waiting = failed.unconfirmed
                await asyncio.sleep(0.1)


async def delete_queue(node: RabbitNode, name: str) -> None:
    async with await aio_pika.connect(node.url) as connection:
        await (await connection.channel()).queue_delete(name)


async def count_consumers(node: RabbitNode, name: str) -> int:
    """How many consumers the broker sees on this queue; none where it is missing."""
    async with await aio_pika.connect(node.url) as connection:
        channel = await connection.channel()
        try:
            queue = await channel.declare_queue(name, passive=True)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return 0
        return queue.declaration_result.consumer_count or 0


async def test_every_queue_is_a_durable_quorum_queue(node: RabbitNode, opened: Opened) -> None:
    topology = Topology(f"recovery-{token_hex(4)}")
    await opened(node.url, topology)
    listed = await asyncio.to_thread(node.ctl, "list_queues", "--no-table-headers", "name", "type", "durable")
    queues = dict(line.split("\t", 1) for line in listed.splitlines())
    for queue in topology.declarations():
        assert queues[queue.name] == "quorum\ttrue"


async def test_no_channel_has_a_prefetch_for_all_its_consumers_and_no_policy_is_set(
    node: RabbitNode, topology: Topology, opened: Opened
) -> None:
    async def handler(_: Delivery) -> None:
        return

    broker = await opened(node.url, topology)
    await broker.consume(handler, concurrency=8)
    channels = await asyncio.to_thread(
        node.ctl, "list_channels", "--no-table-headers", "consumer_count", "prefetch_count", "global_prefetch_count"
    )
    ours = [line.split() for line in channels.splitlines() if line.startswith("1")]
    assert {tuple(line[1:]) for line in ours} >= {("2", "0"), ("6", "0")}
    assert {line[2] for line in ours} == {"0"}
    assert not (await asyncio.to_thread(node.ctl, "list_policies", "--no-table-headers")).strip()


async def test_where_one_node_of_an_address_is_away_the_next_is_used(
    node: RabbitNode, topology: Topology, opened: Opened
) -> None:
    for _ in range(5):  # which one comes first is chance
        broker = await opened(f"amqp://guest:guest@127.0.0.1:1/, {node.url}", topology)
        assert broker.healthy
        await broker.publish([message("a")])


async def test_publishing_waits_for_the_confirm(node: RabbitNode, topology: Topology, opened: Opened) -> None:
    broker = await opened(node.url, topology, timeout=1)
    node.pause()
    try:
        start = time.monotonic()
        with pytest.raises(PublishFailed) as failed:
            await broker.publish([message("a"), message("b")])
        assert 0.9 < time.monotonic() - start < 2.5
        assert failed.value.unconfirmed == (message("a"), message("b"))
    finally:
        node.resume()
    # They were on their way all the same: a time-out does not mean "not sent".
    async with asyncio.timeout(10):
        while (await broker.depths())[topology.work["bulk"]] != 2:
            await asyncio.sleep(0.05)
    await publish_until_taken(broker, message("c"))


async def test_publishing_fails_for_what_no_queue_takes_and_for_that_alone(
    node: RabbitNode, topology: Topology, opened: Opened
) -> None:
    broker = await opened(node.url, topology)
    broker._wake.set = lambda: None  # type: ignore[method-assign]  # nobody shall mend it meanwhile
    await delete_queue(node, topology.work["bulk"])
    lanes: list[Lane] = ["bulk", "interactive"]
    mixed = [message(f"{n}", lanes[n % 2]) for n in range(40)]
    with pytest.raises(PublishFailed, match="NO_ROUTE") as failed:
        await broker.publish(mixed)
    assert list(failed.value.unconfirmed) == [each for each in mixed if each.lane == "bulk"]
    assert (await broker.depths())[topology.work["interactive"]] == 20


async def test_a_wait_queue_that_was_deleted_comes_back_after_the_failure(
    node: RabbitNode, topology: Topology, opened: Opened
) -> None:
    broker = await opened(node.url, topology)
    await delete_queue(node, topology.route("bulk", 1))
    with pytest.raises(PublishFailed, match="NO_ROUTE"):
        await broker.publish([message("a")], delay=1)
    async with asyncio.timeout(10):
        while True:
            try:
                await broker.publish([message("a")], delay=1)
                break
            except PublishFailed:
                await asyncio.sleep(0.05)


async def test_a_deleted_work_queue_is_declared_and_consumed_again(
    node: RabbitNode, topology: Topology, opened: Opened
) -> None:
    taken: list[str] = []

    async def handler(delivery: Delivery) -> None:
        taken.append(delivery.message.segment_id)

    broker = await opened(node.url, topology)
    await broker.consume(handler, concurrency=4)
    for queue in topology.work.values():
        await delete_queue(node, queue)
        # Without a word from us: a publish that fails would wake the watchdog as well.
        async with asyncio.timeout(10):
            while await count_consumers(node, queue) != 1:
                await asyncio.sleep(0.05)
    await broker.publish([message("a"), message("b", "interactive")])
    await until(lambda: sorted(taken) == ["a", "b"], 10)
    assert broker.healthy


async def test_the_watchdog_finds_what_nobody_reported(node: RabbitNode, topology: Topology, opened: Opened) -> None:
    taken: list[str] = []

    async def handler(delivery: Delivery) -> None:
        taken.append(delivery.message.segment_id)

    broker = await opened(node.url, topology, watch=0.2)
    consumption = await broker.consume(handler, concurrency=2)
    # The subscription ends behind the consumer's back: it still believes itself attached.
    for lane in consumption.lanes:
        assert lane._channel is not None
        underlay = await lane._channel.get_underlay_channel()
        await underlay.basic_cancel(lane._tag)
        assert lane.attached
    await broker.publish([message("a")])
    await until(lambda: taken == ["a"], 10)


async def test_a_consumer_that_gets_nothing_of_what_waits_is_stalled_at_the_second_look() -> None:
    async def handler(_: Delivery) -> None:
        return

    consumer = LaneConsumer("queue", handler, 1, asyncio.Semaphore(1))
    assert [consumer.looks_stalled(ready) for ready in (5, 0, 5, 5)] == [False, False, False, True]


async def test_a_handler_outlives_its_connection_and_the_repeat_says_so(
    node: RabbitNode, topology: Topology, opened: Opened
) -> None:
    release = asyncio.Event()
    finished: list[Delivery] = []
    started: list[Delivery] = []

    async def handler(delivery: Delivery) -> None:
        started.append(delivery)
        if not delivery.redelivered:
            await release.wait()
        finished.append(delivery)

    broker = await opened(node.url, topology)
    await broker.consume(handler, concurrency=4)
    await broker.publish([message("a")])
    await until(lambda: len(started) == 1)
    await asyncio.to_thread(node.ctl, "close_all_connections", "as the test asked")
    await until(lambda: len(finished) == 1)  # the repeat, over the new connection
    assert finished[0].redelivered
    release.set()
    await until(lambda: len(finished) == 2)  # the first was never cancelled
    assert not finished[1].redelivered
    await until(lambda: broker.healthy)
    depths = await broker.depths()
    assert sum(depths.values()) == 0


async def test_publishing_fails_in_time_while_the_broker_is_out_of_memory_and_consuming_goes_on(
    node: RabbitNode, topology: Topology, opened: Opened
) -> None:
    release = asyncio.Event()
    taken: list[str] = []

    async def handler(delivery: Delivery) -> None:
        await release.wait()
        taken.append(delivery.message.segment_id)

    broker = await opened(node.url, topology, timeout=1)
    await broker.consume(handler, concurrency=2)
    await broker.publish([message("before")])
    closing = await opened(node.url, topology, timeout=1)
    await asyncio.to_thread(node.ctl, "set_vm_memory_high_watermark", "0.0001")
    try:
        for attempt in ("first", "second"):
            start = time.monotonic()
            with pytest.raises(PublishFailed):
                await broker.publish([message(attempt)] * 3)
            assert time.monotonic() - start < 2.5
        assert not broker.healthy
        with pytest.raises(PublishFailed, match="memory"):
            await broker.publish([message("third")])

        release.set()
        await until(lambda: taken == ["before"], 5)
        depths = await broker.depths()  # asked over the other connection, so it is answered
        assert depths[topology.work["bulk"]] == 0

        with pytest.raises(PublishFailed):
            await closing.publish([message("x")])
        start = time.monotonic()
        await closing.close()
        assert time.monotonic() - start < 10
    finally:
        await asyncio.to_thread(node.ctl, "set_vm_memory_high_watermark", "0.4")
    await publish_until_taken(broker, message("after"))
    await until(lambda: "after" in taken)
    assert broker.healthy
    assert "third" not in taken  # given up before it was written: really not sent


async def test_an_absent_broker_delays_nothing_but_messages(topology: Topology, opened: Opened) -> None:
    start = time.monotonic()
    broker = await opened("amqp://guest:guest@127.0.0.1:1/", topology, timeout=0.5)
    assert not broker.healthy

    async def handler(_: Delivery) -> None:
        return

    consumption = await broker.consume(handler, concurrency=2)
    with pytest.raises(PublishFailed):
        await broker.publish([message("a")])
    with pytest.raises(BrokerUnavailable):
        await broker.depths()
    with pytest.raises(BrokerUnavailable):
        await broker.dead_letters()
    await consumption.stop(grace=1)
    assert time.monotonic() - start < 5


async def test_a_wrong_password_stops_the_start(node: RabbitNode, topology: Topology, opened: Opened) -> None:
    with pytest.raises(BrokerRefused, match="user or password"):
        await opened(node.url.replace("guest:guest", "guest:wrong"), topology)


async def test_queues_declared_otherwise_stop_the_start_and_name_the_remedy(
    node: RabbitNode, topology: Topology, opened: Opened
) -> None:
    async with await aio_pika.connect(node.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(topology.dead, durable=True)
    with pytest.raises(BrokerRefused, match=r"\.dead exists with other settings.*Drain and delete it"):
        await opened(node.url, topology)


async def test_messages_survive_a_restart_and_consumers_come_back(
    node: RabbitNode, topology: Topology, opened: Opened
) -> None:
    taken: list[str] = []

    async def handler(delivery: Delivery) -> None:
        taken.append(delivery.message.segment_id)

    broker = await opened(node.url, topology)
    await broker.publish([message(f"{n}") for n in range(50)])
    await broker.publish([message("waiting")], delay=1)
    idle = await opened(node.url, topology)
    await idle.consume(handler, concurrency=4)
    await until(lambda: len(taken) >= 50)
    await broker.publish([message("delayed")], delay=1)
    await asyncio.to_thread(node.stop)
    assert not broker.healthy
    await asyncio.to_thread(node.start)
    await until(lambda: broker.healthy and idle.healthy)
    await until(lambda: "delayed" in taken and "waiting" in taken)
    await publish_until_taken(broker, message("after"))
    await until(lambda: "after" in taken)
    assert set(taken) == {*(f"{n}" for n in range(50)), "waiting", "delayed", "after"}


async def test_a_broker_that_lost_everything_is_put_to_use_again(
    node: RabbitNode, topology: Topology, opened: Opened
) -> None:
    release = asyncio.Event()
    taken: list[str] = []

    async def handler(delivery: Delivery) -> None:
        if delivery.message.segment_id == "held":
            await release.wait()
        taken.append(delivery.message.segment_id)

    broker = await opened(node.url, topology, timeout=2)
    consumption = await broker.consume(handler, concurrency=4)
    await broker.publish([message("held")])
    await until(lambda: consumption.in_progress == 1)
    await asyncio.to_thread(node.kill)
    node.wipe()
    await until(lambda: not broker.healthy)
    with pytest.raises(PublishFailed):
        await broker.publish([message("lost")])
    assert consumption.in_progress == 1
    await asyncio.to_thread(node.start)
    await publish_until_taken(broker, message("bulk"), message("interactive", "interactive"))
    await until(lambda: sorted(taken) == ["bulk", "interactive"])
    release.set()
    await until(lambda: "held" in taken)
    assert broker.healthy
    assert set(await broker.depths()) == {queue.name for queue in topology.declarations()}


async def test_a_connection_is_replaced_only_by_who_holds_the_present_one(node: RabbitNode) -> None:
    prepared = []

    async def prepare(connection: aio_pika.abc.AbstractConnection) -> None:
        prepared.append(connection)

    kept = KeptConnection(node.url, "test", prepare, timeout=5)
    await kept.start()
    first = await kept.get()
    kept.replace(first, "the test")
    second = await kept.get()
    kept.replace(first, "too late")
    assert kept.usable
    assert prepared == [first, second]
    await kept.close()
    with pytest.raises(BrokerUnavailable):
        kept.now()
