"""taskiq's broker for the comparison, as its worker and our client load it: one task that does nothing.

As durable as ours: a quorum queue, confirmed publications, acknowledgement after the result is stored, and the results
in PostgreSQL.
"""

from __future__ import annotations

import os

from taskiq_aio_pika import AioPikaBroker, Queue
from taskiq_pg import AsyncpgResultBackend

results: AsyncpgResultBackend[int] = AsyncpgResultBackend(dsn=os.environ["BENCH_DATABASE_URL"])
queue = Queue(name=os.environ["BENCH_QUEUE"])
broker = AioPikaBroker(os.environ["BENCH_AMQP_URL"], qos=64, task_queues=[queue]).with_result_backend(results)


async def noop(number: int) -> int:
    """Answers its argument, so that a result can be told from another's."""
    return number


task = broker.task(task_name="noop")(noop)
