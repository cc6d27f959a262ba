"""What one user may have at work at once is never exceeded by one, however many ask at the same moment."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.postgres import Database
from tests.service import INSTANCE_ID, WEEK, Service, serving, settings_for

CLIENTS = 50
BACKFILL = {"schedule_type": "backfill", "backfill_config": {"segmentation_config": {"type": "monthly"}}}


def recurring(minute: int) -> dict[str, Any]:
    return {"schedule_type": "scheduled", "schedule_config": {"frequency": "daily", "time": f"09:{minute:02}"}}


async def configured(api: Service, schedule: object) -> dict[str, Any]:
    parameters = {"instance_id": INSTANCE_ID, "workflow_id": await api.workflow(), "lookback_config": WEEK}
    body = {"parameters": parameters, "schedule": schedule}
    review = await api.done("/api/report-builder/review", body)
    return {**body, "digest": review["digest"]}


async def outcomes(services: list[Service], bodies: list[dict[str, Any]]) -> list[Any]:
    answers = await asyncio.gather(
        *(
            services[number % len(services)].post("/api/report-builder/submit", body)
            for number, body in enumerate(bodies)
        )
    )
    return [answer.status if answer.status == 202 else answer.json["code"] for answer in answers]


async def several(stack: AsyncExitStack, database: Database, folder: Path) -> list[Service]:
    settings = msgspec.structs.replace(settings_for(database, folder), max_active_schedules=7)
    first = await stack.enter_async_context(serving(settings, ["api", "projector"]))
    return [first, *[await stack.enter_async_context(serving(settings, ["api"])) for _ in range(2)]]


async def test_running_backfills_are_never_one_too_many(database: Database, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        services = await several(stack, database, tmp_path)
        body = await configured(services[0], BACKFILL)
        found = await outcomes(services, [body] * CLIENTS)
        assert (found.count(202), found.count("too_many_backfills")) == (5, CLIENTS - 5)


async def test_active_schedules_are_never_one_too_many_nor_one_twice(database: Database, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        services = await several(stack, database, tmp_path)
        same = await configured(services[0], recurring(59))
        found = await outcomes(services, [same] * CLIENTS)
        assert (found.count(202), found.count("duplicate_schedule")) == (1, CLIENTS - 1)
        others = [await configured(services[0], recurring(minute)) for minute in range(CLIENTS)]
        found = await outcomes(services, others)
        assert (found.count(202), found.count("too_many_schedules")) == (6, CLIENTS - 6)


async def test_a_backfill_that_has_ended_makes_room(service: Service) -> None:
    body = await configured(service, BACKFILL)
    for _ in range(7):
        submitted = await service.done("/api/report-builder/submit", body)
        await service.finished(submitted)


async def test_a_submit_that_is_sent_twice_counts_once(api: Service) -> None:
    body = await configured(api, BACKFILL)
    answers = await asyncio.gather(
        *(api.post("/api/report-builder/submit", body, Idempotency_Key="one") for _ in range(10))
    )
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body for answer in answers}) == 1
    assert await api.program.pool.fetchval(
        "SELECT count(*) FROM report_builder_audit WHERE event_type = 'team.backfill_started'"
    ) == 1  # fmt: skip


@pytest.mark.parametrize("schedule", [{"schedule_type": "once"}, recurring(0)])
async def test_what_is_no_backfill_does_not_count_as_one(api: Service, schedule: dict[str, Any]) -> None:
    await api.done("/api/report-builder/submit", await configured(api, schedule))
    running = "SELECT count(*) FROM report_builder_audit WHERE event_type = 'team.backfill_started'"
    assert await api.program.pool.fetchval(running) == 0
