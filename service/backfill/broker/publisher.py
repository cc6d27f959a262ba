"""Sends bodies to queues of RabbitMQ and knows of each whether it is stored there.

Confirms are pipelined: many messages are under way at once (about 5,000 a second against 1,200 one by
one), and each is accounted for. Anything else than the broker's own confirm within the time counts as not
sent, though it may still arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange
from aio_pika.exceptions import DeliveryError, PublishError

from service.backfill.broker.connection import KeptConnection
from service.backfill.broker.port import CANCEL_TIMEOUT

IN_FLIGHT = 64
"""Messages under way at once; more brought no more throughput when measured."""


class Publisher:
    """Publishes over its own connection: RabbitMQ stops reading from publishers while it is short of
    memory, and whatever shared the connection would stop with them.

    `timeout` in seconds for one call of `send`.
    """

    def __init__(self, url: str, name: str, *, timeout: float) -> None:
        self.connection = KeptConnection(url, name, self._open, timeout=timeout)
        self._timeout = timeout
        self._exchange: AbstractExchange | None = None
        self._window = asyncio.Semaphore(IN_FLIGHT)

    async def send(self, bodies: Sequence[tuple[str, bytes]]) -> dict[int, str]:
        """Send (queue, body) pairs; returns, by index, why which of them were not confirmed: empty if all were."""
        tasks = [asyncio.create_task(self._send_one(queue, body)) for queue, body in bodies]
        if not tasks:
            return {}
        try:
            await asyncio.wait(tasks, timeout=self._timeout)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks, timeout=CANCEL_TIMEOUT)
        return {index: reason for index, task in enumerate(tasks) if (reason := self._failure(task))}

    async def _send_one(self, queue: str, body: bytes) -> None:
        async with self._window:
            connection = await self.connection.get()
            if connection.transport is not None:
                # What is written to a blocked connection lies in the socket and arrives when nobody expects
                # it any more; so wait here, where giving up means it was not sent.
                await connection.transport.ready()
            if self._exchange is None:
                raise ConnectionError("the publishing channel is closed")
            message = aio_pika.Message(
                body,
                content_type="application/json",
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                # Confirms and returns are told apart by this id alone: with one id twice under way, the
                # library reports an unroutable message as stored and the stored one as returned.
                message_id=uuid4().hex,
            )
            try:
                await self._exchange.publish(message, routing_key=queue, mandatory=True)
            except PublishError:
                raise  # it came back: there is no such queue
            except DeliveryError:
                # A channel that first met a queue while its leader was dead and no other elected yet asks that dead
                # node for ever, in RabbitMQ 3.10, and refuses every message for this queue.
                self.connection.replace(connection, "a queue took no message")
                raise

    def _failure(self, task: asyncio.Task[None]) -> str | None:
        # A lost connection may end a publish as "cancelled", too; all mean: no confirm came.
        if not task.done() or task.cancelled():
            blocked = "the broker takes no messages (memory or disk alarm), " if self.connection.blocked else ""
            return f"{blocked}no confirm within {self._timeout:g} s"
        error = task.exception()
        return None if error is None else str(error) or repr(error)

    async def _open(self, connection: AbstractConnection) -> None:
        # Without on_return_raises an unroutable message looks like a stored one.
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        # A channel that is closed alone (not with its connection) would not come back.
        channel.close_callbacks.add(lambda *_: self.connection.replace(connection, "its channel was closed"))
        self._exchange = channel.default_exchange
