"""Heads in a stream of RabbitMQ."""

from __future__ import annotations

from collections.abc import Sequence

import aio_pika
from aio_pika.abc import AbstractConnection

from service.backfill.broker.connection import KeptConnection
from service.settings import Settings
from service.tree.heads import KnownHead

TIMEOUT = 10.0


class AmqpPlace:
    """A stream of RabbitMQ, through an exchange that others may bind queues of their own to. A message is the head's
    note, its id the epoch and size."""

    kind = "amqp"

    def __init__(self, settings: Settings) -> None:
        assert settings.amqp_url is not None
        self.name = f"amqp {settings.amqp_prefix}.tree-heads"
        self.exchange = self.queue = f"{settings.amqp_prefix}.tree-heads"
        self._connection = KeptConnection(settings.amqp_url, "tree heads", self._declare, timeout=TIMEOUT)
        self._started = False

    async def _declare(self, connection: AbstractConnection) -> None:
        async with connection.channel() as channel:
            exchange = await channel.declare_exchange(self.exchange, "fanout", durable=True, timeout=TIMEOUT)
            queue = await channel.declare_queue(
                self.queue, durable=True, arguments={"x-queue-type": "stream"}, timeout=TIMEOUT
            )
            await queue.bind(exchange, timeout=TIMEOUT)

    async def take(self, heads: Sequence[KnownHead]) -> None:
        if not self._started:
            await self._connection.start()
            self._started = True
        connection = await self._connection.get()
        async with connection.channel(publisher_confirms=True) as channel:
            exchange = await channel.get_exchange(self.exchange, ensure=False)
            for known in heads:
                message = aio_pika.Message(
                    str(known.note).encode(),
                    content_type="text/plain; charset=utf-8",
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    message_id=f"{known.epoch}-{known.head.size}",
                    headers={"epoch": known.epoch, "size": known.head.size},
                )
                await exchange.publish(message, "", timeout=TIMEOUT)

    async def close(self) -> None:
        if self._started:
            await self._connection.close()
