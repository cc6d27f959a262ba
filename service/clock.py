"""The one clock: what day and hour it is for occurrences and `as_of`.

Leases, tokens, back-off and `recorded_at` do not use it: they run on the database's time. In development the
clock can be set, and made to run fast, for all processes at once: its start and speed are a row of the database.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, date, datetime, timedelta

import msgspec
import structlog

from db.pool import DATABASE_ERRORS, Connection, Pool, end_if_cancelled
from service.data_collections.windows import today

log = structlog.get_logger()

FASTEST = 1e7
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""Where a clock that was forgotten stops, before it leaves the calendar."""
REFRESH_INTERVAL = 0.5


class Clock:
    """The real time."""

    settable = False

    @property
    def speed(self) -> float:
        """Its seconds in a real one."""
        return 1.0

    def now(self) -> datetime:
        """The instant, in UTC."""
        return datetime.now(UTC)

    def today(self, zone_name: str) -> date:
        """The calendar day in the zone. Raises UnknownZone."""
        return today(zone_name, self.now())

    def at(self, moment: datetime) -> datetime:
        """What it showed at a real moment, such as an event's `recorded_at`."""
        return moment

    def seconds_until(self, instant: datetime) -> float:
        """How long to wait, really, until it shows the instant; 0 where it has."""
        return max((instant - self.now()).total_seconds(), 0.0) / self.speed


class ClockSetting(msgspec.Struct, frozen=True):
    """At the real moment `set_at` the clock showed `start_at`, and goes `speed` times as fast since."""

    start_at: datetime
    speed: float
    set_at: datetime

    def at(self, moment: datetime) -> datetime:
        """What it shows at a real moment; before it was set, what it was set to."""
        seconds = max((moment - self.set_at).total_seconds(), 0.0) * self.speed
        return self.start_at + timedelta(seconds=min(seconds, (LATEST - self.start_at).total_seconds()))


class SettableClock(Clock):
    """The clock of the database's row; the real time, by the database's own clock, where there is none.

    `refresh` once before use; `run` keeps it up.
    """

    settable = True

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._setting: ClockSetting | None = None
        self._ahead = timedelta()
        """Of this process's monotonic clock, counted from 1970, is the database's time."""

    @property
    def speed(self) -> float:
        return self._setting.speed if self._setting else 1.0

    def now(self) -> datetime:
        return self.at(_monotonic() + self._ahead)

    def at(self, moment: datetime) -> datetime:
        return self._setting.at(moment) if self._setting else moment

    async def refresh(self) -> None:
        """Reads the row again."""
        before = _monotonic()
        self._setting, real = await read_clock(self._pool)
        self._ahead = real - (before + (_monotonic() - before) / 2)

    async def run(self) -> None:
        """Follows the row until cancelled: what is set in one process all show within a second."""
        while True:
            await asyncio.sleep(REFRESH_INTERVAL)
            try:
                await self.refresh()
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                log.warning("clock_waits_for_database", error=type(error).__name__)


async def read_clock(connection: Connection | Pool) -> tuple[ClockSetting | None, datetime]:
    """How the clock is set, None where it is not, and the database's real time."""
    row = await connection.fetchrow(
        "SELECT c.start_at, c.speed, c.set_at, clock_timestamp() AS real"
        "  FROM (SELECT) AS one LEFT JOIN settable_clock c ON true"
    )
    assert row is not None
    setting = ClockSetting(row["start_at"], row["speed"], row["set_at"]) if row["set_at"] else None
    return setting, row["real"]


async def set_clock(connection: Connection | Pool, start: datetime, speed: float) -> None:
    """Sets the clock of all processes to `start` (with its offset), from now on `speed` times as fast."""
    await connection.execute(
        "INSERT INTO settable_clock (start_at, speed, set_at) VALUES ($1, $2, clock_timestamp())"
        " ON CONFLICT (one) DO UPDATE"
        "   SET start_at = excluded.start_at, speed = excluded.speed, set_at = excluded.set_at",
        start,
        speed,
    )


async def reset_clock(connection: Connection | Pool) -> None:
    """Lets all processes show the real time again."""
    await connection.execute("DELETE FROM settable_clock")


def _monotonic() -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=time.monotonic())
