"""The log to RabbitMQ: each event once, in order, for programs that read it there.

One process sends at a time. It goes on from the lower of its checkpoint and the last event in the stream queue, so
that what the broker has lost is sent again, and so is what had been sent when a process died before it could save how
far it was. A repeat has the same `sequence`; an event is left out only where it is older than what the queue keeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import aio_pika
import aiormq.abc
import msgspec
import structlog
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from events.envelope import RecordedEvent
from events.feed import Feed
from events.rounds import Rounds
from events.subscription import Subscription, SubscriptionLost
from service.backfill.broker.connection import KeptConnection
from service.backfill.broker.port import CANCEL_TIMEOUT, BrokerRefused, BrokerUnavailable
from service.backfill.broker.topology import LogTopology, declare_log
from service.operations import metrics
from service.stream.cloudevents import cloud_event

log = structlog.get_logger()

SUBSCRIBER = "amqp"
CONTENT_TYPE = "application/cloudevents+json"

BATCH = 250
"""Events that are under way at once."""

TIMEOUT = 10.0
"""Seconds in which the broker must confirm them, and answer anything else. No batch begins with less lease left."""

SAVE_EVERY = 1.0
"""Seconds between two checkpoints: what is sent again after a crash."""

PROLONG_EVERY = 5.0
LOOK_EVERY = 10.0
"""Seconds between two looks whether the stream queue is still there."""

RETRY_AFTER = 1.0
FIRST_MESSAGE = 5.0
NEXT_MESSAGE = 0.5
"""Seconds that the stream queue has to hand out the last messages that it holds."""

OLDEST_KEPT = "SELECT position_before(clock_timestamp() - make_interval(days => $1))"

# What the library raises while connection or channel is lost; RuntimeError is its "connection closed".
AWAY = (AMQPError, BrokerUnavailable, OSError, TimeoutError, RuntimeError)


class QueueGone(Exception):
    """The stream queue was deleted: what was sent since is in nobody's hands."""


class NotConfirmed(Exception):
    """The broker did not take all of a batch."""


