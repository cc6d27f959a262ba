"""Messages between admission and workers: the port `Broker`, in memory for one process, or RabbitMQ.

What may not live here: anything that must not be lost. Attempts, delays beyond minutes, priorities and
fairness are the database's; a broker may lose everything it holds.
"""

from __future__ import annotations

from service.backfill.broker.memory import MemoryBroker
from service.backfill.broker.messages import LANES, Lane, Step, StepMessage, UnreadableMessage
from service.backfill.broker.port import (
    DELAYS,
    DELIVERY_LIMIT,
    Broker,
    BrokerRefused,
    BrokerUnavailable,
    Consumption,
    DeadLetter,
    DeadLetterNotFound,
    Delivery,
    GaveUp,
    Handler,
    PublishFailed,
)
from service.backfill.broker.topology import PREFIX, Topology


def create_broker(
    amqp_url: str | None,
    *,
    prefix: str = PREFIX,
    timeout: float = 10,
    watchdog_interval: float = 10,
) -> Broker:
    """The broker for this URL, not yet started; without a URL, the one in memory.

    `prefix` begins every queue's name; `timeout` in seconds for a publish; `watchdog_interval` in seconds.
    """
    if amqp_url is None:
        return MemoryBroker()
    from service.backfill.broker.amqp import AmqpBroker  # only where there is one: its library is large

    topology = Topology(prefix)
    return AmqpBroker(amqp_url, topology=topology, timeout=timeout, watchdog_interval=watchdog_interval)


__all__ = [
    "DELAYS",
    "DELIVERY_LIMIT",
    "LANES",
    "Broker",
    "BrokerRefused",
    "BrokerUnavailable",
    "Consumption",
    "DeadLetter",
    "DeadLetterNotFound",
    "Delivery",
    "GaveUp",
    "Handler",
    "Lane",
    "MemoryBroker",
    "PublishFailed",
    "Step",
    "StepMessage",
    "Topology",
    "UnreadableMessage",
    "create_broker",
]
