"""The log as programs read it from RabbitMQ: a publisher at work, and readers of its queue and its exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aio_pika
import msgspec
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError

from db.pool import Pool
from events.feed import Feed
from service.backfill.broker.log_sender import LogSender
from service.backfill.broker.topology import LogTopology
from service.stream.publisher import LogPublisher


@asynccontextmanager
async def publishing(pool: Pool, url: str, topology: LogTopology) -> AsyncIterator[LogPublisher]:
    """A publisher at work, as in a process of its own; at the end it is stopped in order."""
    feed = Feed(pool)
    await feed.start()
    publisher = LogPublisher(pool, feed, LogSender(url, topology))
    tasks = [asyncio.create_task(feed.run()), asyncio.create_task(publisher.run())]
    try:
        yield publisher
    finally:
        publisher.rounds.stopping = True
        await asyncio.wait(tasks[1:], timeout=15)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def sequence(message: AbstractIncomingMessage) -> int:
    """The position of the event in it."""
    return int(msgspec.json.decode(message.body)["sequence"])


async def kept(url: str, queue: str, until: Callable[[list[int]], bool], *, seconds: float = 60) -> list[int]:
    """The positions in the stream queue from its beginning, in its order, as soon as there is what is waited for."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await _kept(url, queue, until)
            except (
                AMQPError,
                RuntimeError,
                TimeoutError,
            ):  # one that was declared a moment ago cannot always be read yet
                await asyncio.sleep(0.1)


async def _kept(url: str, queue: str, until: Callable[[list[int]], bool]) -> list[int]:
    found: list[int] = []
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=1000)
        stream = await channel.get_queue(queue)
        await stream.consume(arrived.put, arguments={"x-stream-offset": "first"})
        while not until(found):
            async with asyncio.timeout(5):
                message = await arrived.get()
            await message.ack()
            found.append(sequence(message))
    return found


def once(found: list[int]) -> list[int]:
    """What a reader has that drops what is not beyond the last one; it must find no gap."""
    had: list[int] = []
    for position in found:
        if not had or position > had[-1]:
            assert not had or position == had[-1] + 1, (had[-1], position)
            had.append(position)
    return had


async def delete(url: str, topology: LogTopology) -> None:
    """Takes exchange and queue from the broker."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(topology.queue.name)
        await channel.exchange_delete(topology.exchange)
