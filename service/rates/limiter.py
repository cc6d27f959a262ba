"""Holds every caller to the policies; `service.front` tells them on each answer where they stand."""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog
from starlette.requests import Request

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from service.auth.caller import Caller
from service.problems import Refused
from service.rates.bucket import Bucket
from service.rates.policies import policies_of
from service.settings import Settings

log = structlog.get_logger()

STANDING = "report_builder.rate_standing"
"""Where a request's scope keeps where its caller stands, for the answer's headers."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

HOUSEKEEPING_INTERVAL = 3600.0
FORGET = "DELETE FROM request_rates WHERE taken_at < clock_timestamp() - interval '1 day'"


class Rates:
    """Counts the requests of this process's callers, each person's reads and writes on their own."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._reads, self._writes = policies_of(settings)
        self._buckets: dict[tuple[UUID, str], Bucket] = {}

    async def admit(self, request: Request, caller: Caller) -> None:
        """Counts the request. Raises Refused (`rate_limited`) for one too many, and what asyncpg does where the
        database is away: then nobody knows how many there were, and none is served."""
        policy = self._reads if request.method in SAFE_METHODS else self._writes
        if policy is None:
            return
        bucket = self._buckets.get((caller.user_id, policy.key))
        if bucket is None:
            bucket = self._buckets[caller.user_id, policy.key] = Bucket(self._pool, caller.user_id, policy)
        standing = request.scope[STANDING] = await bucket.take()
        if standing.refused:
            raise Refused(
                "rate_limited",
                f"more than {policy.quota} {policy.name} in {policy.window} seconds; go on in"
                f" {standing.whole_seconds} seconds",
                extra={"violated-policies": [policy.name]},
                retry_after=standing.whole_seconds,
            )

    async def run(self) -> None:
        """Forgets who has not come for a day, once an hour, until cancelled."""
        while True:
            try:
                await self._pool.execute(FORGET)
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                log.warning("rates_not_forgotten", error=type(error).__name__)
            self._forget_idle()
            await asyncio.sleep(HOUSEKEEPING_INTERVAL)

    def _forget_idle(self) -> None:
        before = asyncio.get_running_loop().time() - HOUSEKEEPING_INTERVAL
        gone = [key for key, bucket in self._buckets.items() if bucket.idle and bucket.used_at < before]
        for key in gone:
            del self._buckets[key]