class LogPublisher:
    """One process's publisher; it sends while it has the lease. `problem` says why it cannot, null where it can."""

    def __init__(self, pool: Pool, feed: Feed, url: str, topology: LogTopology) -> None:
        self._pool = pool
        self._feed = feed
        self._topology = topology
        self._subscription = Subscription(pool, SUBSCRIBER)
        self._connection = KeptConnection(url, "report-builder log", self._open, timeout=TIMEOUT)
        self._channel: aiormq.abc.AbstractChannel | None = None
        self.problem: str | None = None
        self.rounds = Rounds()

    @property
    def leads(self) -> bool:
        """Whether it is this process that sends."""
        return self._subscription.left > 0

    async def run(self) -> None:
        """Sends what the log gains, until it is stopped or cancelled; outlives both broker and database."""
        await self._connection.start()
        try:
            while not self.rounds.stopping:
                try:
                    if await self._subscription.take():
                        await self._lead()
                    else:
                        self._stand_by()
                except (SubscriptionLost, QueueGone, NotConfirmed, BrokerRefused, *AWAY, *DATABASE_ERRORS) as error:
                    end_if_cancelled(error)
                    self.problem = str(error) or repr(error)
                    log.warning("publisher_interrupted", error=f"{type(error).__name__}: {error}")
                await self._feed.wait_beyond(self._feed.head, timeout=RETRY_AFTER)
        finally:
            with suppress(*DATABASE_ERRORS):
                await self._subscription.give_back()
            await self._connection.close()

    def _stand_by(self) -> None:
        """Another process has the lease, and what could not be sent is its task."""
        self.problem = None
        if self.rounds.unfinished_since is not None:
            self.rounds.end()

    async def _lead(self) -> None:
        """Sends, from where the broker has it, until something is in the way."""
        connection = self._connection.now()
        try:
            sent = await self._begin(connection)
            self.problem = None
            await self._send_from(connection, sent)
        except (NotConfirmed, QueueGone, *AWAY):
            # What is still on its way must not arrive after what is sent again.
            self._connection.replace(connection, "the log could not be sent")
            raise

    async def _begin(self, connection: AbstractConnection) -> int:
        """Declares what there must be; answers the position to go on behind."""
        checkpoint = self._subscription.position
        there = await self._queue_there(connection)
        channel = await connection.channel(publisher_confirms=False)
        try:
            await declare_log(channel, self._topology, TIMEOUT)
        finally:
            if not channel.is_closed:
                await channel.close()
        last = await last_sequence(connection, self._topology.queue.name) if there and checkpoint else 0
        if not last:
            last = await self._pool.fetchval(OLDEST_KEPT, self._topology.days)
        after = min(checkpoint, last)
        log.info("publisher_began", after=after, checkpoint=checkpoint)
        if after < checkpoint:
            await self._subscription.move(after)
        return after

    async def _send_from(self, connection: AbstractConnection, sent: int) -> None:
        loop = asyncio.get_running_loop()
        saved_at = looked_at = loop.time()
        try:
            while not self.rounds.stopping:
                now = loop.time()
                due = SAVE_EVERY if sent > self._subscription.position else PROLONG_EVERY
                if now - saved_at >= due or self._subscription.left < TIMEOUT:
                    await self._subscription.move(sent)
                    saved_at = now
                if now - looked_at >= LOOK_EVERY:
                    if not await self._queue_there(connection):
                        raise QueueGone(f"the queue {self._topology.queue.name} was deleted")
                    looked_at = now
                if events := (await self._feed.read(sent, BATCH) if self._feed.head > sent else []):
                    self.rounds.begin()
                    await self._send(connection, events)
                    sent = events[-1].position
                    self.rounds.end()
                else:
                    await self._feed.wait_beyond(sent, timeout=SAVE_EVERY)
        finally:
            # What is confirmed is not sent again by whoever comes next.
            if sent > self._subscription.position and self.leads:
                with suppress(SubscriptionLost, *DATABASE_ERRORS):
                    await self._subscription.move(sent)

    async def _send(self, connection: AbstractConnection, events: Sequence[RecordedEvent]) -> None:
        """Sends the events in order; all are confirmed when it returns. Raises NotConfirmed."""
        if connection.transport is not None:
            async with asyncio.timeout(TIMEOUT):
                await connection.transport.ready()  # while the broker is short of memory it takes nothing
        channel = self._channel
        if channel is None or channel.is_closed or not self.leads:
            raise NotConfirmed("the channel is closed" if self.leads else "the lease has ended")
        # Tasks begin in the order in which they are made, and the channel writes in the order in which it is asked to.
        tasks = [asyncio.create_task(self._publish(channel, event)) for event in events]
        try:
            await asyncio.wait(tasks, timeout=TIMEOUT, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks, timeout=CANCEL_TIMEOUT)
        for task in tasks:
            if not task.done() or task.cancelled():
                raise NotConfirmed(f"no confirm within {TIMEOUT:g} s")
            if (error := task.exception()) is not None:
                raise NotConfirmed(str(error) or repr(error)) from error
        metrics.published(len(events))

    async def _publish(self, channel: aiormq.abc.AbstractChannel, event: RecordedEvent) -> None:
        message = aio_pika.Message(
            cloud_event(event),
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=str(event.id),
            timestamp=event.recorded_at,
            type=event.event_type,
            app_id="report-builder",
        )
        await channel.basic_publish(
            message.body,
            exchange=self._topology.exchange,
            routing_key=event.event_type,
            properties=message.properties,
            wait=False,  # for the confirm it waits all the same
        )

    async def _open(self, connection: AbstractConnection) -> None:
        channel = await connection.channel(publisher_confirms=True)
        self._channel = await channel.get_underlay_channel()

    async def _queue_there(self, connection: AbstractConnection) -> bool:
        channel = await connection.channel(publisher_confirms=False)
        try:
            await channel.declare_queue(self._topology.queue.name, passive=True, timeout=TIMEOUT)
        except ChannelNotFoundEntity:
            return False
        finally:
            if not channel.is_closed:
                await channel.close()
        return True


async def last_sequence(connection: AbstractConnection, queue: str) -> int:
    """The position of the last event in the stream queue, 0 where it holds none.

    A stream does not say where it ends: what it does not hand out in time is not counted, so that the answer may be
    too low, and events are sent again, but never too high.
    """
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    channel = await connection.channel(publisher_confirms=False)
    try:
        await channel.set_qos(prefetch_count=1000)
        stream = await channel.get_queue(queue, ensure=False)
        await stream.consume(arrived.put, arguments={"x-stream-offset": "last"}, timeout=TIMEOUT)
        last, patience = 0, FIRST_MESSAGE
        while True:
            try:
                async with asyncio.timeout(patience):
                    message = await arrived.get()
            except TimeoutError:
                return last
            await message.ack()
            last, patience = max(last, sequence_of(message.body)), NEXT_MESSAGE
    finally:
        if not channel.is_closed:
            await channel.close()


class _Sequence(msgspec.Struct):
    sequence: str


def sequence_of(body: bytes) -> int:
    """The position of an event as it was sent."""
    return int(msgspec.json.decode(body, type=_Sequence).sequence)
