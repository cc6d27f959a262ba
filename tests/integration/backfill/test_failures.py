"""What AMC refuses, breaks and withholds: each failure ends as it should, with Amazon's own words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from db.pool import Pool
from events.envelope import RecordedEvent, stream_of
from events.reader import read_stream
from service.amc.sandbox import Faults, RunningSandbox, SandboxOptions, TableFile, running_sandbox
from service.bootstrap import running
from service.settings import Settings
from tests.backfill import Seed
from tests.postgres import Database

LAST = date(2026, 1, 31)
DAYS = 6


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[RunningSandbox]:
    table = tmp_path / "numbers.csv"
    days = [LAST - timedelta(days=number) for number in range(DAYS)]
    table.write_text("\n".join(["date,value", *(f"{day},{day.day}" for day in days)]) + "\n")
    options = SandboxOptions(tables=(TableFile(name="numbers", path=table, date_column="date"),), result_files=2)
    async with running_sandbox(options) as running_now:
        yield running_now


@pytest.fixture
async def seed(database: Database, sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Seed]:
    """The service at work, and the log to put collections into."""
    settings = Settings(
        database_url=database.service_url, data_dir=tmp_path / "data", port=0, amc_base_url=sandbox.base_url,
        amc_token_url=sandbox.token_url, amc_client_id="c", amc_client_secret="s", amc_refresh_token="r",
        amc_requests_per_second=1000, amc_poll_delays=(0.0, 0.05), amc_timeout=1, lease_margin=5,
        retry_base=0.05, retry_cap=0.2, admission_interval=0.1,
    )  # fmt: skip
    async with running(settings) as program:
        seed = Seed(program.pool)
        await seed.instance()
        yield seed
        await seed.writer.close()


async def finished(pool: Pool, collection_id: UUID, seconds: float = 30) -> msgspec.Struct:
    """The event that ends the collection, and what it says."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        events = await read_stream(pool, stream_of("collection", collection_id))
        if events[-1].event_type == "collection.finished":
            return events[-1].data
        await asyncio.sleep(0.05)
    statuses = await pool.fetch("SELECT status, error FROM report_data_weeks WHERE collection_id = $1", collection_id)
    raise AssertionError([dict(row) for row in statuses])


async def segments(pool: Pool, collection_id: UUID) -> dict[int, list[RecordedEvent]]:
    """Each segment's events, by its number."""
    rows = await pool.fetch(
        "SELECT segment_number, segment_id FROM report_data_weeks WHERE collection_id = $1", collection_id
    )
    return {row["segment_number"]: await read_stream(pool, stream_of("segment", row["segment_id"])) for row in rows}


async def errors(pool: Pool, collection_id: UUID) -> list[str]:
    """What went wrong, for a failing test's message."""
    rows = await pool.fetch(
        "SELECT error FROM report_data_weeks WHERE collection_id = $1 AND error IS NOT NULL", collection_id
    )
    return [row["error"] for row in rows]


def count(events: list[RecordedEvent], kind: str) -> int:
    return sum(event.event_type == kind for event in events)


async def test_rejected_sql_fails_at_once_with_amazons_text(seed: Seed, sandbox: RunningSandbox) -> None:
    collection = await seed.collection(2, sql="SELECT date, SUM(valeu) AS value FROM numbers GROUP BY date")
    end = await finished(seed.pool, collection)
    assert (end.backfill_status, end.failed) == ("failed", 2)  # type: ignore[attr-defined]
    for events in (await segments(seed.pool, collection)).values():
        assert count(events, "segment.dispatched") == 1
        assert events[-1].event_type == "segment.failed"
        assert "valeu" in events[-1].data.error  # type: ignore[attr-defined]
    assert len(sandbox.sandbox.executions) == 2


