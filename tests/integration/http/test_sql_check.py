"""AMC checks the SQL before it is submitted: asked once, its verdict recorded, and no segment has to run first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from service.amc.sandbox import Faults, RunningSandbox, SandboxOptions, TableFile, running_sandbox
from tests.postgres import Database
from tests.service import INSTANCE_ID, SQL, Numbers, Service, serving, settings_for

BACKFILL: dict[str, Any] = {"segmentation_config": {"type": "daily", "parallel_limit": 5}}


@pytest.fixture
async def amc(numbers: Numbers) -> AsyncIterator[RunningSandbox]:
    table = TableFile(name="numbers", path=numbers.file, date_column="date")
    async with running_sandbox(SandboxOptions(tables=(table,), port=0, running_seconds=0.3)) as sandbox:
        yield sandbox


@pytest.fixture
async def api(database: Database, tmp_path: Path, amc: RunningSandbox) -> AsyncIterator[Service]:
    async with serving(settings_for(database, tmp_path, amc)) as service:
        yield service


async def report(api: Service, numbers: Numbers, sql: str = SQL) -> str:
    """A report with its parameters: its path."""
    workflow = await api.workflow(sql)
    path = await api.report()
    parameters = {"workflow_id": workflow, "instance_id": INSTANCE_ID, "lookback_config": numbers.window(10)}
    await api.done(f"{path}/parameters", parameters)
    return path


async def checked(api: Service, path: str) -> Any:
    """The check, once AMC has a verdict."""
    while (answer := await api.done(f"{path}/check", {}))["status"] == "pending":
        await asyncio.sleep(0.05)
    return answer


async def test_sql_that_amc_has_checked_needs_no_first_segment(
    api: Service, amc: RunningSandbox, numbers: Numbers
) -> None:
    path = await report(api, numbers)
    first = await api.done(f"{path}/check", {})
    assert (first["status"], first["sql_check"]) == ("pending", None)
    await api.done(f"{path}/check", {})
    answer = await checked(api, path)
    assert (answer["status"], answer["sql_check"]["outcome"]) == ("taken", "taken")
    assert len(amc.sandbox.executions) == 1  # asked once, however often it was looked at
    backfill = {"schedule_type": "backfill", "backfill_config": {**BACKFILL, "lookback_config": numbers.window(10)}}
    await api.done(f"{path}/schedule", backfill)
    review = await api.done(f"{path}/review", {})
    submitted = await api.done(f"{path}/submit", {"digest": review["digest"]})
    await api.finished(submitted)
    created = await api.program.pool.fetchval(
        "SELECT configuration ->> 'sql_checked' FROM report_builder_audit WHERE event_type = 'collection.created'"
    )
    assert created == "true"
    assert amc.sandbox.stats.report(amc.sandbox.executions.values())["max_concurrent_seen"]["overall"] > 1  # type: ignore[index]


async def test_sql_that_amc_rejects_says_why_and_other_parameters_are_checked_anew(
    api: Service, amc: RunningSandbox, numbers: Numbers
) -> None:
    path = await report(api, numbers, SQL.replace("value", "valeu"))
    answer = await checked(api, path)
    assert answer["status"] == "rejected"
    assert "valeu" in answer["sql_check"]["error"]
    assert (await api.read(path))["sql_check"]["outcome"] == "rejected"
    workflow = await api.workflow(SQL)
    parameters = {"workflow_id": workflow, "instance_id": INSTANCE_ID, "lookback_config": numbers.window(10)}
    assert (await api.done(f"{path}/parameters", parameters))["sql_check"] is None
    assert (await checked(api, path))["status"] == "taken"


async def test_amc_that_does_not_answer_is_said_and_nothing_is_recorded(
    api: Service, amc: RunningSandbox, numbers: Numbers
) -> None:
    path = await report(api, numbers)
    before = (await api.read(path))["version"]
    amc.sandbox.faults.set(Faults(error_rate=1))
    answer = await api.post(f"{path}/check", {})
    assert (answer.status, answer.json["code"]) == (503, "amazon_unavailable")
    assert (await api.read(path))["version"] == before
    answer = await api.post(f"{await api.report()}/check", {})
    assert (answer.status, answer.json["code"]) == (409, "step_missing")
