"""Faults that backfills elsewhere had, each with where it was reported: ours are held not to have them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from db.pool import Pool
from events.configurations import RelativeLookback, SegmentationConfig
from events.envelope import new_id, stream_of
from events.reader import read_stream
from events.types.segment import Completed, Failed, Retried
from service.backfill.orders import Orders
from service.data_collections.lookback import lookback_dates
from service.data_collections.plan import plan_segments
from tests.backfill import Seed
from tests.schedules import Schedules, StoppedClock


@pytest.fixture
async def seed(pool: Pool) -> AsyncIterator[Seed]:
    seed = Seed(pool)
    yield seed
    await seed.writer.close()


async def admit(pool: Pool) -> list[Any]:
    return await pool.fetch("SELECT * FROM admit_segments($1, $2)", [new_id() for _ in range(50)], 60.0)


async def test_a_backfill_that_finds_no_slot_at_first_skips_nothing(pool: Pool, seed: Seed) -> None:
    """temporalio/temporal#11162: a stall on the first attempt skipped the whole range and reported success."""
    await seed.instance(max_concurrent=1)
    first = await seed.collection(1)
    await seed.project()
    [slot] = await admit(pool)
    late = await seed.collection(3)
    await seed.project()
    assert await admit(pool) == []
    row = await pool.fetchrow("SELECT * FROM report_data_collections WHERE collection_id = $1", late)
    assert row is not None
    assert (row["backfill_status"], row["finished_at"], row["segments_total"]) == ("pending", None, 3)
    await seed.append(stream_of("segment", slot["segment_id"]), Completed(first, "e", 1, 1, "c"))
    await seed.project()
    assert [each["collection_id"] for each in await admit(pool)] == [late]


async def test_a_backfill_does_not_move_its_schedule(pool: Pool) -> None:
    """kestra-io/kestra#19013: a second backfill overwrote the schedule's cursor, which then replayed without end."""
    schedules = Schedules(pool, StoppedClock("2026-03-02 13:00"))
    await schedules.instance()
    schedule_id = await schedules.create(backfill=(history := new_id()))
    before = await schedules.read(schedule_id)
    other = await schedules.collection(5)
    for collection_id in (history, other):
        await schedules.finish(collection_id)
    await schedules.settle()
    after = await schedules.read(schedule_id)
    assert (after.version, after.handled, after.next_due) == (before.version, before.handled, before.next_due)


def test_as_many_days_back_are_as_many_segments() -> None:
    """dbt-labs/dbt-core#15477: a lookback of 3 gave 3 batches where 4 were meant; here 3 days are 3 days."""
    for days in (1, 3, 7, 31, 365):
        window = lookback_dates(RelativeLookback(value=days, unit="days"), date(2026, 3, 10))
        segments = plan_segments(window, SegmentationConfig(type="daily"))
        assert len(segments) == days
        assert segments[-1].end == date(2026, 3, 9)


async def test_a_retry_asks_for_the_days_of_the_first_attempt(pool: Pool, seed: Seed) -> None:
    """dbt-labs/dbt-core#11423: a retry counted its days back from the day of the retry."""
    await seed.instance()
    collection_id = await seed.collection(3, last=date(2026, 1, 31))
    await seed.project()
    for row in await admit(pool):
        await seed.append(stream_of("segment", row["segment_id"]), Failed(collection_id, 1, "permanent", "no"))
        await seed.append(stream_of("segment", row["segment_id"]), Retried(collection_id, 1))
    order = await Orders(pool).order(collection_id)
    standing = order.standing_after(
        await read_stream(pool, stream_of("collection", collection_id), after=order.standing.version)
    )
    starts = {order.request(planned, 900).window_start for planned in standing.segments}
    assert starts == {f"2026-01-{day}T00:00:00" for day in (29, 30, 31)}


async def test_a_slot_is_filled_again_as_soon_as_it_is_free(pool: Pool, seed: Seed) -> None:
    """apache/airflow#38954: a backfill waited for all of a batch before it began the next."""
    await seed.instance()
    collection_id = await seed.collection(10, parallel_limit=4)
    await seed.project()
    at_work: list[UUID] = [row["segment_id"] for row in await admit(pool)]
    for _ in range(5):
        await seed.append(stream_of("segment", at_work.pop(0)), Completed(collection_id, "e", 1, 1, "c"))
        await seed.project()
        [row] = await admit(pool)
        at_work.append(row["segment_id"])
        assert len(at_work) == 4


async def test_a_backfill_is_there_with_all_its_segments_or_not_at_all(pool: Pool, seed: Seed) -> None:
    """apache/airflow: the row of a backfill was committed before those of its runs, and a crash left half of one."""
    await seed.instance()
    collection_id = await seed.collection(365)
    [created] = await pool.fetch(
        "SELECT json_array_length(configuration -> 'segments') AS segments FROM report_builder_audit WHERE stream = $1",
        stream_of("collection", collection_id),
    )
    assert created["segments"] == 365
    await seed.project()
    assert await pool.fetchval("SELECT count(*) FROM report_data_weeks") == 365
