"""report_steps: how far reports came, live, in a rebuild, and for reports that are older than the table."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from db.migrations import migrate_down, migrate_up
from db.pool import Pool
from events.configurations import OnceStep, RelativeLookback
from events.envelope import NewEvent, Step, new_id, stream_of
from events.types.report import ParametersSet, ReportCreated, Reviewed, ScheduleSet, Submitted
from projections.rebuild import rebuild
from projections.runner import project_batch
from projections.steps import STEPS
from tests.postgres import Database
from tests.recording import TEAM, append, request, table_rows

MIGRATION = 5

DATA: dict[Step, msgspec.Struct] = {
    "parameters": ParametersSet("amc1", "w1", {}, RelativeLookback(value=7, unit="days"), "UTC"),
    "schedule": ScheduleSet(OnceStep()),
    "review": msgspec.convert(
        {"digest": "d", "as_of": "2026-01-01", "window_start": "2025-12-25", "window_end": "2025-12-31", "segments": 1},
        Reviewed,
    ),
    "submit": Submitted("d", new_id()),
}


@pytest.fixture
async def log(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(database.service_url)
    yield connection
    await connection.close()


async def record_sessions(log: asyncpg.Connection[Any]) -> None:
    """Forty reports that stop anywhere, with steps that come again."""
    chance = random.Random(3)
    for _ in range(40):
        stream, user = stream_of("report", new_id()), new_id()
        steps: list[Step | None] = [None]
        for step in DATA:
            if chance.random() < 0.2:
                break
            steps += [step] * (1 if step == "submit" else chance.choice((1, 1, 2, 3)))
        for posted in steps:
            data = DATA[posted] if posted else ReportCreated("r")
            event = NewEvent(data=data, team_id=TEAM, user_id=user, step_completed=posted)
            await append(log, request(stream, event))


EXPECTED = """
SELECT substr(stream, 8)::uuid AS report_id, min(team_id) AS team_id, min(user_id::text)::uuid AS user_id,
       min(recorded_at) AS created_at,
       min(recorded_at) FILTER (WHERE step_completed = 'parameters') AS parameters_at,
       min(recorded_at) FILTER (WHERE step_completed = 'schedule') AS schedule_at,
       min(recorded_at) FILTER (WHERE step_completed = 'review') AS review_at,
       min(recorded_at) FILTER (WHERE step_completed = 'submit') AS submit_at,
       count(*) FILTER (WHERE step_completed = 'parameters')::int AS parameters_posts,
       count(*) FILTER (WHERE step_completed = 'schedule')::int AS schedule_posts,
       count(*) FILTER (WHERE step_completed = 'review')::int AS review_posts,
       count(*) FILTER (WHERE step_completed = 'submit')::int AS submit_posts,
       max(stream_version) AS stream_version
  FROM report_builder_audit WHERE stream LIKE 'report-%' GROUP BY stream ORDER BY 1
"""


async def assert_as_the_log_has_it(pool: Pool) -> None:
    expected = await pool.fetch(EXPECTED)
    assert len(expected) == 40
    assert await pool.fetch("SELECT * FROM report_steps ORDER BY report_id") == expected


async def test_each_report_stands_where_its_events_put_it(pool: Pool, log: asyncpg.Connection[Any]) -> None:
    await record_sessions(log)
    while (await project_batch(pool, 7))[1]:
        pass
    await assert_as_the_log_has_it(pool)


async def test_a_rebuild_gives_the_same_rows(database: Database, pool: Pool, log: asyncpg.Connection[Any]) -> None:
    await record_sessions(log)
    while (await project_batch(pool))[1]:
        pass
    before = await table_rows(pool)
    await rebuild(database.service_url)
    assert await table_rows(pool) == before


async def test_the_migration_brings_in_the_reports_that_were_projected_before_it(
    database: Database, log: asyncpg.Connection[Any]
) -> None:
    """Half of the log is behind the projection when the table is made; the other half goes on from there."""
    pool = await asyncpg.create_pool(database.service_url, min_size=1, max_size=1)
    await record_sessions(log)
    for _ in range(6):
        await project_batch(pool, 10)
    await pool.close()
    await migrate_down(database.admin_url, to=MIGRATION - 1)
    await migrate_up(database.admin_url)
    pool = await asyncpg.create_pool(database.service_url, min_size=1, max_size=1)
    while (await project_batch(pool))[1]:
        pass
    await assert_as_the_log_has_it(pool)
    await pool.close()


def test_every_step_of_the_builder_is_projected() -> None:
    assert set(STEPS.values()) == set(DATA)
