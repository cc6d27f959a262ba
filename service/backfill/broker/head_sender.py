"""Sends signed tree heads to a stream of RabbitMQ, through an exchange that others may bind queues of their own to.

What is sent, and when, `service.tree.places` decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import aio_pika
import msgspec
from aio_pika.abc import AbstractConnection

from service.backfill.broker.connection import KeptConnection
from service.backfill.broker.topology import declare_heads, heads_name

TIMEOUT = 10.0


class HeadMessage(msgspec.Struct, frozen=True):
    """A head as it is sent: the signed note, and of how many events it is, in which epoch."""

    note: str
    epoch: int
    size: int


class HeadSender:
    """The connection that heads are sent over. It comes back by itself; what was under way is not sent again."""

    def __init__(self, url: str, prefix: str) -> None:
        self.name = heads_name(prefix)
        """Of the exchange, and of the stream queue."""
        self._connection = KeptConnection(url, "tree heads", self._declare, timeout=TIMEOUT)
        self._started = False

    async def _declare(self, connection: AbstractConnection) -> None:
        async with connection.channel(publisher_confirms=False) as channel:
            await declare_heads(channel, self.name, TIMEOUT)

    async def send(self, heads: Sequence[HeadMessage]) -> None:
        """All are confirmed when it returns. Raises BrokerRefused, and what the connection raises."""
        if not self._started:
            await self._connection.start()
            self._started = True
        connection = await self._connection.get()
        async with connection.channel(publisher_confirms=True, on_return_raises=True) as channel:
            exchange = await channel.get_exchange(self.name, ensure=False)
            for head in heads:
                message = aio_pika.Message(
                    head.note.encode(),
                    content_type="text/plain; charset=utf-8",
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    message_id=f"{head.epoch}-{head.size}",
                    headers={"epoch": head.epoch, "size": head.size},
                )
                await exchange.publish(message, routing_key="", mandatory=True, timeout=TIMEOUT)

    async def close(self) -> None:
        if self._started:
            await self._connection.close()
