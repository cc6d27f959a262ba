"""How often requests are refused, by day, person, route and code.

A refusal is no event: it records nothing in the log, and a busy client must not fill it. Each process counts in
memory and adds its counts to `request_errors` every few seconds and at its end; a crash loses those seconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import structlog

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from service.auth.caller import Caller

log = structlog.get_logger()

FLUSH_INTERVAL = 5.0
FORGET_INTERVAL = 3600.0

# Sorted, so that two processes that add to the same rows never wait for each other in a circle.
ADD = """
INSERT INTO request_errors (team_id, day, user_id, route, code, count)
SELECT n.team_id, (clock_timestamp() AT TIME ZONE 'UTC')::date, n.user_id, n.route, n.code, n.count
  FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::bigint[]) AS n(team_id, user_id, route, code, count)
 ORDER BY n.team_id, n.user_id, n.route, n.code
ON CONFLICT (team_id, day, user_id, route, code) DO UPDATE SET count = request_errors.count + excluded.count
"""
FORGET = "DELETE FROM request_errors WHERE day < (clock_timestamp() AT TIME ZONE 'UTC')::date - $1::int"


class ErrorCounts:
    """The counts of one process that are not in the table yet. `kept_days`: what is older is forgotten."""

    def __init__(self, pool: Pool, *, kept_days: int) -> None:
        self._pool = pool
        self._kept_days = kept_days
        self._counts: Counter[tuple[str, UUID, str, str]] = Counter()

    def note(self, caller: Caller, route: str, code: str) -> None:
        """One more request of the caller on the route (method and path with its placeholders) was refused."""
        self._counts[caller.team_id, caller.user_id, route, code] += 1

    async def flush(self) -> None:
        """Adds what was counted to the table; where that fails it is kept for the next time."""
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        teams, users, routes, codes = zip(*counts, strict=True)
        try:
            await self._pool.execute(ADD, teams, users, routes, codes, list(counts.values()))
        except BaseException:
            self._counts.update(counts)
            raise

    async def run(self) -> None:
        """Flushes every few seconds and forgets every hour, until cancelled."""
        forget_at = 0.0
        while True:
            try:
                await self.flush()
                if (now := asyncio.get_running_loop().time()) >= forget_at:
                    await self._pool.execute(FORGET, self._kept_days)
                    forget_at = now + FORGET_INTERVAL
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                log.warning("error_counts_wait", error=type(error).__name__)
            await asyncio.sleep(FLUSH_INTERVAL)

    async def close(self) -> None:
        """Adds the last ones, if the database is there."""
        try:
            async with asyncio.timeout(FLUSH_INTERVAL):
                await self.flush()
        except DATABASE_ERRORS as error:
            log.warning("error_counts_lost", requests=self._counts.total(), error=type(error).__name__)