async def test_one_window_that_always_fails_leaves_the_rest_complete(seed: Seed, sandbox: RunningSandbox) -> None:
    bad = LAST - timedelta(days=2)
    sandbox.sandbox.faults.set(Faults(fail_windows=(bad,), fail_reason="Internal error of the day"))
    collection = await seed.collection(DAYS)
    end = await finished(seed.pool, collection)
    assert (end.backfill_status, end.completed, end.failed) == ("partial", DAYS - 1, 1)  # type: ignore[attr-defined]
    events = (await segments(seed.pool, collection))[DAYS - 2]
    assert count(events, "segment.retry_scheduled") == 1  # an unknown failure is tried twice
    assert events[-1].data.error == "Internal error of the day"  # type: ignore[attr-defined]


async def test_a_window_that_fails_once_is_completed_by_the_next_attempt(seed: Seed, sandbox: RunningSandbox) -> None:
    sandbox.sandbox.faults.set(Faults(fail_windows=(LAST,), fail_times=1))
    collection = await seed.collection(2)
    end = await finished(seed.pool, collection)
    assert (end.backfill_status, end.rows) == ("completed", 2)  # type: ignore[attr-defined]
    events = (await segments(seed.pool, collection))[2]
    attempts = [event.data.attempt for event in events if event.event_type == "segment.dispatched"]  # type: ignore[attr-defined]
    assert attempts == [1, 2]
    ids = [event.data.execution_id for event in events if event.event_type == "segment.submitted"]  # type: ignore[attr-defined]
    assert len(set(ids)) == 2


async def test_throttling_delays_and_never_fails_or_doubles(seed: Seed, sandbox: RunningSandbox) -> None:
    sandbox.sandbox.faults.set(Faults(throttle_rate=0.3, retry_after=0.1))
    collection = await seed.collection(DAYS, max_attempts=50)
    end = await finished(seed.pool, collection)
    assert (end.backfill_status, end.rows) == ("completed", DAYS)  # type: ignore[attr-defined]
    assert sandbox.sandbox.stats.report(sandbox.sandbox.executions.values())["duplicates"] == 0


async def test_server_errors_that_acted_never_lead_to_a_second_execution(seed: Seed, sandbox: RunningSandbox) -> None:
    sandbox.sandbox.faults.set(Faults(error_rate=0.25, errors_act=True, expire_tokens_every=15))
    collection = await seed.collection(DAYS, max_attempts=50)
    end = await finished(seed.pool, collection, seconds=60)
    assert (end.backfill_status, end.rows) == ("completed", DAYS), await errors(seed.pool, collection)  # type: ignore[attr-defined]
    assert sandbox.sandbox.stats.report(sandbox.sandbox.executions.values())["duplicates"] == 0


async def test_every_answer_may_be_lost_at_any_call(seed: Seed, sandbox: RunningSandbox) -> None:
    sandbox.sandbox.faults.set(Faults(drop_every_any=4))
    collection = await seed.collection(DAYS, max_attempts=50)
    end = await finished(seed.pool, collection, seconds=60)
    assert (end.backfill_status, end.rows) == ("completed", DAYS), await errors(seed.pool, collection)  # type: ignore[attr-defined]
    assert sandbox.sandbox.stats.report(sandbox.sandbox.executions.values())["duplicates"] == 0


async def test_two_collections_of_the_same_windows_each_get_their_own_executions(
    seed: Seed, sandbox: RunningSandbox
) -> None:
    sandbox.sandbox.faults.set(Faults(drop_every=2))
    collections = [await seed.collection(DAYS, parallel_limit=3) for _ in range(2)]
    for collection in collections:
        end = await finished(seed.pool, collection, seconds=60)
        assert end.backfill_status == "completed"  # type: ignore[attr-defined]
    claimed = [
        event.data.execution_id  # type: ignore[attr-defined]
        for collection in collections
        for events in (await segments(seed.pool, collection)).values()
        for event in events
        if event.event_type == "segment.submitted"
    ]
    assert len(claimed) == len(set(claimed)) == 2 * DAYS == len(sandbox.sandbox.executions)
