"""Programs that follow the log, each as simple as a program can be: it comes back whenever it is cut off, and checks
every position that it is given, so that a test can see what it has missed, met twice or out of order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import aiohttp
import msgspec
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError

from tests.amqp_log import sequence

COMES_BACK_AFTER = 0.2
SILENCE = 20.0
"""Seconds without a byte after which a connection is given up; a comment comes every 15."""


class Follower:
    """Over HTTP, live, from a position on. `repeats` and `gaps` stay empty: it says each time what it has."""

    def __init__(self, url: str, after: int = 0) -> None:
        address = urlsplit(url)
        self._host, self._port = str(address.hostname), address.port
        self.position = after
        self.repeats: list[int] = []
        self.gaps: list[tuple[int, int]] = []
        self.cuts = 0
        self.received = 0
        self._reading = asyncio.Event()
        self._reading.set()
        self._connection: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Follows until cancelled."""
        while True:
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                await self._follow()
            await asyncio.sleep(COMES_BACK_AFTER)

    def cut(self) -> None:
        """Its connection is gone, wherever it is in a frame."""
        if self._connection is not None:
            self.cuts += 1
            self._connection.transport.abort()

    async def stall(self, seconds: float) -> None:
        """It takes nothing for so long, and keeps its connection open."""
        self._reading.clear()
        await asyncio.sleep(seconds)
        self._reading.set()

    async def _follow(self) -> None:
        # What it has not asked for stays with the service: little of it fits in here.
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=64 * 1024)
        self._connection = writer
        try:
            writer.write(
                b"GET /api/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: %d\r\n\r\n" % self.position
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.partition(b"\r\n")[0]:
                return
            text = b""
            while True:
                await self._reading.wait()
                async with asyncio.timeout(SILENCE):
                    size = int(await reader.readuntil(b"\n"), 16)
                    if size == 0:
                        return  # the service has ended it in order
                    text += (await reader.readexactly(size + 2))[:-2]
                self.received += size
                *frames, text = text.split(b"\n\n")
                self._take(frames)
        finally:
            self._connection = None
            writer.transport.abort()

    def _take(self, frames: list[bytes]) -> None:
        for frame in frames:
            if not frame.startswith(b"id: "):
                continue
            position = int(frame[4 : frame.index(b"\n")])
            if position <= self.position:
                self.repeats.append(position)
            elif position > self.position + 1:
                self.gaps.append((self.position, position))
            self.position = max(self.position, position)


class QueueFollower:
    """Over AMQP: it reads the stream queue, drops what it has, and fetches over HTTP what is missing there."""

    def __init__(self, amqp_url: str, queue: str, url: str) -> None:
        self._amqp_url = amqp_url
        self._queue = queue
        self._url = url
        self.position = 0
        self.dropped = 0
        self.fetched = 0

    async def run(self) -> None:
        """Follows until cancelled."""
        while True:
            with suppress(AMQPError, OSError, RuntimeError, TimeoutError, aiohttp.ClientError):
                await self._follow()
            await asyncio.sleep(COMES_BACK_AFTER)

    async def _follow(self) -> None:
        arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()
        async with asyncio.timeout(30):
            connection = await aio_pika.connect(self._amqp_url)
        async with connection, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            connection.close_callbacks.add(lambda *_: arrived.put_nowait(None))
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=500)
            queue = await channel.get_queue(self._queue)
            await queue.consume(arrived.put, arguments={"x-stream-offset": "first"}, timeout=30)
            while (message := await arrived.get()) is not None:
                await self._take(sequence(message), http)
                await message.ack()

    async def _take(self, position: int, http: aiohttp.ClientSession) -> None:
        while position > self.position + 1:
            query: dict[str, Any] = {
                "after": self.position,
                "limit": min(position - 1 - self.position, 1000),
                "all_teams": "true",
            }
            async with http.get(f"{self._url}/api/events", params=query) as answer:
                for event in msgspec.json.decode(await answer.read())["events"]:
                    assert int(event["sequence"]) == self.position + 1
                    self.position += 1
                    self.fetched += 1
        if position == self.position + 1:
            self.position = position
        else:
            self.dropped += 1


@asynccontextmanager
async def at_work(*followers: Follower | QueueFollower) -> AsyncIterator[None]:
    """They follow while the block runs."""
    tasks = [asyncio.create_task(each.run()) for each in followers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def cut_at_random(followers: list[Follower], every: float, chance: random.Random) -> None:
    """Cuts one of them again and again, until cancelled."""
    while True:
        await asyncio.sleep(every)
        chance.choice(followers).cut()


async def caught_up(followers: list[Follower | QueueFollower], last: int, seconds: float) -> None:
    """Waits until each of them has the position."""
    try:
        async with asyncio.timeout(seconds):
            while any(each.position < last for each in followers):
                await asyncio.sleep(0.05)
    except TimeoutError:
        behind = {f"{type(each).__name__} {number}": each.position for number, each in enumerate(followers)}
        raise AssertionError({name: at for name, at in behind.items() if at < last}) from None
