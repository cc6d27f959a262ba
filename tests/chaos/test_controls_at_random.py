"""Controls at random moments of a backfill that runs: effective within a second by the log's own clock, recorded with
who, and in the end exact.

`make test` acts 12 times on 60 segments, `make chaos` 120 times on a year of them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from events.personal import is_token
from tests.chaos.crowd import LONG, Crowd

ACTS, DAYS = (120, 365) if LONG else (12, 60)
PATIENCE = 900 if LONG else 120
# A second is promised; beside all the other tests at once the machine may take longer to do anything at all.
PROMPT = timedelta(seconds=1 if LONG else 4)
SEED = 20261123
# What ends a segment's time in flight.
LANDED = {
    "segment.executed", "segment.retry_scheduled", "segment.released", "segment.failed", "segment.cancelled",
}  # fmt: skip
ACT_TYPES = ("collection.paused", "collection.resumed", "collection.changed", "collection.moved_to_front")


class Moment(msgspec.Struct):
    """Where the collection stands as its events are read one by one."""

    limit: int
    paused: bool = False
    in_flight: int = 0
    limit_since: datetime | None = None
    paused_since: datetime | None = None


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


@pytest.fixture
def crowd(server_folder: Path, http: aiohttp.ClientSession) -> Iterator[Crowd]:
    crowd = Crowd(server_folder, http, people=1, each=1, days=DAYS)
    yield crowd
    crowd.deployment.stop()


async def test_controls_at_random_moments_work_at_once_and_say_who(crowd: Crowd) -> None:
    chance = random.Random(SEED)
    crowd.start_sandbox("--running-seconds", "0.4")
    crowd.deployment.start("run")
    await crowd.submit(parallel_limit=5)
    (collection_id,) = crowd.owners
    path = f"/api/data-collections/{collection_id}"
    await crowd.completed(1, seconds=60)
    for _ in range(ACTS):
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        collection = await crowd.send("GET", path, "person-0")
        if collection["finished_at"]:
            break
        await act(crowd, path, collection, chance)
    if (await crowd.send("GET", path, "person-0"))["paused"]:
        await crowd.command("POST", f"{path}/resume", "person-0", {})
    await crowd.finished(seconds=PATIENCE)
    await crowd.assert_exact()
    events = [
        event
        for event in await crowd.events("collection.created", "segment.dispatched", *LANDED, *ACT_TYPES)
        if collection_id in (event["data"].get("collection_id"), event["subject"].removeprefix("collection-"))
    ]
    assert sum(event["type"] in ACT_TYPES for event in events) >= ACTS / 3
    hold_to_its_word(events)


async def act(crowd: Crowd, path: str, collection: Any, chance: random.Random) -> None:
    """One control, such as fits: a paused collection goes on, another is paused, changed, or has one moved up."""
    if collection["paused"]:
        await crowd.command("POST", f"{path}/resume", "person-0", {"reason": "enough"})
        return
    match chance.choice(("pause", "limit", "limit", "front")):
        case "pause":
            await crowd.command("POST", f"{path}/pause", "person-0", {"reason": "look first"})
        case "limit":
            await crowd.command("PATCH", path, "person-0", {"parallel_limit": chance.randint(1, 8)})
        case _:
            progress = await crowd.send("GET", f"{path}/progress", "person-0")
            if waiting := [each["segment_id"] for each in progress["segments"] if each["status"] == "pending"]:
                await crowd.command("POST", f"{path}/front", "person-0", {"segment_id": chance.choice(waiting)})


def hold_to_its_word(events: list[Any]) -> None:
    """Nothing was given a slot while it was paused, or beyond the limit, longer than a moment after the act."""
    now = Moment(limit=5)
    for event in events:
        at = datetime.fromisoformat(event["time"])
        match event["type"]:
            case "collection.paused":
                now.paused, now.paused_since = True, at
            case "collection.resumed":
                now.paused = False
            case "collection.changed":
                now.limit, now.limit_since = event["data"]["parallel_limit"], at
            case "segment.dispatched" if event["data"]["reason"] == "admitted":
                now.in_flight += 1
                if now.paused and now.paused_since is not None:
                    assert at <= now.paused_since + PROMPT, event
                if now.limit_since is not None and at > now.limit_since + PROMPT:
                    assert now.in_flight <= now.limit, event
            case kind if kind in LANDED:
                now.in_flight -= 1
        if event["type"] in ACT_TYPES:
            assert event["userid"], "an act without anybody"


async def test_a_cancellation_ends_it_at_once_and_a_resume_is_not_waited_for(crowd: Crowd) -> None:
    crowd.start_sandbox("--running-seconds", "30")
    crowd.deployment.start("run")
    await crowd.submit(parallel_limit=4)
    (collection_id,) = crowd.owners
    path = f"/api/data-collections/{collection_id}"

    async def running() -> bool:
        progress = await crowd.send("GET", f"{path}/progress", "person-0")
        return any(segment["status"] in ("submitted", "running") for segment in progress["segments"])

    await crowd.api.until("at AMC", running, seconds=60)
    await crowd.command("POST", f"{path}/pause", "person-0", {})
    await crowd.command("POST", f"{path}/resume", "person-0", {})
    await crowd.command("POST", f"{path}/cancel", "person-0", {"reason": "wrong window"})
    await crowd.finished(seconds=25)  # its executions would run for longer
    stats = await crowd.api.sandbox_stats()
    assert set(stats["by_status"]) == {"CANCELLED"}
    assert (stats["pending"], stats["running"]) == (0, 0)
    (cancelled,) = await crowd.events("collection.cancelled")
    assert (is_token(cancelled["data"]["reason"]), bool(cancelled["userid"])) == (True, True)
    given = [each for each in await crowd.events("segment.dispatched") if each["data"]["reason"] == "admitted"]
    at = datetime.fromisoformat(cancelled["time"])
    assert all(datetime.fromisoformat(each["time"]) <= at + PROMPT for each in given)


async def test_what_failed_runs_again_at_once(crowd: Crowd) -> None:
    crowd.start_sandbox()
    crowd.deployment.start("run")
    await crowd.api.ready()
    async with crowd.api.http.put(f"{crowd.deployment.sandbox_url}/sandbox/faults", json={"fail_rate": 0.2}) as answer:
        assert answer.status == 200
    await crowd.submit(max_attempts=1)
    (collection,) = (await crowd.finished(seconds=PATIENCE)).values()
    assert collection["segments_failed"] > 0
    async with crowd.api.http.put(f"{crowd.deployment.sandbox_url}/sandbox/faults", json={}) as answer:
        assert answer.status == 200
    await crowd.command("POST", f"/api/data-collections/{collection['collection_id']}/retry", "person-0", {})
    (collection,) = (await crowd.finished(seconds=PATIENCE)).values()
    assert (collection["backfill_status"], collection["segments_failed"]) == ("completed", 0)
    (retried,) = await crowd.events("collection.retried")
    began = [
        datetime.fromisoformat(each["time"])
        for each in await crowd.events("segment.dispatched")
        if each["data"]["attempt"] == 2
    ]
    assert min(began) <= datetime.fromisoformat(retried["time"]) + PROMPT
    assert retried["userid"]
