"""How fast an account may call AMC, and whether an instance is to be called at all, over all processes.

The rate is a token bucket in the database. A 429 lowers it at once and it grows back slowly, so that it settles near
what Amazon lets pass; attempts that repeat failed ones have a fifth of it, so that failures do not crowd out the rest.
An instance on which AMC fails again and again is left alone, and then tried with one call at a time.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import asyncpg
import msgspec
import structlog

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from db.together import Together
from service.amc.errors import AmcError

log = structlog.get_logger()

# Seconds that a call waits for its place; for a longer wait somebody else can have the time.
PATIENCE = 5.0
# What says that AMC itself is sick, and not the request.
SICK = frozenset({"server_error", "not_connected", "connection_lost", "timeout", "unexpected", "unreadable"})


class Place(msgspec.Struct, frozen=True):
    """A call's turn, which has come; `goes_at` is when, by the database's clock. `watched`: the instance has failed
    lately, and a success is to be told of. `probe`: the call tries whether AMC is well again."""

    instance_id: str | None
    goes_at: datetime
    watched: bool
    probe: bool = False


class Pace(Protocol):
    """What a client of AMC asks before each call, and tells what came of it."""

    async def take(self, instance_id: str | None, *, again: bool = False) -> Place:
        """Waits until a call on the instance (None: on none) may be sent. `again`: it repeats a failed attempt.

        Raises AmcError with the code `slowed` or `resting` where that would take long: nothing is to be sent, and
        `retry_after` is when to ask again.
        """
        ...

    async def end(self, place: Place, error: AmcError | None) -> None:
        """What came of the call; None where AMC answered as it should."""
        ...


class PaceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of one account: calls per second and at once. `failures` in a row open the breaker of an instance for `pause`
    seconds, doubled each time up to `longest_pause`; `call_timeout`: seconds after which a call has ended."""

    rate: float
    burst: float
    failures: int
    pause: float
    longest_pause: float
    call_timeout: float


def burst_of(rate: float) -> int:
    """Calls that may be sent at once where nobody has said how many: as many as a second allows."""
    return max(1, math.floor(rate))


class SharedPace:
    """The pace of one account, kept in the database."""

    def __init__(self, pool: Pool, account_id: str, settings: PaceSettings) -> None:
        self._pool = pool
        self._account_id = account_id
        self._settings = settings
        self._taking: Together[tuple[str | None, bool], asyncpg.Record] = Together(self._take)

    async def take(self, instance_id: str | None, *, again: bool = False) -> Place:
        taken = await self._taking.ask((instance_id, again))
        wait, goes_at = taken["wait"], taken["goes_at"]
        if taken["verdict"] != "go":
            words = {"slowed": "slowed by Amazon", "open": "AMC fails on this instance and is left alone"}
            raise AmcError(
                f"{words[taken['verdict']]}: next try {goes_at:%H:%M:%S} UTC",
                kind="transient",
                code="slowed" if taken["verdict"] == "slowed" else "resting",
                retry_after=math.ceil(wait * 10) / 10,
            )
        if wait > 0:
            await asyncio.sleep(wait)
        return Place(instance_id, goes_at, taken["watched"], taken["probe"])

    async def _take(self, asked: Sequence[tuple[str | None, bool]]) -> list[asyncpg.Record]:
        """A row for each, in order; those of the same kind in one call."""
        settings = self._settings
        taken = {}
        for (instance_id, again), calls in Counter(asked).items():
            rows = await self._pool.fetch(
                "SELECT * FROM take_amc_call($1, $2, $3, $4, $5, $6, $7, $8)",
                self._account_id,
                instance_id,
                settings.rate,
                settings.burst,
                again,
                PATIENCE,
                settings.call_timeout,
                calls,
            )
            taken[instance_id, again] = iter(rows)
        return [next(taken[kind]) for kind in asked]

    async def end(self, place: Place, error: AmcError | None) -> None:
        outcome = "well"
        if error is not None and error.code == "throttled":
            outcome = "throttled"
        elif error is not None and error.code in SICK and place.instance_id is not None:
            outcome = "sick"
        elif not place.watched:
            return
        settings = self._settings
        try:
            await self._pool.execute(
                "SELECT end_amc_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                self._account_id,
                place.instance_id,
                place.goes_at,
                outcome,
                str(error) if error else "",
                settings.rate,
                error.retry_after if error else None,
                settings.failures,
                settings.pause,
                settings.longest_pause,
            )
        except DATABASE_ERRORS as failure:
            # What AMC has answered counts for more than the pace of the next call.
            end_if_cancelled(failure)
            log.warning("pace_not_told", error=type(failure).__name__)
