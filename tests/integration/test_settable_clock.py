"""The clock that development may set: one for all processes, by a row of the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest

from db.pool import Pool
from service.clock import SettableClock, read_clock, reset_clock, set_clock
from tests.postgres import Database
from tests.service import INSTANCE, WEEK, serving, settings_for

START = datetime(2026, 3, 8, 7, 29, tzinfo=UTC)
STANDING = 1e-6


async def test_it_shows_the_databases_time_until_it_is_set_and_after_it_is_reset(pool: Pool) -> None:
    clock = SettableClock(pool)
    await clock.refresh()
    assert (await read_clock(pool))[0] is None
    # Between two readings of the database's clock, but for half of what a reading takes.
    before = await pool.fetchval("SELECT clock_timestamp()")
    shown = clock.now()
    after = await pool.fetchval("SELECT clock_timestamp()")
    assert before - timedelta(seconds=5) <= shown <= after + timedelta(seconds=5)
    await set_clock(pool, START, STANDING)
    await clock.refresh()
    assert timedelta() <= clock.now() - START < timedelta(seconds=1)
    assert clock.seconds_until(START + timedelta(days=1)) > 86400
    await set_clock(pool, START, 1000)
    await clock.refresh()
    assert clock.speed == 1000
    await reset_clock(pool)
    await clock.refresh()
    assert clock.speed == 1
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=60)


async def test_two_clocks_show_the_same(pool: Pool) -> None:
    await set_clock(pool, START, 1000)
    clocks = [SettableClock(pool), SettableClock(pool)]
    for clock in clocks:
        await clock.refresh()
    one, other = (clock.now() for clock in clocks)
    assert abs(one - other) < timedelta(hours=1)  # 3.6 s of real time, at this speed


@pytest.mark.parametrize("speed", [0, -1])
async def test_it_never_stands_still_or_goes_back(pool: Pool, speed: float) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await set_clock(pool, START, speed)


async def test_it_moves_the_day_of_reviews_and_the_occurrences_and_not_what_is_recorded(
    database: Database, pool: Pool, tmp_path: Path
) -> None:
    await set_clock(pool, START, STANDING)
    settings = settings_for(database, tmp_path)
    async with serving(msgspec.structs.replace(settings, settable_clock=True), ("api", "projector")) as api:
        shown = await api.read("/api/clock")
        assert (shown["settable"], shown["now"][:16]) == (True, "2026-03-08T07:29")
        await api.post("/api/instances", INSTANCE | {"time_zone": "America/New_York"})
        _, review = await api.reviewed()
        assert (review["preview"]["as_of"], review["preview"]["window"]["end"]) == ("2026-03-08", "2026-03-07")
        schedule = await api.done(
            "/api/schedules",
            {"name": "Nightly", "instance_id": INSTANCE["instance_id"], "workflow_id": await api.workflow(),
             "lookback_config": WEEK, "schedule_config": {"frequency": "daily", "time": "02:30"}},
        )  # fmt: skip
        assert schedule["next_run_at"] == "2026-03-08T07:30:00Z"  # half past three, as half past two is skipped
        recorded = await pool.fetchval("SELECT max(recorded_at) FROM report_builder_audit")
        assert abs(recorded - datetime.now(UTC)) < timedelta(minutes=10)


async def test_where_the_setting_does_not_allow_it_the_row_is_not_read(
    database: Database, pool: Pool, tmp_path: Path
) -> None:
    await set_clock(pool, START, 1)
    async with serving(settings_for(database, tmp_path), ("api",)) as api:
        assert (await api.read("/api/clock"))["now"][:10] != "2026-03-08"
