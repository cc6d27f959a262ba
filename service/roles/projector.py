"""The role projector: the read models follow the log."""

from __future__ import annotations

from projections.activity import ActivityIndexer
from projections.runner import Projector
from service.roles.process import Process


async def start(process: Process) -> None:
    projector = Projector(process.pool, process.feed)
    process.start("projector", projector.run())
    process.health.rounds["projector"] = projector.rounds
    process.health.check("projector", lambda: projector.stopped_by)
    process.start("activity index", ActivityIndexer(process.pool, process.feed).run())
