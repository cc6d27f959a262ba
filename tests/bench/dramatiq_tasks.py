"""dramatiq's broker for the comparison, as its worker and our client load it: one task that does nothing.

As durable as ours: a quorum queue, confirmed publications, acknowledgement after the result is stored, and the results
in PostgreSQL, which dramatiq has no backend for: this one does one INSERT for each, over a connection for each thread.
"""

from __future__ import annotations

import os
from threading import local
from typing import Any

import dramatiq
import psycopg
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.results import ResultBackend, Results

QUEUE = os.environ["BENCH_QUEUE"]


class QuorumBroker(RabbitmqBroker):
    """All its queues are quorum queues."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        arguments = super()._build_queue_arguments(queue_name)
        return {**arguments, "x-queue-type": "quorum"}


class PostgresResults(ResultBackend):
    """A row for each result."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = local()

    def _store(self, message_key: str, result: Any, ttl: int) -> None:
        connection = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = connect()
        connection.execute(
            "INSERT INTO dramatiq_results VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET result = excluded.result",
            (message_key, self.encoder.encode(result)),
        )


def connect() -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["BENCH_DATABASE_URL"], autocommit=True)


def prepare() -> None:
    """Makes the table and the queues, where they are missing."""
    with connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS dramatiq_results (key text PRIMARY KEY, result bytea NOT NULL)")
    broker.declare_queue(QUEUE, ensure=True)


broker = QuorumBroker(url=os.environ["BENCH_AMQP_URL"], confirm_delivery=True)
broker.add_middleware(Results(backend=PostgresResults(), store_results=True))
dramatiq.set_broker(broker)


def noop(number: int) -> int:
    """Answers its argument, so that a result can be told from another's."""
    return number


task = dramatiq.actor(queue_name=QUEUE)(noop)
