"""`/readyz` names what is wrong: also a role whose rounds do not end."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.postgres import Database
from tests.service import Service


async def problems_until(service: Service, part: str, there: bool) -> dict[str, str]:
    async with asyncio.timeout(30):
        while True:
            answer = await service.get("/readyz")
            problems: dict[str, str] = answer.json["problems"]
            assert answer.status == (503 if problems else 200)
            if (part in problems) == there:
                return problems
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("role", "blocked_by"),
    [
        ("admission", "SELECT pg_advisory_xact_lock(hashtext('admit_segments'))"),
        ("scheduler", "LOCK TABLE workflow_schedules"),
        ("projector", "SELECT FROM projection_checkpoints FOR UPDATE"),
        ("feed", "LOCK TABLE report_builder_audit"),
    ],
)
async def test_a_role_that_is_stuck_is_named_until_it_goes_on(
    service: Service, database: Database, monkeypatch: pytest.MonkeyPatch, role: str, blocked_by: str
) -> None:
    await problems_until(service, "process", False)
    monkeypatch.setattr("service.operations.health.STUCK_AFTER", 1.0)
    connection = await asyncpg.connect(database.admin_url)
    try:
        async with connection.transaction():
            await connection.execute(blocked_by)
            writing = asyncio.create_task(service.post("/api/reports", {"name": "moves the log"}))
            problems = await problems_until(service, role, True)
            assert problems[role].startswith("no round has ended for ")
    finally:
        await connection.close()
    assert (await writing).status == 201
    await problems_until(service, role, False)


async def test_a_database_that_does_not_answer_is_named_in_time(service: Service, database: Database) -> None:
    connection = await asyncpg.connect(database.admin_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE projection_checkpoints")
            problems = await problems_until(service, "database", True)
            assert problems["database"] == "TimeoutError"
    finally:
        await connection.close()
    await problems_until(service, "database", False)
