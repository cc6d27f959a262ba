"""Amazon on its worst days: 429s, 500s, answers that are lost, expired tokens, rejected executions, addresses that
expire, results in pieces. What can complete does, the rest says why in Amazon's words, and Amazon is not hammered.

`make test` runs 20 segments, `make chaos` a year of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.chaos.crowd import LONG, Crowd

DAYS = 365 if LONG else 20
PATIENCE = 1200 if LONG else 150
RATE = 60
REJECTED = "Access to the requested columns was denied for this window."
SICKNESS: dict[str, Any] = {
    "throttle_rate": 0.3,
    "retry_after": 1,
    "retry_after_share": 0.3,
    "error_rate": 0.1,
    "drop_every_any": 20,
    "expire_tokens_every": 60,
    "fail_status": "REJECTED",
    "fail_reason": REJECTED,
}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


@pytest.fixture
def crowd(server_folder: Path, http: aiohttp.ClientSession) -> Iterator[Crowd]:
    settings = {
        "REPORT_BUILDER_AMC_REQUESTS_PER_SECOND": str(RATE),
        "REPORT_BUILDER_AMC_BREAKER_PAUSE": "1",
        "REPORT_BUILDER_RETRY_CAP": "5",
    }
    crowd = Crowd(server_folder, http, people=1, each=1, days=DAYS, **settings)
    yield crowd
    crowd.deployment.stop()


async def set_faults(crowd: Crowd, **faults: Any) -> None:
    async with crowd.api.http.put(f"{crowd.deployment.sandbox_url}/sandbox/faults", json=faults) as answer:
        assert answer.status == 200, await answer.text()


async def test_through_every_sickness_it_completes_and_says_why_where_it_does_not(crowd: Crowd) -> None:
    crowd.start_sandbox("--result-files", "5", "--url-seconds", "1")
    crowd.deployment.start("run")
    await crowd.api.ready()
    last = datetime.now(UTC).date() - timedelta(days=1)
    bad = {str(last - timedelta(days=number)) for number in (5, 17)}
    await set_faults(crowd, **SICKNESS, fail_windows=sorted(bad))
    await crowd.submit(max_attempts=30)
    (collection,) = (await crowd.finished(seconds=PATIENCE)).values()
    assert collection["backfill_status"] == "partial"
    progress = await crowd.api.get(f"/api/data-collections/{collection['collection_id']}/progress")
    failed = {segment["week_start"]: segment["error"] for segment in progress["segments"] if segment["error"]}
    assert set(failed) == bad
    assert set(failed.values()) == {REJECTED}
    rows = await crowd.api.get(f"/api/data-collections/{collection['collection_id']}/results", format="json")
    assert len({row["value"] for row in rows}) == len(rows) == DAYS - len(bad)

    stats = await crowd.api.sandbox_stats()
    assert stats["duplicate_successes"] == 0
    # No more than the rate lets pass, after a burst of one second's worth; and the clocks of two processes.
    assert stats["busiest_second"] <= 2 * RATE + 1
    submitted = [event["data"]["execution_id"] for event in await crowd.events("segment.submitted")]
    assert len(submitted) == len(set(submitted)) == stats["created"], "an execution is nobody's, or somebody's twice"


async def test_an_api_that_fails_every_call_is_tried_now_and_then_and_no_attempt_is_wasted(crowd: Crowd) -> None:
    crowd.start_sandbox()
    crowd.deployment.start("run")
    await crowd.api.ready()
    await set_faults(crowd, error_rate=1)
    await crowd.submit(max_attempts=4)
    (collection_id,) = crowd.owners

    async def resting() -> bool:
        progress = await crowd.api.get(f"/api/data-collections/{collection_id}/progress")
        return any(limit["reason"] == "resting" for limit in progress["limited_by"])

    await crowd.api.until("left alone", resting, seconds=60)
    before = sum((await crowd.api.sandbox_stats())["requests"].values())
    watched = 30.0 if LONG else 8.0
    await asyncio.sleep(watched)
    asked = sum((await crowd.api.sandbox_stats())["requests"].values()) - before
    # One try after pauses of 1, 2, 4 and then every 5 seconds; whatever the rate and the segments that wait.
    assert asked <= 4 + watched / 5, asked
    await set_faults(crowd)
    await crowd.finished(seconds=PATIENCE)
    await crowd.assert_exact()
