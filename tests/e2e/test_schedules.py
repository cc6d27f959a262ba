"""Schedules through real processes, with a fast clock, around each change of New York's clocks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import aiohttp
import pytest

from db.pool import Pool
from tests.postgres import Database
from tests.stage import Stage

# First and last day: 30 of them around each change in 2026.
SPANS = [(date(2026, 2, 21), date(2026, 3, 22)), (date(2026, 10, 18), date(2026, 11, 16))]


@pytest.fixture
async def stage(tmp_path: Path, database: Database, pool: Pool) -> AsyncIterator[Stage]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        stage = Stage(tmp_path, http, pool, database.service_url)
        yield stage
        stage.deployment.stop()


async def test_thirty_days_around_each_change_of_new_yorks_clocks_have_a_run_each(stage: Stage) -> None:
    stage.start_sandbox()
    stage.deployment.start("run")
    other = stage.deployment.start("run", "--roles", "scheduler")
    await stage.api.ready(120)
    workflow_id = await stage.api.workflow()
    for first, last in SPANS:
        path = await stage.run_through(workflow_id, first, last, days_per_second=10)
        await stage.decided(path, 1)
        other.kill()
        other = stage.deployment.start("run", "--roles", "scheduler")
        await stage.ended(path, seconds=120)
        await stage.assert_every_day_once(path, first, last)
