"""The role publisher: it sends the log to RabbitMQ, for other programs. Without RabbitMQ it has nothing to do."""

from __future__ import annotations

from functools import partial

import structlog

from service.operations.readings import publisher_reading
from service.roles.process import Process

log = structlog.get_logger()


async def start(process: Process) -> None:
    settings = process.settings
    process.scrape.add_reading("publisher", publisher_reading(process.pool))
    if settings.amqp_url is None:
        log.debug("nothing_published", remedy="set REPORT_BUILDER_AMQP_URL for events over RabbitMQ")
        return
    from service.backfill.broker.log_sender import LogSender  # only where there is one: the library is large
    from service.backfill.broker.topology import LogTopology
    from service.stream.publisher import LogPublisher

    topology = LogTopology(settings.amqp_prefix, days=settings.amqp_log_days, size=settings.amqp_log_bytes)
    publisher = LogPublisher(process.pool, process.feed, LogSender(settings.amqp_url, topology))
    task = process.start("publisher", publisher.run())
    process.drain.add("publisher", partial(publisher.rounds.stop, task))
    process.health.rounds["publisher"] = publisher.rounds
    process.health.check("publisher", lambda: publisher.problem)
