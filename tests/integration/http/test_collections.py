"""Lists of collections: filters, pages, and reads that wait for a write."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.service import INSTANCE_ID, ONCE, UNKNOWN_ID, WEEK, Service


async def submit(api: Service, kind: str, workflow: str) -> Any:
    if kind == "once":
        return await api.submitted(ONCE, workflow=workflow)
    history: dict[str, Any] = {"segmentation_config": {"type": kind}, "lookback_config": WEEK}
    return await api.submitted({"schedule_type": "backfill", "backfill_config": history}, workflow=workflow)


async def ids(api: Service, query: str = "") -> list[str]:
    page = await api.read(f"/api/data-collections?{query}")
    return [item["collection_id"] for item in page["items"]]


async def test_filters_find_what_they_name(api: Service) -> None:
    workflow = await api.workflow()
    made = {kind: await submit(api, kind, workflow) for kind in ("once", "daily", "weekly")}
    by_kind = {kind: submitted["collection_id"] for kind, submitted in made.items()}
    wait = f"min_position={made['weekly']['position']}"
    assert await ids(api, wait) == list(reversed(by_kind.values()))
    assert await ids(api, "segmentation=daily") == [by_kind["daily"]]
    assert await ids(api, "segmentation=monthly") == []
    assert len(await ids(api, "lookback_type=relative")) == 3
    assert await ids(api, "lookback_type=custom") == []
    assert len(await ids(api, "status=pending")) == 3
    assert await ids(api, "status=completed") == []
    assert await ids(api, "status=pending&segmentation=weekly&lookback_type=relative") == [by_kind["weekly"]]
    assert len(await ids(api, f"instance_id={INSTANCE_ID}")) == 3
    assert await ids(api, "instance_id=another") == []
    assert len(await ids(api, "search=VALUE&limit=3")) == 3
    assert await ids(api, "search=100%25") == []


async def test_pages_miss_and_repeat_nothing_while_others_submit(api: Service) -> None:
    workflow = await api.workflow()
    before = [await submit(api, "once", workflow) for _ in range(7)]
    query = f"limit=2&min_position={before[-1]['position']}"
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await api.read(f"/api/data-collections?{query}" + (f"&cursor={cursor}" if cursor else ""))
        seen += [item["collection_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        await submit(api, "once", workflow)
    assert seen == [submitted["collection_id"] for submitted in reversed(before)]


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        base64.urlsafe_b64encode(b"nonsense").decode(),
        base64.urlsafe_b64encode(b"2025-01-01 1").decode(),
        base64.urlsafe_b64encode(f"0001-01-01T00:00:00+14:00 {UNKNOWN_ID}".encode()).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
async def test_a_cursor_that_no_list_has_answered_is_refused(api: Service, cursor: str) -> None:
    answer = await api.get(f"/api/data-collections?cursor={cursor}")
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert "cursor" in answer.json["detail"]


@asynccontextmanager
async def held_projector(api: Service) -> AsyncIterator[int]:
    """Keeps the read models where they are, and yields a position that they lack."""
    async with api.program.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT position FROM projection_checkpoints FOR UPDATE")
        yield (await api.done("/api/workflows", {"name": "W", "sql_query": "SELECT 1"}))["position"]


async def test_a_read_waits_for_the_position_that_a_write_answered(api: Service) -> None:
    for number in range(5):
        answered = await api.done("/api/workflows", {"name": f"W{number}", "sql_query": "SELECT 1"})
        items = (await api.read(f"/api/workflows?min_position={answered['position']}"))["items"]
        assert answered["workflow_id"] in {item["workflow_id"] for item in items}


async def test_read_models_that_lag_are_503_and_worth_another_try(
    api: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.http.PROJECTION_PATIENCE", 0.2)
    async with held_projector(api) as position:
        for path in ("data-collections", f"data-collections/{UNKNOWN_ID}", "workflows", "instances"):
            answer = await api.get(f"/api/{path}?min_position={position}")
            assert (answer.status, answer.json["code"]) == (503, "projection_behind")
            assert answer.headers["Retry-After"] == "1"
    assert (await api.get(f"/api/workflows?min_position={position}")).status == 200


async def test_a_position_that_the_log_does_not_have_is_refused_at_once(api: Service) -> None:
    answer = await api.get("/api/workflows?min_position=1000000")
    assert (answer.status, answer.json["code"]) == (409, "log_rewound")
    assert "ends at position 0" in answer.json["detail"]


async def test_a_collection_just_submitted_says_how_to_wait_for_it(api: Service) -> None:
    answer = await api.get(f"/api/data-collections/{UNKNOWN_ID}")
    assert "min_position" in answer.json["detail"]


async def test_json_columns_come_as_json(api: Service) -> None:
    submitted = await submit(api, "daily", await api.workflow())
    path = f"/api/data-collections/{submitted['collection_id']}?min_position={submitted['position']}"
    collection = await api.read(path)
    assert collection["lookback_config"]["type"] == "relative"
    assert collection["segmentation_config"]["parallel_limit"] == 10
    assert collection["created_at"].endswith("Z")


async def test_slow_readers_do_not_hold_up_others(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.http.PROJECTION_PATIENCE", 3)
    async with held_projector(api) as position:
        waiting = [asyncio.create_task(api.get(f"/api/workflows?min_position={position}")) for _ in range(50)]
        assert (await asyncio.wait_for(api.get("/api/workflows"), 2.5)).status == 200
        assert {(await task).status for task in waiting} == {503}


async def test_progress_shows_the_segments_that_touch_a_range_of_days(api: Service) -> None:
    monday = datetime.now(UTC).date()
    monday -= timedelta(days=49 + monday.weekday())

    def day(number: int) -> str:
        return (monday + timedelta(days=number)).isoformat()

    history = {"type": "custom", "startDate": day(2), "endDate": day(36)}
    config = {"segmentation_config": {"type": "weekly"}, "lookback_config": history}
    submitted = await api.submitted({"schedule_type": "backfill", "backfill_config": config})
    path = f"/api/data-collections/{submitted['collection_id']}/progress"
    await api.read(f"{path}?min_position={submitted['position']}")

    async def starts(query: str) -> list[str]:
        return [segment["week_start"] for segment in (await api.read(f"{path}?{query}"))["segments"]]

    weeks = [day(number) for number in (2, 7, 14, 21, 28, 35)]
    assert await starts("") == weeks
    assert await starts(f"from={day(13)}&to={day(14)}") == weeks[1:3]
    assert await starts(f"from={day(15)}&to={day(16)}") == weeks[2:3]
    assert await starts(f"from={day(34)}") == weeks[4:]
    assert await starts(f"to={day(6)}") == weeks[:1]
    assert await starts(f"from={day(-500)}&to={day(500)}") == weeks
    assert await starts(f"from={day(37)}") == await starts(f"to={day(1)}") == []
