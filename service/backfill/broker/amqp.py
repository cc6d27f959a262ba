"""The broker over RabbitMQ, 3.10 or newer: puts publisher, consumers, queues and their watchdog together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError

from service.backfill.broker import dead_letters
from service.backfill.broker.connection import KeptConnection
from service.backfill.broker.consumer import AmqpConsumption
from service.backfill.broker.messages import StepMessage, encode, resent
from service.backfill.broker.port import (
    BrokerRefused,
    BrokerUnavailable,
    DeadLetter,
    DeadLetterNotFound,
    Handler,
    PublishFailed,
)
from service.backfill.broker.publisher import Publisher
from service.backfill.broker.topology import Topology, declare

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

# What the library raises while connection or channel is lost; RuntimeError is its "connection closed".
AWAY = (AMQPError, OSError, TimeoutError, RuntimeError)
# Another process that reads the dead letters holds them for a moment, in which they cannot be found.
LOOKS = 3
PAUSE_BETWEEN_LOOKS = 0.3


class AmqpBroker:
    """The port's `Broker` over RabbitMQ; see there for what each method promises.

    `timeout`: seconds for a publish and for any one answer of the broker. `watchdog_interval`: seconds
    between two looks whether queues and consumers are still there; what the broker reports is seen to at once.
    """

    durable = True

    def __init__(
        self,
        url: str,
        *,
        topology: Topology | None = None,
        timeout: float = 10,
        watchdog_interval: float = 10,
    ) -> None:
        self._topology = topology or Topology()
        self._timeout = timeout
        self._watchdog_interval = watchdog_interval
        self._publisher = Publisher(url, "report-builder publish", timeout=timeout)
        self._receiving = KeptConnection(url, "report-builder consume", self._prepare, timeout=timeout)
        self._consumptions: set[AmqpConsumption] = set()
        self._attending = asyncio.Lock()
        self._dead_letters_in_use = asyncio.Lock()
        self._wake = asyncio.Event()
        self._watchdog: asyncio.Task[None] | None = None
        self._attached = True

    @property
    def healthy(self) -> bool:
        publishing = self._publisher.connection
        return publishing.usable and not publishing.blocked and self._receiving.usable and self._attached

    async def start(self) -> None:
        try:
            await self._receiving.start()  # first, since it declares what the other publishes to
            await self._publisher.connection.start()
        except BrokerRefused:
            await self.close()
            raise
        if self._watchdog is None:
            self._watchdog = asyncio.create_task(self._watch(), name="AMQP watchdog")

    async def publish(self, messages: Sequence[StepMessage], *, delay: float = 0) -> None:
        bodies = [(self._topology.route(each.lane, delay), encode(each)) for each in messages]
        failures = await self._publisher.send(bodies)
        if failures:
            self._wake.set()  # a queue may be gone
            reasons = sorted(set(failures.values()))
            raise PublishFailed([messages[index] for index in failures], "; ".join(reasons[:3]))

    async def consume(self, handler: Handler, *, concurrency: int) -> AmqpConsumption:
        consumption = AmqpConsumption(self._topology.work, handler, concurrency, on_stop=self._consumptions.discard)
        self._consumptions.add(consumption)
        self._attached = False
        self._wake.set()
        if self._receiving.usable:
            # Otherwise, or if this fails, the watchdog sees to it.
            try:
                async with asyncio.timeout(self._timeout):
                    await self._attend(self._receiving.now())
            except (BrokerUnavailable, *AWAY) as error:
                log.warning("broker.consume_postponed", error=repr(error))
        return consumption

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        async with self._dead_letters_in_use:
            return await self._ask(
                lambda connection: dead_letters.read(connection, self._topology.dead, limit, self._timeout)
            )

    async def dead_letter(self, letter_id: str) -> DeadLetter:
        async def look(connection: AbstractConnection) -> DeadLetter | None:
            async with dead_letters.lent(connection, self._topology.dead, letter_id, self._timeout) as letter:
                return letter

        return await self._find_dead_letter(letter_id, look)

    async def resend_dead_letter(self, letter_id: str) -> None:
        await self._take_dead_letter(letter_id, self._resend)

    async def discard_dead_letter(self, letter_id: str) -> None:
        await self._take_dead_letter(letter_id, _discard)

    async def depths(self) -> dict[str, int]:
        counts = await self._ask(self._declare)
        return {name: ready for name, (ready, _) in counts.items()}

    async def close(self) -> None:
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            # The library swallows a cancellation that meets its answer, so `_watch` must see for itself, too.
            self._wake.set()
            watchdog.cancel()
            await asyncio.gather(watchdog, return_exceptions=True)
        await asyncio.gather(*(each.stop(grace=0) for each in tuple(self._consumptions)))
        await self._publisher.connection.close()
        await self._receiving.close()

    async def _prepare(self, connection: AbstractConnection) -> None:
        """Make a new consuming connection useful: every queue there, every consumer attached."""
        for consumption in self._consumptions:
            for lane in consumption.lanes:
                await lane.detach()
        await self._attend(connection)

    async def _attend(self, connection: AbstractConnection) -> None:
        """Declare what is missing and attach every consumer that the broker does not serve."""
        async with self._attending:
            counts = await self._declare(connection)
            for consumption in tuple(self._consumptions):
                for lane in consumption.lanes:
                    ready, consumers = counts[lane.queue]
                    if not lane.attached:
                        log.info("broker.consumer_attached", queue=lane.queue)
                    elif consumers == 0 or lane.looks_stalled(ready):
                        # The broker's word against ours: a fresh channel settles it.
                        log.warning("broker.consumer_lost", queue=lane.queue, ready=ready)
                        await lane.detach()
                    else:
                        continue
                    await lane.attach(connection, self._wake.set)
            self._attached = True

    async def _declare(self, connection: AbstractConnection) -> dict[str, tuple[int, int]]:
        channel = await connection.channel(publisher_confirms=False)
        try:
            return await declare(channel, self._topology, self._timeout)
        finally:
            if not channel.is_closed:
                await channel.close()

    async def _watch(self) -> None:
        while self._watchdog is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._watchdog_interval):
                    await self._wake.wait()
            self._wake.clear()
            connection = await self._receiving.get()
            try:
                async with asyncio.timeout(self._timeout):
                    await self._attend(connection)
            except Exception as error:
                self._attached = False
                log.warning("broker.watchdog_failed", error=repr(error))
                self._receiving.replace(connection, "the watchdog could not restore its consumers")

    async def _ask(self, question: Callable[[AbstractConnection], Awaitable[Answer]]) -> Answer:
        try:
            return await question(self._receiving.now())
        except AWAY as error:
            raise BrokerUnavailable(f"RabbitMQ did not answer: {error!r}") from error

    async def _take_dead_letter(self, letter_id: str, use: Callable[[DeadLetter], Awaitable[None]]) -> None:
        async def take(connection: AbstractConnection) -> DeadLetter | None:
            found = dead_letters.taken(connection, self._topology.dead, letter_id, self._timeout)
            async with found as letter:
                if letter is not None:
                    await use(letter)
                return letter

        await self._find_dead_letter(letter_id, take)

    async def _find_dead_letter(
        self, letter_id: str, look: Callable[[AbstractConnection], Awaitable[DeadLetter | None]]
    ) -> DeadLetter:
        async with self._dead_letters_in_use:
            for number in range(LOOKS):
                if number:
                    await asyncio.sleep(PAUSE_BETWEEN_LOOKS)
                if letter := await self._ask(look):
                    return letter
        raise DeadLetterNotFound(letter_id)

    async def _resend(self, letter: DeadLetter) -> None:
        queue = letter.queue
        if queue not in self._topology.work.values():
            queue = self._topology.work[letter.message.lane if letter.message else "bulk"]
        # A new message: counts and history of the old one would follow it otherwise.
        body = encode(resent(letter.message)) if letter.message else letter.body
        failures = await self._publisher.send([(queue, body)])
        if failures:
            raise BrokerUnavailable(f"not resent, it stays a dead letter: {failures[0]}")


async def _discard(_: DeadLetter) -> None:
    """Nothing is to be done with it: taking it out of the queue is all."""
