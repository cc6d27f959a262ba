"""The scheduler over a real database: which runs start, wait, are skipped or missed, and what is recorded."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from db.pool import Pool
from events.types.schedule import Ended, Released, Rescheduled
from tests.schedules import Schedules, StoppedClock, utc


@pytest.fixture
async def schedules(pool: Pool) -> Schedules:
    """Nothing but an instance, at eight in the morning of a Monday in New York."""
    schedules = Schedules(pool, StoppedClock("2026-03-02 13:00"))
    await schedules.instance()
    return schedules


async def test_a_run_starts_when_it_is_due_with_the_window_of_its_day(schedules: Schedules) -> None:
    daily = await schedules.create()
    await schedules.at("2026-03-02 13:59:59")
    assert await schedules.runs(daily) == []
    await schedules.at("2026-03-02 14:00")
    assert await schedules.runs(daily) == ["03-02 09:00 on_time"]
    (run,) = await schedules.started(daily)
    assert (run.as_of, run.handled, run.next_due) == (
        date(2026, 3, 2),
        utc("2026-03-02 14:00"),
        utc("2026-03-03 14:00"),
    )
    row = await schedules.pool.fetchrow("SELECT * FROM report_data_collections WHERE schedule_id = $1", daily)
    assert row is not None
    assert (row["collection_id"], row["lane"], row["as_of"]) == (run.collection_id, "interactive", date(2026, 3, 2))
    assert (row["window_start"], row["window_end"]) == (date(2026, 2, 23), date(2026, 3, 1))
    stands = await schedules.read(daily)
    assert (stands.run_count, stands.running, stands.next_due) == (1, 1, run.next_due)
