"""A year of a nightly schedule with a fast clock, and an outage of three days, through real processes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path

import aiohttp
import pytest

from db.pool import Pool
from tests.deployment import Deployment
from tests.postgres import Database
from tests.stage import Stage

FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)


@pytest.fixture
async def stage(database: Database, pool: Pool) -> AsyncIterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="report-builder-", dir="/var/tmp") as folder:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
            stage = Stage(Path(folder), http, pool, database.service_url)
            yield stage
            stage.deployment.stop()


@contextlib.asynccontextmanager
async def killing(deployment: Deployment, processes: list[subprocess.Popen[bytes]]) -> AsyncIterator[list[int]]:
    """While the block runs, one of the schedulers is killed every few seconds, and another one started."""
    chance = random.Random(20260101)
    killed: list[int] = []

    async def keep_killing() -> None:
        while True:
            await asyncio.sleep(chance.uniform(1, 4))
            victim = processes.pop(chance.randrange(len(processes)))
            victim.send_signal(signal.SIGKILL)
            victim.wait(10)
            killed.append(victim.pid)
            processes.append(deployment.start("run", "--roles", "scheduler"))

    task = asyncio.create_task(keep_killing())
    try:
        yield killed
    finally:
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled(), task.exception()


@pytest.mark.parametrize("schedulers", [1, 3])
async def test_a_year_has_365_runs(stage: Stage, schedulers: int, capsys: pytest.CaptureFixture[str]) -> None:
    stage.start_sandbox()
    stage.deployment.start("run", "--roles", "api,projector,admission,worker")
    processes = [stage.deployment.start("run", "--roles", "scheduler") for _ in range(schedulers)]
    await stage.api.ready(120)
    path = await stage.run_through(await stage.api.workflow(), FIRST, LAST, days_per_second=4)
    killed: list[int] = []
    async with contextlib.AsyncExitStack() as stack:
        if schedulers > 1:
            killed = await stack.enter_async_context(killing(stage.deployment, processes))
        await stage.ended(path, seconds=900)
    await stage.assert_every_day_once(path, FIRST, LAST)
    runs = await stage.api.items(f"{path}/runs")
    assert len(runs) == 365
    (spring,) = [run for run in runs if run["nominal"].startswith("2026-03-08")]
    with capsys.disabled():
        print(f"\n{len(runs)} runs, {len(killed)} schedulers killed; {spring['nominal']} ran at {spring['instant']}")


async def test_after_three_days_in_which_everything_was_down_each_policy_does_what_it_says(stage: Stage) -> None:
    await stage.set_clock(datetime.fromisoformat("2026-03-02T15:00:00-05:00"))  # a Monday
    stage.start_sandbox()
    stage.deployment.start("run")
    await stage.api.ready(120)
    workflow_id = await stage.api.workflow()
    daily = {"frequency": "daily", "time": "09:00", "overlap": "allow"}
    policies = ("latest", "all", "none")
    paths = {policy: await stage.schedule(workflow_id, **daily, catchup=policy) for policy in policies}
    weekly = await stage.schedule(workflow_id, frequency="weekly", time="16:00", daysOfWeek=[1])
    stage.deployment.kill_everything()

    # Thursday: Tuesday, Wednesday and this morning were missed, and Monday by the weekly one.
    await stage.set_clock(datetime.fromisoformat("2026-03-05T12:00:00-05:00"))
    stage.start_sandbox()
    stage.deployment.start("run")
    await stage.api.ready(120)
    assert await stage.decided(paths["latest"], 3) == ["03-03 superseded", "03-04 superseded", "03-05 caught_up"]
    assert await stage.decided(paths["all"], 3) == ["03-03 caught_up", "03-04 caught_up", "03-05 caught_up"]
    assert await stage.decided(paths["none"], 3) == [f"03-0{day} catch_up_off" for day in (3, 4, 5)]
    assert await stage.decided(weekly, 1) == ["03-02 caught_up"]
    page = await stage.api.get("/api/events", type="schedule.run_missed", limit=1000)
    assert sorted(event["data"]["reason"] for event in page["events"]) == ["catch_up_off"] * 3 + ["superseded"] * 2
