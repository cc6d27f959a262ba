"""The database's clock, read without a round trip: for what ends at a time that all processes must agree on."""

from __future__ import annotations

import asyncio
import time

import structlog

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled

log = structlog.get_logger()

MEASURE_EVERY = 60.0


class DatabaseClock:
    """How far the database's time is from this process's monotonic clock, measured now and then.

    It is right to within half a round trip of the last measure, and to the drift of a minute.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since 1970 by the database's clock."""
        return time.monotonic() + self._offset

    async def measure(self) -> None:
        """Asks the database. Raises what a statement may raise."""
        before = time.monotonic()
        told = await self._pool.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
        self._offset = told - (before + time.monotonic()) / 2

    async def run(self) -> None:
        """Measures again for ever; while the database is away the last measure holds."""
        while True:
            await asyncio.sleep(MEASURE_EVERY)
            try:
                await self.measure()
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                log.warning("clock_not_measured", error=type(error).__name__)
