"""A deployment whose clock a test sets: schedules through real processes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp

from db.pool import Pool
from service.clock import set_clock
from tests.deployment import INSTANCE_ID, Api, Deployment, write_days

DAY = timedelta(days=1)
NEW_YORK = "America/New_York"
STANDING = 0.000001
"""A speed at which the clock stands, for all that a test sees."""
WEEK = {"type": "relative", "value": 7, "unit": "days"}
NIGHTLY = {"frequency": "daily", "time": "02:30", "timezone": NEW_YORK}
WIDE = {"overlap": "allow", "catchup": "all", "catchupWindowHours": 24 * 400}


class Stage:
    """A deployment whose clock a test sets, and its API."""

    def __init__(self, folder: Path, http: aiohttp.ClientSession, pool: Pool, database_url: str) -> None:
        settings = {
            "REPORT_BUILDER_SETTABLE_CLOCK": "true",
            "REPORT_BUILDER_SCHEDULER_INTERVAL": "0.2",
            "REPORT_BUILDER_DATABASE_URL": database_url,
        }
        self.deployment = Deployment(folder, settings)
        self.pool = pool
        self.api = Api(http, self.deployment)
        self._table = folder / "numbers.csv"
        write_days(self._table, date(2025, 12, 1), date(2027, 1, 31))

    def start_sandbox(self) -> None:
        self.deployment.start_sandbox(self._table)

    async def set_clock(self, instant: datetime, speed: float = STANDING) -> None:
        """For all processes; they notice within a second."""
        await set_clock(self.pool, instant, speed)

    async def run_through(self, workflow_id: str, first: date, last: date, days_per_second: float) -> str:
        """A nightly schedule from one day to another, and the clock set on to run as long; answers its path."""
        begins = datetime.combine(first, time(), UTC)
        await self.set_clock(begins)

        async def shows() -> bool:
            return str((await self.api.get("/api/clock"))["now"])[:10] == first.isoformat()

        await self.api.until(f"the clock shows {first}", shows, seconds=30)
        path = await self.schedule(workflow_id, **NIGHTLY, **WIDE, endDate=last.isoformat())
        await self.set_clock(begins, days_per_second * 86400)
        return path

    async def schedule(self, workflow_id: str, **config: Any) -> str:
        """Sets a schedule to work; answers its path."""
        answer = await self.api.post(
            "/api/schedules",
            {"name": "Values", "instance_id": INSTANCE_ID, "workflow_id": workflow_id, "timezone": NEW_YORK,
             "lookback_config": WEEK, "schedule_config": config},
        )  # fmt: skip
        return f"/api/schedules/{answer['schedule_id']}"

    async def ended(self, path: str, *, seconds: float) -> None:
        """Waits until the schedule has ended, and all of its runs have."""

        async def check() -> bool:
            if (await self.api.get(path))["status"] != "ended":
                return False
            return all(run["finished_at"] for run in await self.api.items(f"{path}/runs"))

        await self.api.until("ended", check, seconds=seconds)

    async def decided(self, path: str, count: int) -> list[str]:
        """Waits until so many runs are decided; each in short, oldest first: `03-02 caught_up`."""

        async def check() -> Any:
            runs = await self.api.items(f"{path}/runs")
            return runs if len(runs) >= count else None

        runs = await self.api.until(f"{count} runs decided", check, seconds=60)
        return [f"{run['nominal'][5:10]} {run['cause'] or run['reason']}" for run in reversed(runs)]

    async def assert_every_day_once(self, path: str, first: date, last: date) -> None:
        """A run each day at half past two, its window ending on the day before, its rows there, and no more."""
        runs = list(reversed(await self.api.items(f"{path}/runs")))
        expected = [date.fromordinal(day) for day in range(first.toordinal(), last.toordinal() + 1)]
        assert [run["nominal"] for run in runs] == [f"{day}T02:30:00" for day in expected]
        for run, day in zip(runs, expected, strict=True):
            hour = 3 if day == date(2026, 3, 8) else 2
            asked = datetime.combine(day, time(hour, 30), ZoneInfo(NEW_YORK))
            assert datetime.fromisoformat(run["instant"]) == asked.astimezone(UTC), run
            assert run["as_of"] == day.isoformat()
            assert (run["window_start"], run["window_end"]) == (str(day - 7 * DAY), str(day - DAY)), run
            assert (run["backfill_status"], run["row_count"]) == ("completed", 7), run
        assert len({run["collection_id"] for run in runs}) == len(runs)
        await self._assert_log_agrees(path, runs)

    async def _assert_log_agrees(self, path: str, runs: list[Any]) -> None:
        """One start, one collection and one execution for each run, in the log and at the sandbox."""
        events: list[Any] = []
        after = 0
        while (page := await self.api.get("/api/events", after=after, limit=1000))["events"]:
            after = page["next_after"]
            events += page["events"]
        schedule_id = path.rpartition("/")[2]
        started = [event["data"] for event in events if event["subject"] == f"schedule-{schedule_id}"]
        started = [data for data in started if "cause" in data and "run_id" in data]
        created = [
            event["subject"].removeprefix("collection-")
            for event in events
            if event["type"] == "collection.created" and event["data"]["schedule_id"] == schedule_id
        ]
        assert len({data["run_id"] for data in started}) == len(started) == len(runs)
        assert sorted(data["collection_id"] for data in started) == sorted(created)
        intents = [
            event["data"]["window_end"]
            for event in events
            if event["type"] == "segment.submission_started" and event["data"]["collection_id"] in created
        ]
        assert sorted(set(intents)) == [f"{run['as_of']}T00:00:00" for run in runs]
        assert (await self.api.sandbox_stats())["duplicates"] == 0
