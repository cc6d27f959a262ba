"""The role scheduler: it starts the runs of schedules that are due."""

from __future__ import annotations

from functools import partial

from service.operations.readings import schedules_reading
from service.roles.process import Process
from service.schedules.scheduler import Scheduler


async def start(process: Process) -> None:
    pool, clock = process.pool, process.clock
    scheduler = Scheduler(pool, process.feed, process.writer, clock, process.settings)
    task = process.start("scheduler", scheduler.run())
    process.drain.add("scheduler", partial(scheduler.rounds.stop, task))
    process.health.rounds["scheduler"] = scheduler.rounds
    process.scrape.add_reading("schedules", schedules_reading(pool, clock))
