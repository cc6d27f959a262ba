"""Keeps the read models up with the log: a batch of events and the checkpoint move in one transaction, so each
event counts exactly once, however many projectors run and wherever one is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from db.pool import Connection, Pool, end_if_cancelled
from events.envelope import RecordedEvent
from events.feed import Feed
from events.reader import read_after
from events.rounds import Rounds
from projections import accounts, backfills, instances, reports, schedules, steps, teams, workflows
from projections.rows import Rows

log = structlog.get_logger()

# The tables are tied by foreign keys, so they are one projection with one checkpoint. Parents come first.
NAME = "read_models"
MODULES = (workflows, accounts, instances, teams, backfills, schedules, reports, steps)
TABLES = tuple(table for module in MODULES for table in module.TABLES)
# An event may change tables of several modules; they apply it in their order.
HANDLERS = {
    kind: [module.HANDLERS[kind] for module in MODULES if kind in module.HANDLERS]
    for kind in dict.fromkeys(kind for module in MODULES for kind in module.HANDLERS)
}

BATCH = 500
RETRY_AFTER = 2.0


async def apply_events(connection: Connection, events: Sequence[RecordedEvent]) -> None:
    """Folds the events into the tables. Raises ProjectionError or UnknownEvent, and then writes nothing.

    Every event is decoded, also those that change no table: one that this release cannot read stops it.
    """
    rows = Rows()
    handled = []
    for event in events:
        data = event.data
        for want, apply in HANDLERS.get(event.event_type, ()):
            want(event, rows)
            handled.append((event, data, apply))
    await rows.load(connection)
    for event, data, apply in handled:
        apply(event, data, rows)
    await rows.write(connection, TABLES)


async def project_batch(pool: Pool, limit: int = BATCH) -> tuple[int, int]:
    """Applies the next events, if there are any; answers the checkpoint and how many were applied."""
    async with pool.acquire() as connection, connection.transaction():
        # The lock makes a second projector wait its turn; it then continues after what the first has done.
        position: int = await connection.fetchval(
            "SELECT position FROM projection_checkpoints WHERE projection = $1 FOR UPDATE", NAME
        )
        events = await read_after(connection, position, limit)
        if not events:
            return position, 0
        await apply_events(connection, events)
        await connection.execute(
            "UPDATE projection_checkpoints SET position = $2, updated_at = clock_timestamp()"
            " WHERE projection = $1 AND position = $3",
            NAME,
            events[-1].position,
            position,
        )
        return events[-1].position, len(events)


class Projector:
    """The projector role. `stopped_by` says why it does not go on, null while it does."""

    def __init__(self, pool: Pool, feed: Feed) -> None:
        self._pool = pool
        self._feed = feed
        self.stopped_by: str | None = None
        self.rounds = Rounds()

    async def run(self) -> None:
        """Follows the log until cancelled. What it cannot apply it tries again, and says so each time."""
        while True:
            self.rounds.begin()
            try:
                position, applied = await project_batch(self._pool)
                self.stopped_by = None
                self.rounds.end()
            except Exception as error:
                end_if_cancelled(error)
                self.stopped_by = f"{type(error).__name__}: {error}"
                log.exception("projection_stopped", projection=NAME)
                await asyncio.sleep(RETRY_AFTER)
                continue
            if applied < BATCH:
                await self._feed.wait_beyond(position)


async def wait_projected(pool: Pool, position: int, *, timeout: float = 10.0) -> bool:
    """Waits until the read models have applied the position; False where `timeout` seconds passed first."""
    pause = 0.005
    try:
        async with asyncio.timeout(timeout):
            while await read_checkpoint(pool) < position:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.1)
    except TimeoutError:
        return False
    return True


async def read_checkpoint(pool: Pool) -> int:
    """How far the read models have applied the log."""
    return await pool.fetchval(  # type: ignore[no-any-return]
        "SELECT position FROM projection_checkpoints WHERE projection = $1", NAME
    )
