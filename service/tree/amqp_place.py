"""Heads in a stream of RabbitMQ."""

from __future__ import annotations

from collections.abc import Sequence

from service.backfill.broker.head_sender import HeadMessage, HeadSender
from service.settings import Settings
from service.tree.folder import SignedHead


class AmqpPlace:
    """A stream of RabbitMQ. A message is the head's note, its id the epoch and size."""

    kind = "amqp"

    def __init__(self, settings: Settings) -> None:
        assert settings.amqp_url is not None
        self._sender = HeadSender(settings.amqp_url, settings.amqp_prefix)
        self.queue = self._sender.name
        self.name = f"amqp {self.queue}"

    async def take(self, heads: Sequence[SignedHead]) -> None:
        await self._sender.send([HeadMessage(str(each.note), each.epoch, each.head.size) for each in heads])

    async def close(self) -> None:
        await self._sender.close()
