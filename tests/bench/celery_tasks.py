"""Celery's application for the comparison, as its worker and our client load it: one task that does nothing.

As durable as ours: a quorum queue, confirmed publications, acknowledgement after the result is stored, and the results
in PostgreSQL.
"""

from __future__ import annotations

import os

from celery import Celery


def noop(number: int) -> int:
    """Answers its argument, so that a result can be told from another's."""
    return number


app = Celery(
    "bench",
    broker=os.environ["BENCH_AMQP_URL"],
    backend=f"db+{os.environ['BENCH_SQLALCHEMY_URL']}",
    task_default_queue=os.environ["BENCH_QUEUE"],
    task_default_queue_type="quorum",
    task_acks_late=True,
    worker_prefetch_multiplier=32,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    database_create_tables_at_setup=True,
)
task = app.task(name="noop")(noop)
