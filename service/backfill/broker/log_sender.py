"""Sends the log to RabbitMQ's exchange of events, in order and confirmed, and sees what its stream queue holds.

What is sent, and by which process, `service.stream.publisher` decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import aio_pika
import aiormq.channel
import msgspec
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity

from service.backfill.broker.connection import KeptConnection
from service.backfill.broker.port import CANCEL_TIMEOUT, BrokerUnavailable
from service.backfill.broker.topology import LogTopology, declare_log

TIMEOUT = 10.0
"""Seconds in which the broker must confirm what is sent at once, and answer anything else."""

FIRST_MESSAGE = 5.0
NEXT_MESSAGE = 0.5
"""Seconds that the stream queue has to hand out the first and each further of the last messages that it holds."""

CONTENT_TYPE = "application/cloudevents+json"

# What the library raises while connection or channel is lost; RuntimeError is its "connection closed".
LOG_AWAY = (AMQPError, BrokerUnavailable, OSError, TimeoutError, RuntimeError)


class LogMessage(msgspec.Struct, frozen=True):
    """An event as it is sent: `body` is a CloudEvent."""

    body: bytes
    event_type: str
    id: str
    time: datetime


class NotConfirmed(Exception):
    """The broker did not take all of what was sent; what it took is not known."""


class LogSender:
    """The connection that the log is sent over. It comes back by itself; what was under way is not sent again."""

    def __init__(self, url: str, topology: LogTopology) -> None:
        self.topology = topology
        self._connection = KeptConnection(url, "report-builder log", self._open, timeout=TIMEOUT)
        self._channel: aiormq.channel.Channel | None = None

    async def start(self) -> None:
        """Connects, or goes on trying. Raises BrokerRefused."""
        await self._connection.start()

    async def close(self) -> None:
        await self._connection.close()

    def drop(self) -> None:
        """Ends the connection, with all that is still on its way: it must not arrive after what is sent again."""
        if self._connection.usable:
            self._connection.replace(self._connection.now(), "the log could not be sent")

    async def declare(self) -> None:
        """Makes sure that exchange and queue exist. Raises BrokerRefused, and what LOG_AWAY names."""
        async with self._asking() as channel:
            await declare_log(channel, self.topology, TIMEOUT)

    async def queue_there(self) -> bool:
        """Whether the stream queue exists. Raises what LOG_AWAY names."""
        try:
            async with self._asking() as channel:
                await channel.get_queue(self.topology.queue.name, ensure=True)
        except ChannelNotFoundEntity:
            return False
        return True

    async def last_sequence(self) -> int:
        """The position of the last event in the stream queue, 0 where it holds none. Raises what LOG_AWAY names.

        A stream does not say where it ends: what it does not hand out in time is not counted, so that the answer may be
        too low, and events are sent again, but never too high.
        """
        arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        async with self._asking(3 * TIMEOUT) as channel:
            await channel.set_qos(prefetch_count=1000, global_=False)  # without one a stream hands out nothing
            stream = await channel.get_queue(self.topology.queue.name, ensure=False)
            await stream.consume(arrived.put, arguments={"x-stream-offset": "last"}, timeout=TIMEOUT)
            last, patience = 0, FIRST_MESSAGE
            while True:
                try:
                    async with asyncio.timeout(patience):
                        message = await arrived.get()
                except TimeoutError:
                    return last
                await message.ack()
                last, patience = max(last, _sequence_of(message.body)), NEXT_MESSAGE

    @asynccontextmanager
    async def _asking(self, seconds: float = TIMEOUT) -> AsyncIterator[AbstractChannel]:
        """A channel of its own, as one that meets an error is closed, for so many seconds at most."""
        connection = self._connection.now()
        async with asyncio.timeout(seconds):
            channel = await connection.channel(publisher_confirms=False)
            yield channel
            await channel.close()

    async def send(self, messages: Sequence[LogMessage]) -> None:
        """Sends the messages in order; all are confirmed when it returns. Raises NotConfirmed."""
        connection = self._connection.now()
        if connection.transport is not None:
            async with asyncio.timeout(TIMEOUT):
                await connection.transport.ready()  # while the broker is short of memory it takes nothing
        channel = self._channel
        if channel is None or channel.is_closed:
            raise NotConfirmed("the channel is closed")
        # Tasks begin in the order in which they are made, and the channel writes in the order in which it is asked to.
        tasks = [asyncio.create_task(self._send_one(channel, message)) for message in messages]
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

    async def _send_one(self, channel: aiormq.channel.Channel, message: LogMessage) -> None:
        sent = aio_pika.Message(
            message.body,
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=message.id,
            timestamp=message.time,
            type=message.event_type,
            app_id="report-builder",
        )
        await channel.basic_publish(
            sent.body,
            exchange=self.topology.exchange,
            routing_key=message.event_type,
            properties=sent.properties,
            mandatory=False,  # a queue that is gone is missed by `queue_there`, and filled again
            wait=False,  # for the confirm it waits all the same
        )

    async def _open(self, connection: AbstractConnection) -> None:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        underlay = await channel.get_underlay_channel()
        assert isinstance(underlay, aiormq.channel.Channel)
        self._channel = underlay


class _Sequence(msgspec.Struct):
    sequence: str


def _sequence_of(body: bytes) -> int:
    """0 for what somebody else has put there."""
    try:
        return int(msgspec.json.decode(body, type=_Sequence).sequence)
    except (msgspec.DecodeError, ValueError):
        return 0
