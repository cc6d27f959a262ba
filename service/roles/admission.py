"""The role admission: it admits segments as limits and slots allow, and sends their steps to the broker."""

from __future__ import annotations

from functools import partial

from service.backfill.admission import Admission
from service.operations.readings import amc_reading, queues_reading, slots_reading
from service.roles.process import Process
from service.roles.shared import open_broker


async def start(process: Process) -> None:
    settings, pool = process.settings, process.pool
    broker = await open_broker(process)
    admission = Admission(pool, process.feed, process.writer, broker, settings)
    task = process.start("admission", admission.run())
    process.drain.add("admission", partial(admission.rounds.stop, task))
    process.health.rounds["admission"] = admission.rounds
    process.scrape.add_reading("queues", queues_reading(broker))
    process.scrape.add_reading("slots", slots_reading(pool))
    process.scrape.add_reading("amc", amc_reading(pool, settings.amc_requests_per_second))
