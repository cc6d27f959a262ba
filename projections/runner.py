"""Keeps the read models up with the log: a batch of events and the checkpoint move in one transaction, so each
event counts exactly once, however many projectors run and wherever one is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from db.pool import DATABASE_AWAY, DATABASE_ERRORS, Connection, Pool, end_if_cancelled
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

_APPLY = {kind: [apply for _, apply in handlers] for kind, handlers in HANDLERS.items()}

BATCH = 500
RETRY_AFTER = 2.0


class CannotApply(Exception):
    """The projection stands before this event; nothing is skipped. `cause` is what is wrong with it."""

    def __init__(self, event: RecordedEvent, cause: Exception) -> None:
        super().__init__(
            f"position {event.position} ({event.event_type}, version {event.schema_version}, of {event.stream}):"
            f" {type(cause).__name__}: {cause}"
        )
        self.event = event
        self.cause = cause


async def apply_events(connection: Connection, events: Sequence[RecordedEvent]) -> None:
    """Folds the events into the tables. Raises CannotApply, and then writes nothing."""
    rows = Rows(TABLES)
    want_rows(events, rows)
    await rows.load(connection)
    fold(events, rows)
    await rows.write(connection)


def want_rows(events: Sequence[RecordedEvent], rows: Rows) -> None:
    """Says which rows `fold` will need. Raises CannotApply where an event cannot be read."""
    for event in events:
        try:
            for want, _ in HANDLERS.get(event.event_type, ()):
                want(event, rows)
        except Exception as error:
            raise CannotApply(event, error) from error


def fold(events: Sequence[RecordedEvent], rows: Rows) -> None:
    """Applies the events to the rows, in order. Raises CannotApply.

    Every event is decoded, also those that change no table: one that this release cannot read stops it.
    """
    for event in events:
        try:
            data = event.data
            for apply in _APPLY.get(event.event_type, ()):
                apply(event, data, rows)
        except Exception as error:
            raise CannotApply(event, error) from error


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
            "UPDATE projection_checkpoints SET position = $2, updated_at = clock_timestamp(),"
            " stopped_at = NULL, stopped_by = NULL, stopped_since = NULL WHERE projection = $1 AND position = $3",
            NAME,
            events[-1].position,
            position,
        )
        return events[-1].position, len(events)


class Projector:
    """The projector role. `stopped_by` says before which position it stands and why, null while it goes on."""

    def __init__(self, pool: Pool, feed: Feed) -> None:
        self._pool = pool
        self._feed = feed
        self.stopped_by: str | None = None
        self.rounds = Rounds()

    async def run(self) -> None:
        """Follows the log until cancelled. An event that it cannot apply it tries again and again: once this release
        knows it, or what is wrong with the tables is mended, the projection goes on by itself."""
        limit = BATCH
        while True:
            self.rounds.begin()
            try:
                position, applied = await project_batch(self._pool, limit)
            except DATABASE_AWAY as error:
                end_if_cancelled(error)
                log.warning("projection_waits", projection=NAME, error=type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)
                continue
            except Exception as error:
                end_if_cancelled(error)
                if limit > 1:  # nearer to the event, with all that is before it
                    limit //= 2
                    continue
                await self._stop(error)
                await asyncio.sleep(RETRY_AFTER)
                continue
            self.stopped_by = None
            self.rounds.end()
            if applied < limit:
                await self._feed.wait_beyond(position)
            limit = min(2 * limit, BATCH)

    async def _stop(self, error: Exception) -> None:
        """Says where and why, here and in the checkpoint's row, for who asks elsewhere."""
        try:
            position = await read_checkpoint(self._pool) + 1
            # A constraint's name is in its message, what else it says may be a row's content.
            reason = str(error.cause) if isinstance(error, CannotApply) else str(error).partition("\n")[0]
            kind = type(error.cause if isinstance(error, CannotApply) else error).__name__
            log.error("projection_stopped", projection=NAME, position=position, error=kind, exc_info=error)
            await self._pool.execute(
                "UPDATE projection_checkpoints SET stopped_at = $2, stopped_by = $3,"
                " stopped_since = CASE WHEN stopped_at = $2 THEN stopped_since ELSE clock_timestamp() END"
                " WHERE projection = $1 AND position = $2 - 1",
                NAME,
                position,
                f"{kind}: {reason}",
            )
            # Last: whoever reads it here finds it in the row, too.
            self.stopped_by = f"position {position}: {kind}: {reason}"
        except DATABASE_ERRORS as lost:
            end_if_cancelled(lost)
            log.warning("projection_waits", projection=NAME, error=type(lost).__name__)


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
