"""Limits of the account and the team over HTTP, and what a collection's progress says of them and of Amazon."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from events.envelope import stream_of
from events.reader import read_stream
from service.amc.sandbox import Faults, RunningSandbox, SandboxOptions, TableFile, running_sandbox
from tests.postgres import Database
from tests.service import INSTANCE_ID, Numbers, Service, serving, settings_for
from tests.watching import active, backfill, ended, until


@pytest.fixture
async def amc(numbers: Numbers) -> AsyncIterator[RunningSandbox]:
    table = TableFile(name="numbers", path=numbers.file, date_column="date")
    async with running_sandbox(SandboxOptions(tables=(table,), port=0, running_seconds=0.3)) as sandbox:
        yield sandbox


@pytest.fixture
async def api(database: Database, tmp_path: Path, amc: RunningSandbox) -> AsyncIterator[Service]:
    settings = settings_for(database, tmp_path, amc)
    async with serving(msgspec.structs.replace(settings, amc_breaker_failures=3, amc_breaker_pause=1.0)) as service:
        yield service


async def changed(api: Service, path: str, body: object) -> Any:
    answer = await api.send("PATCH", path, body)
    assert answer.status == 200, answer.body
    return answer.json


def reasons(progress: Any) -> set[str]:
    return {limit["reason"] for limit in progress["limited_by"]}


async def test_a_teams_limit_is_changed_live_and_shows_in_the_progress(api: Service, numbers: Numbers) -> None:
    limits = await changed(api, "/api/team", {"max_concurrent": 1})
    assert (limits["max_concurrent"], limits["max_concurrent_per_user"]) == (1, None)
    await api.read(f"/api/team?min_position={limits['position']}")
    path = await backfill(api, numbers, parallel_limit=4)
    progress = await until(api, path, lambda progress: "team_slots" in reasons(progress))
    assert active(progress) <= 1
    assert (await api.read("/api/team"))["in_flight"] <= 1
    freed = await changed(api, "/api/team", {"max_concurrent": 0, "max_concurrent_per_user": 2})
    assert (freed["max_concurrent"], freed["max_concurrent_per_user"]) == (None, 2)
    await until(api, path, lambda progress: "user_slots" in reasons(progress) and active(progress) == 2)
    await changed(api, "/api/team", {"max_concurrent_per_user": 0})
    await until(api, path, lambda progress: active(progress) == 4)
    await until(api, path, ended)


async def test_an_accounts_limits_are_changed_and_recorded_with_who(api: Service) -> None:
    before = await api.read("/api/accounts/default")
    assert (before["max_concurrent"], before["requests_per_second"], before["burst"]) == (200, 1000, 1000)
    limits = await changed(api, "/api/accounts/default", {"max_concurrent": 7, "requests_per_second": 2.5})
    after = await api.read(f"/api/accounts/default?min_position={limits['position']}")
    assert (after["max_concurrent"], after["requests_per_second"], after["burst"]) == (7, 2.5, 2)
    events = await read_stream(api.program.pool, stream_of("account", "default"))
    assert [event.event_type for event in events] == ["account.limits_set"]
    assert events[0].user_id is not None
    again = await changed(api, "/api/accounts/default", {"requests_per_second": 0})
    assert (again["max_concurrent"], again["requests_per_second"]) == (7, None)
    refused = await api.send("PATCH", "/api/accounts/default", {})
    assert refused.status == 422


async def test_a_429_shows_with_the_time_of_the_next_try(api: Service, numbers: Numbers, amc: RunningSandbox) -> None:
    amc.sandbox.faults.set(Faults(throttle_rate=1, retry_after=30))
    path = await backfill(api, numbers)
    progress = await until(api, path, lambda progress: "slowed" in reasons(progress))
    [slowed] = [limit for limit in progress["limited_by"] if limit["reason"] == "slowed"]
    assert slowed["detail"].startswith("slowed by Amazon: 429, next try ")
    assert slowed["until"] is not None
    account = await api.read("/api/accounts/default")
    assert account["pace"]["slowed_until"] == slowed["until"]
    assert account["pace"]["requests_per_second"] < 1000


async def test_an_api_that_is_sick_is_left_alone_says_so_and_is_found_well_again(
    api: Service, numbers: Numbers, amc: RunningSandbox
) -> None:
    amc.sandbox.faults.set(Faults(error_rate=1))
    path = await backfill(api, numbers, max_attempts=50)
    progress = await until(api, path, lambda progress: "resting" in reasons(progress))
    [resting] = [limit for limit in progress["limited_by"] if limit["reason"] == "resting"]
    assert "Internal Server Error" in resting["detail"]
    instance = await api.read(f"/api/instances/{INSTANCE_ID}")
    assert instance["failing"]["failures"] >= 3
    before = Counter(amc.sandbox.stats.requests)
    await asyncio.sleep(3)
    # Tries after pauses of 1, 2 and 4 seconds; without the breaker each segment would ask several times a second.
    assert (Counter(amc.sandbox.stats.requests) - before).total() <= 6
    amc.sandbox.faults.set(Faults())
    await until(api, path, ended, seconds=40)
    assert (await api.read(f"/api/instances/{INSTANCE_ID}"))["failing"] is None
