"""Every queue of the broker: its name, its arguments and why, declared here and nowhere else.

Messages of the backfill go through the default exchange, whose routing key is a queue's name: there is no exchange and
no binding that could get lost. Only what RabbitMQ 3.10 and 4.x both accept is used.

    publish ──▶ work.<lane> ──handler raises 11 times, or gives up, or unreadable──▶ dead
    publish with a delay ──▶ wait.<lane>.<delay> ──time is up──▶ work.<lane>

Events for other programs go through an exchange, to which these bind what they like:

    the log    ──▶ events (topic)      ──all──▶ log (a stream: reading takes nothing out of it)
    tree heads ──▶ tree-heads (fanout) ──all──▶ tree-heads (a stream)
"""

from __future__ import annotations

import msgspec
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelPreconditionFailed

from service.backfill.broker.messages import LANES, Lane
from service.backfill.broker.port import DELAYS, DELIVERY_LIMIT, BrokerRefused, wait_class

PREFIX = "report_builder"
# RabbitMQ 4 drops what was handed back 20 times from a queue without a limit of its own, and reading the
# dead letters hands them back. "No limit" (-1) is refused by 3.10, so: a number nobody reaches. (From the wait
# queues nothing is handed out; they have one so that no version's default is ever theirs.)
NEVER = 1_000_000_000


class QueueDeclaration(msgspec.Struct, frozen=True):
    """One queue: durable, not exclusive, not deleted automatically; `arguments` say the rest."""

    name: str
    arguments: dict[str, str | int]


class Topology:
    """The names and declarations of all queues below one prefix, so that installations can share a broker.

    `delays` in seconds, ascending.
    """

    def __init__(self, prefix: str = PREFIX, delays: tuple[float, ...] = DELAYS) -> None:
        self.delays = delays
        self.work: dict[Lane, str] = {lane: f"{prefix}.work.{lane}" for lane in LANES}
        self.dead = f"{prefix}.dead"
        self._waits = {(lane, delay): f"{prefix}.wait.{lane}.{delay_name(delay)}" for lane in LANES for delay in delays}

    def route(self, lane: Lane, delay: float) -> str:
        """The queue into which a message of this lane goes to be handed out `delay` seconds from now."""
        chosen = wait_class(delay, self.delays)
        return self.work[lane] if chosen is None else self._waits[lane, chosen]

    def declarations(self) -> list[QueueDeclaration]:
        """All queues, each after those into which it dead-letters."""
        dead = QueueDeclaration(self.dead, {"x-queue-type": "quorum", "x-delivery-limit": NEVER})
        work = [
            QueueDeclaration(name, {**_moves_on_to(self.dead), "x-delivery-limit": DELIVERY_LIMIT})
            for name in self.work.values()
        ]
        # The time-out is the queue's, never a message's: a quorum queue looks only at its head, so a short
        # wait behind a long one would last as long.
        waits = [
            QueueDeclaration(
                name,
                {**_moves_on_to(self.work[lane]), "x-delivery-limit": NEVER, "x-message-ttl": round(delay * 1000)},
            )
            for (lane, delay), name in self._waits.items()
        ]
        return [dead, *work, *waits]


class LogTopology:
    """The exchange that events are sent to, and the stream queue that keeps them `days` and at most `size` bytes."""

    def __init__(self, prefix: str = PREFIX, *, days: int = 30, size: int = 5_000_000_000) -> None:
        self.days = days
        self.exchange = f"{prefix}.events"
        self.queue = QueueDeclaration(
            f"{prefix}.log",
            {
                "x-queue-type": "stream",
                "x-max-age": f"{days}D",
                "x-max-length-bytes": size,
                # Retention drops whole segments: small ones keep close to what is asked for.
                "x-stream-max-segment-size-bytes": min(max(size // 20, 1_000_000), 500_000_000),
            },
        )


async def declare_log(channel: AbstractChannel, topology: LogTopology, timeout: float) -> None:
    """Makes sure that exchange, queue and binding exist. Raises BrokerRefused where one has other settings."""
    name = topology.queue.name
    try:
        exchange = await channel.declare_exchange(topology.exchange, ExchangeType.TOPIC, durable=True, timeout=timeout)
        queue = await channel.declare_queue(
            name, durable=True, arguments=dict(topology.queue.arguments), timeout=timeout
        )
    except ChannelPreconditionFailed as error:
        raise BrokerRefused(
            f"The queue {name} or the exchange {topology.exchange} exists with other settings ({error}). Delete the"
            " queue: it is filled again from the log. Or choose another queue prefix."
        ) from error
    await queue.bind(exchange, "#", timeout=timeout)


def heads_name(prefix: str) -> str:
    """Of the exchange that signed tree heads are sent to, and of the stream queue that keeps them, all of them."""
    return f"{prefix}.tree-heads"


async def declare_heads(channel: AbstractChannel, name: str, timeout: float) -> None:
    """Makes sure that exchange, queue and binding exist. Raises BrokerRefused where one has other settings."""
    try:
        exchange = await channel.declare_exchange(name, ExchangeType.FANOUT, durable=True, timeout=timeout)
        queue = await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "stream"}, timeout=timeout)
    except ChannelPreconditionFailed as error:
        raise BrokerRefused(
            f"The queue or the exchange {name} exists with other settings ({error}). Rename or delete it, or choose"
            " another queue prefix."
        ) from error
    await queue.bind(exchange, timeout=timeout)


def delay_name(delay: float) -> str:
    """A delay in seconds as a queue's name has it: `5s`, below a second `500ms`."""
    return f"{delay:g}s" if delay == int(delay) else f"{round(delay * 1000)}ms"


async def declare(channel: AbstractChannel, topology: Topology, timeout: float) -> dict[str, tuple[int, int]]:
    """Make sure every queue exists; changes nothing where it does, so anyone may call it at any time.

    Returns what each queue holds: (messages ready, consumers). Takes a plain channel: a robust one answers a
    repeated declaration from memory. `timeout` in seconds for each queue. Raises BrokerRefused where a queue
    of that name exists with other arguments.
    """
    counts = {}
    for queue in topology.declarations():
        try:
            declared = await channel.declare_queue(
                queue.name, durable=True, arguments=dict(queue.arguments), timeout=timeout
            )
        except ChannelPreconditionFailed as error:
            raise BrokerRefused(
                f"The queue {queue.name} exists with other settings ({error}). Drain and delete it, or choose "
                "another queue prefix."
            ) from error
        counts[queue.name] = (
            declared.declaration_result.message_count or 0,
            declared.declaration_result.consumer_count or 0,
        )
    return counts


def _moves_on_to(target: str) -> dict[str, str | int]:
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": target,
        # At least once: a message leaves only when the target has confirmed it. RabbitMQ allows that only
        # for queues that reject when full (they have no maximum, so none ever is).
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
