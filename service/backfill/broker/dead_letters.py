"""Reads RabbitMQ's queue of dead letters, and takes single ones out of it.

A queue cannot be looked into: messages are taken on a channel of its own, unacknowledged, and go back
when they have been read. If this process dies meanwhile, the broker puts them back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from service.backfill.broker.messages import UnreadableMessage, decode
from service.backfill.broker.port import DeadLetter

SCAN_LIMIT = 10_000
"""Letters looked through for one id."""


async def read(connection: AbstractConnection, queue: str, limit: int, timeout: float) -> list[DeadLetter]:
    """Up to `limit` dead letters; `timeout` in seconds for each."""
    async with _borrowed(connection) as channel:
        return [_letter(message) async for message in _take(channel, queue, limit, timeout)]


@asynccontextmanager
async def lent(
    connection: AbstractConnection, queue: str, letter_id: str, timeout: float
) -> AsyncIterator[DeadLetter | None]:
    """The dead letter with this id, or None; it goes back at the end of the block."""
    async with _found(connection, queue, letter_id, timeout) as message:
        yield None if message is None else _letter(message)


@asynccontextmanager
async def taken(
    connection: AbstractConnection, queue: str, letter_id: str, timeout: float
) -> AsyncIterator[DeadLetter | None]:
    """The dead letter with this id, or None; it leaves the queue for good where the block ends without error."""
    async with _found(connection, queue, letter_id, timeout) as message:
        yield None if message is None else _letter(message)
        if message is not None:
            await message.ack()


@asynccontextmanager
async def _found(
    connection: AbstractConnection, queue: str, letter_id: str, timeout: float
) -> AsyncIterator[AbstractIncomingMessage | None]:
    async with _borrowed(connection) as channel:
        async for message in _take(channel, queue, SCAN_LIMIT, timeout):
            if _id(message) == letter_id:
                yield message
                return
        yield None


@asynccontextmanager
async def _borrowed(connection: AbstractConnection) -> AsyncIterator[AbstractChannel]:
    channel = await connection.channel(publisher_confirms=False)
    try:
        yield channel
    finally:
        if not channel.is_closed:
            underlay = await channel.get_underlay_channel()
            # Tag 0 with `multiple`: everything this channel still holds.
            await underlay.basic_nack(0, multiple=True, requeue=True)
            await channel.close()


async def _take(
    channel: AbstractChannel, name: str, limit: int, timeout: float
) -> AsyncIterator[AbstractIncomingMessage]:
    queue = await channel.get_queue(name, ensure=False)
    for _ in range(limit):
        message = await queue.get(fail=False, timeout=timeout)
        if message is None:
            return
        yield message


def _letter(message: AbstractIncomingMessage) -> DeadLetter:
    death = _first_death(message.headers)
    died_at = death.get("time")
    try:
        step = decode(message.body)
    except UnreadableMessage:
        step = None
    return DeadLetter(
        id=_id(message),
        queue=str(death.get("queue", "")),
        reason=str(death.get("reason", "unknown")),
        body=message.body,
        message=step,
        died_at=died_at if isinstance(died_at, datetime) else None,
    )


def _id(message: AbstractIncomingMessage) -> str:
    # Who else writes to our queues may give no id, or one that fits no address; equal bodies are then as good as one
    # another.
    if message.message_id and re.fullmatch("[A-Za-z0-9_-]{1,64}", message.message_id):
        return message.message_id
    return "body-" + hashlib.sha256(message.body).hexdigest()[:32]


def _first_death(headers: Mapping[str, object]) -> Mapping[str, object]:
    # The latest comes first: a letter that had waited has an older entry, `expired` in its wait queue.
    deaths = headers.get("x-death")
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], Mapping):
        return deaths[0]
    return {}
