"""What every broker promises: the same tests for the one in memory and for RabbitMQ."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from secrets import token_hex

import aio_pika
import pytest

from service.backfill.broker import (
    DELIVERY_LIMIT,
    Broker,
    DeadLetter,
    DeadLetterNotFound,
    Delivery,
    GaveUp,
    Lane,
    MemoryBroker,
    StepMessage,
    Topology,
)
from service.backfill.broker.amqp import AmqpBroker
from service.backfill.broker.messages import resent
from tests.rabbitmq import shared_url


class Bench:
    """A started broker, and what a test needs around it."""

    def __init__(self, broker: Broker, put_raw: Callable[[Lane, bytes], Awaitable[None]], prefix: str) -> None:
        self.broker = broker
        self.put_raw = put_raw
        self._prefix = prefix

    async def depth(self, part: str) -> int:
        return (await self.broker.depths())[f"{self._prefix}.{part}"]

    async def dead_letters(self, count: int) -> list[DeadLetter]:
        """The dead letters, once there are so many."""
        await until_async(lambda: self._dead_count(count))
        return await self.broker.dead_letters()

    async def _dead_count(self, count: int) -> bool:
        return await self.depth("dead") == count


class Recorder:
    """A handler that notes what it got; `fail` decides which deliveries it fails."""

    def __init__(self, fail: Callable[[Delivery], bool] = lambda _: False, seconds: float = 0) -> None:
        self.deliveries: list[Delivery] = []
        self.arrivals: dict[str, float] = {}
        self.running = Counter[str]()
        self.most_running = 0
        self.finished: list[str] = []
        self._fail = fail
        self._seconds = seconds

    async def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self.arrivals.setdefault(delivery.message.segment_id, time.monotonic())
        self.running[delivery.message.lane] += 1
        self.most_running = max(self.most_running, self.running.total())
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self.running[delivery.message.lane] -= 1
        if self._fail(delivery):
            raise RuntimeError("this step failed, as the test asked")
        self.finished.append(delivery.message.segment_id)


def message(name: str, lane: Lane = "bulk") -> StepMessage:
    return StepMessage(segment_id=name, collection_id="c", team_id="t", step="poll", fence=1, sequence=1, lane=lane)


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def until_async(condition: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


@pytest.fixture(params=["memory", "amqp"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "memory":
        memory = MemoryBroker()
        await memory.start()

        async def put(lane: Lane, body: bytes) -> None:
            memory.put(lane, body)

        yield Bench(memory, put, "report_builder")
        await memory.close()
        return
    # Fewer wait classes than the product has: declaring and deleting them would be most of the time.
    topology = Topology(f"contract-{token_hex(4)}", delays=(0.1, 0.5, 1.0, 2.0))
    url = shared_url()
    broker = AmqpBroker(url, topology=topology)
    await broker.start()
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()

        async def publish(lane: Lane, body: bytes) -> None:
            raw = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(raw, topology.work[lane])

        yield Bench(broker, publish, topology.dead.removesuffix(".dead"))
        await broker.close()
        for queue in topology.declarations():
            await channel.queue_delete(queue.name)


async def test_a_message_is_delivered_once_and_is_gone_after_its_handler(bench: Bench) -> None:
    recorder = Recorder()
    consumption = await bench.broker.consume(recorder, concurrency=4)
    await bench.broker.publish([message("a"), message("b", "interactive")])
    await until(lambda: len(recorder.finished) == 2)
    await consumption.stop(grace=1)

    assert {each.message for each in recorder.deliveries} == {message("a"), message("b", "interactive")}
    assert not any(each.redelivered for each in recorder.deliveries)
    assert sum((await bench.broker.depths()).values()) == 0


async def test_a_message_stays_with_the_broker_until_its_handler_is_done(bench: Bench) -> None:
    recorder = Recorder(seconds=30)
    consumption = await bench.broker.consume(recorder, concurrency=2)
    await bench.broker.publish([message("a")])
    await until(lambda: consumption.in_progress == 1)
    assert await bench.depth("work.bulk") == 0
    await consumption.stop(grace=0)

    async def back() -> bool:
        return await bench.depth("work.bulk") == 1

    await until_async(back)


async def test_a_failed_delivery_comes_again_and_says_so(bench: Bench) -> None:
    recorder = Recorder(fail=lambda delivery: not delivery.redelivered)
    await bench.broker.consume(recorder, concurrency=2)
    await bench.broker.publish([message("a")])
    await until(lambda: recorder.finished == ["a"])
    assert [each.redelivered for each in recorder.deliveries] == [False, True]


async def test_what_fails_beyond_the_limit_is_a_dead_letter_that_can_be_resent(bench: Bench) -> None:
    failing = True
    recorder = Recorder(fail=lambda _: failing)
    await bench.broker.consume(recorder, concurrency=2)
    await bench.broker.publish([message("a")])
    (letter,) = await bench.dead_letters(1)

    assert len(recorder.deliveries) == DELIVERY_LIMIT + 1
    assert (letter.message, letter.reason) == (message("a"), "delivery_limit")
    assert letter.queue.endswith("work.bulk")
    assert letter.died_at is not None
    assert letter.died_at.utcoffset() is not None

    failing = False
    await bench.broker.resend_dead_letter(letter.id)
    await until(lambda: recorder.finished == ["a"])
    assert not recorder.deliveries[-1].redelivered  # its attempts are counted anew
    assert recorder.deliveries[-1].message == resent(message("a"))  # and no worker takes it for a copy
    assert await bench.broker.dead_letters() == []


async def test_what_a_handler_gives_up_is_a_dead_letter_at_once(bench: Bench) -> None:
    taken = []

    async def handler(delivery: Delivery) -> None:
        taken.append(delivery)
        raise GaveUp("as the test asked")

    await bench.broker.consume(handler, concurrency=2)
    await bench.broker.publish([message("a")])
    (letter,) = await bench.dead_letters(1)
    assert (letter.message, letter.reason, len(taken)) == (message("a"), "rejected", 1)


async def test_one_dead_letter_is_read_by_its_id_and_stays(bench: Bench) -> None:
    await bench.put_raw("bulk", b"one")
    await bench.put_raw("bulk", b"two")
    await bench.broker.consume(Recorder(), concurrency=2)
    for letter in await bench.dead_letters(2):
        assert await bench.broker.dead_letter(letter.id) == letter
    with pytest.raises(DeadLetterNotFound):
        await bench.broker.dead_letter("x")
    assert len(await bench.dead_letters(2)) == 2


async def test_a_dead_letter_can_be_discarded_and_only_once(bench: Bench) -> None:
    await bench.put_raw("bulk", b"one")
    await bench.put_raw("bulk", b"two")
    await bench.broker.consume(Recorder(), concurrency=2)
    letters = await bench.dead_letters(2)
    doomed = next(each for each in letters if each.body == b"two")

    await bench.broker.discard_dead_letter(doomed.id)
    assert [each.body for each in await bench.dead_letters(1)] == [b"one"]
    with pytest.raises(DeadLetterNotFound):
        await bench.broker.discard_dead_letter(doomed.id)
    with pytest.raises(DeadLetterNotFound):
        await bench.broker.resend_dead_letter(doomed.id)


async def test_reading_dead_letters_loses_none_however_often(bench: Bench) -> None:
    for number in range(5):
        await bench.put_raw("bulk", b"unreadable %d" % number)
    await bench.broker.consume(Recorder(), concurrency=2)
    first = {each.id for each in await bench.dead_letters(5)}
    for _ in range(30):  # more often than RabbitMQ 4 hands out a message by default, which is 20 times
        assert {each.id for each in await bench.broker.dead_letters()} == first
    assert len(await bench.broker.dead_letters(limit=3)) == 3
    assert {each.id for each in await bench.dead_letters(5)} == first


async def test_an_unreadable_message_is_a_dead_letter_at_once_and_stops_nobody(bench: Bench) -> None:
    recorder = Recorder()
    await bench.put_raw("interactive", b'{"version": 99}')
    await bench.broker.publish([message("a", "interactive")])
    await bench.broker.consume(recorder, concurrency=4)
    (letter,) = await bench.dead_letters(1)
    await until(lambda: recorder.finished == ["a"])

    assert (letter.message, letter.body, letter.reason) == (None, b'{"version": 99}', "rejected")
    assert letter.queue.endswith("work.interactive")


async def test_a_short_delay_is_not_stuck_behind_a_long_one(bench: Bench) -> None:
    recorder = Recorder()
    await bench.broker.consume(recorder, concurrency=8)
    start = time.monotonic()
    for name, delay in (("2 s", 1.5), ("1 s", 1.0), ("0.5 s", 0.3), ("0.1 s", 0.05), ("none", 0)):
        await bench.broker.publish([message(name)], delay=delay)
    assert await bench.depth("wait.bulk.2s") == 1
    await until(lambda: len(recorder.finished) == 5)

    waited = {name: arrival - start for name, arrival in recorder.arrivals.items()}
    assert list(waited) == ["none", "0.1 s", "0.5 s", "1 s", "2 s"]
    for name, least in (("0.1 s", 0.1), ("0.5 s", 0.5), ("1 s", 1.0), ("2 s", 2.0)):
        assert least <= waited[name] + 0.01 < least + 1.0, waited
    assert not any(each.redelivered for each in recorder.deliveries)


async def test_no_more_handlers_run_at_once_than_asked_for(bench: Bench) -> None:
    recorder = Recorder(seconds=0.02)
    await bench.broker.publish([message(f"{n}", "bulk" if n % 2 else "interactive") for n in range(60)])
    consumption = await bench.broker.consume(recorder, concurrency=8)
    await until(lambda: len(recorder.finished) == 60)
    assert recorder.most_running == 8
    assert consumption.in_progress == 0


async def test_a_concurrency_of_one_serves_both_lanes_one_at_a_time(bench: Bench) -> None:
    recorder = Recorder(seconds=0.01)
    await bench.broker.publish([message(f"{n}", "bulk" if n % 2 else "interactive") for n in range(20)])
    await bench.broker.consume(recorder, concurrency=1)
    await until(lambda: len(recorder.finished) == 20)
    assert recorder.most_running == 1


async def test_interactive_work_does_not_wait_behind_a_thousand_bulk_messages(bench: Bench) -> None:
    recorder = Recorder(seconds=0.05)
    await bench.broker.publish([message(f"bulk {n}") for n in range(1000)])
    consumption = await bench.broker.consume(recorder, concurrency=4)
    await until(lambda: recorder.running["bulk"] == 3)
    start = time.monotonic()
    await bench.broker.publish([message("urgent", "interactive")])
    await until(lambda: "urgent" in recorder.finished)
    assert time.monotonic() - start < 1
    assert len(recorder.finished) < 200
    await consumption.stop(grace=1)


async def test_stopping_lets_handlers_finish_and_takes_nothing_more(bench: Bench) -> None:
    recorder = Recorder(seconds=0.3)
    await bench.broker.publish([message(f"{n}") for n in range(20)])
    consumption = await bench.broker.consume(recorder, concurrency=4)
    await until(lambda: consumption.in_progress == 3)
    started = time.monotonic()
    await consumption.stop(grace=5)

    assert time.monotonic() - started < 2
    assert len(recorder.finished) == len(recorder.deliveries) == 3
    assert await bench.depth("work.bulk") == 17
    await asyncio.sleep(0.3)
    assert len(recorder.deliveries) == 3
    await consumption.stop(grace=5)  # a second call changes nothing


async def test_stopping_hands_back_what_is_not_done_within_the_grace(bench: Bench) -> None:
    slow = Recorder(seconds=60)
    await bench.broker.publish([message(f"{n}") for n in range(5)])
    consumption = await bench.broker.consume(slow, concurrency=4)
    await until(lambda: consumption.in_progress == 3)
    started = time.monotonic()
    await consumption.stop(grace=0.2)
    assert time.monotonic() - started < 3
    assert consumption.in_progress == 0

    successor = Recorder()
    await bench.broker.consume(successor, concurrency=4)
    await until(lambda: len(successor.finished) == 5)
    again = {each.message.segment_id for each in successor.deliveries if each.redelivered}
    assert again == {each.message.segment_id for each in slow.deliveries}


async def test_closing_hands_back_what_is_in_progress(bench: Bench) -> None:
    recorder = Recorder(seconds=60)
    consumption = await bench.broker.consume(recorder, concurrency=2)
    await bench.broker.publish([message("a")])
    await until(lambda: consumption.in_progress == 1)
    assert bench.broker.healthy
    await bench.broker.close()
    assert consumption.in_progress == 0
    assert recorder.finished == []
    assert not bench.broker.healthy


async def test_two_consumers_share_the_work(bench: Bench) -> None:
    first, second = Recorder(seconds=0.02), Recorder(seconds=0.02)
    await bench.broker.consume(first, concurrency=4)
    await bench.broker.consume(second, concurrency=4)
    await bench.broker.publish([message(f"{n}") for n in range(60)])
    await until(lambda: len(first.finished) + len(second.finished) == 60)
    assert min(len(first.finished), len(second.finished)) > 5
    assert set(first.finished).isdisjoint(second.finished)


async def test_a_thousand_messages_go_through_whole(bench: Bench) -> None:
    recorder = Recorder()
    start = time.monotonic()
    await bench.broker.publish([message(f"{n}") for n in range(1000)])
    published = time.monotonic() - start
    assert await bench.depth("work.bulk") == 1000
    await bench.broker.consume(recorder, concurrency=16)
    await until(lambda: len(recorder.finished) == 1000)
    assert Counter(recorder.finished) == Counter(f"{n}" for n in range(1000))
    assert published < 8
