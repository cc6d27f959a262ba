"""What the pages stand on in tests: the service with its sandbox, an instance and workflows, and reports at every
step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from service.amc.sandbox.options import SandboxOptions
from service.amc.sandbox.server import RunningSandbox, running_sandbox
from tests.postgres import Server
from tests.service import INSTANCE, INSTANCE_ID, Service, serving, settings_for

CLICKS = """SELECT campaign, event_date, SUM(impressions) AS impressions, SUM(clicks) AS clicks
FROM sponsored_ads_traffic
GROUP BY campaign, event_date"""
TRACKED = """-- How often people saw the products that we follow, by campaign
SELECT campaign, COUNT(DISTINCT user_id) AS users, SUM(impressions) AS impressions
FROM sponsored_ads_traffic
WHERE tracked_asin IN (CUSTOM_PARAMETER('asins'))
  AND match_type = CUSTOM_PARAMETER('match_type')
  AND event_date >= CUSTOM_PARAMETER('since')
  AND clicks >= CUSTOM_PARAMETER('least_clicks')
  AND (new_to_brand OR NOT CUSTOM_PARAMETER('only_new'))
GROUP BY campaign"""
PARAMETERS = [
    {"name": "asins", "data_type": "ARRAY", "description": "The products to follow."},
    {"name": "match_type", "data_type": "STRING", "default": "BROAD"},
    {"name": "since", "data_type": "DATE"},
    {"name": "least_clicks", "data_type": "LONG", "default": 10},
    {"name": "only_new", "data_type": "BOOLEAN", "default": False},
]
LONG_NAME = (
    "Reach and frequency of sponsored products by campaign, placement and day for the whole outdoor range, as the "
    "agency of record reports it to the brand each quarter"
)
WEEK = {"type": "relative", "value": 7, "unit": "days", "dataDelayDays": 2}


class Ground:
    """The service, and what the tests have put there."""

    def __init__(self, service: Service, sandbox: RunningSandbox, clicks: str, tracked: str) -> None:
        self.service = service
        self._sandbox = sandbox
        self.clicks = clicks
        self.tracked = tracked

    @property
    def url(self) -> str:
        return str(self.service.program.api_url)

    async def begun(self, name: str = "Weekly clicks") -> str:
        """A report without any step: its address in the interface."""
        return f"/reports/{(await self.service.done('/api/reports', {'name': name}))['report_id']}"

    async def with_parameters(self, name: str = "Weekly clicks", **changes: Any) -> str:
        """The first step done."""
        path = await self.begun(name)
        step = {"instance_id": INSTANCE_ID, "workflow_id": self.clicks, "lookback_config": WEEK}
        await self.service.done(f"/api{path}/parameters", step | changes)
        return path

    async def with_schedule(self, schedule: object, name: str = "Weekly clicks", **changes: Any) -> str:
        """Two steps done."""
        path = await self.with_parameters(name, **changes)
        await self.service.done(f"/api{path}/schedule", schedule)
        return path

    async def reviewed(self, schedule: object, name: str = "Weekly clicks", **changes: Any) -> str:
        """Three steps done."""
        path = await self.with_schedule(schedule, name, **changes)
        await self.service.done(f"/api{path}/review", {})
        return path

    async def submitted(self, schedule: object, name: str = "Weekly clicks", **changes: Any) -> str:
        """All of them."""
        path = await self.reviewed(schedule, name, **changes)
        digest = (await self.service.read(f"/api{path}"))["review"]["digest"]
        answer = await self.service.done(f"/api{path}/submit", {"digest": digest})
        await self.service.read(f"/api/reports?limit=1&min_position={answer['position']}")
        return path

    async def report(self, path: str) -> Any:
        return await self.service.read(f"/api{path}")

    async def collection(self, schedule: object, name: str = "Weekly clicks", *, ended: bool = True) -> str:
        """What a report has set to work: its id, when it has come to its end, or at once."""
        path = await self.reviewed(schedule, name)
        digest = (await self.report(path))["review"]["digest"]
        submitted = await self.service.done(f"/api{path}/submit", {"digest": digest})
        if ended:
            await self.service.finished(submitted, seconds=60)
        else:
            path = f"/api/data-collections/{submitted['collection_id']}?min_position={submitted['position']}"
            await self.service.read(path)
        return str(submitted["collection_id"])

    async def progress(self, collection_id: str) -> Any:
        return await self.service.read(f"/api/data-collections/{collection_id}/progress")

    async def faults(self, **faults: Any) -> None:
        """What goes wrong at the sandbox from here on."""
        body = msgspec.json.encode(faults)
        async with self.service.http.put(f"{self._sandbox.base_url}/sandbox/faults", data=body) as response:
            assert response.status < 300, await response.text()


def weekly(time: str = "09:00", zone: str = "America/New_York", **more: Any) -> dict[str, Any]:
    """A schedule step. No two active schedules may be the same, so that tests differ by the time."""
    config = {"frequency": "weekly", "time": time, "timezone": zone, "daysOfWeek": [1], **more}
    return {"schedule_type": "scheduled", "schedule_config": config}


JUNE = {"type": "custom", "startDate": "2026-06-01", "endDate": "2026-06-30"}


def of_june(cut: str = "weekly", **segmentation: Any) -> dict[str, Any]:
    """A short history, fetched again whatever is there."""
    return afresh(history(cut, **JUNE), **segmentation)


def afresh(step: dict[str, Any], **segmentation: Any) -> dict[str, Any]:
    """A history that uses nothing again."""
    config = step["backfill_config"]
    changed = {**config["segmentation_config"], "reprocess": "all", **segmentation}
    return {**step, "backfill_config": {**config, "segmentation_config": changed}}


def history(cut: str, **lookback: Any) -> dict[str, Any]:
    """A history in periods of a day, a week or a month."""
    window = lookback or {"type": "relative", "value": 52, "unit": "weeks", "align": "calendar", "dataDelayDays": 2}
    return {
        "schedule_type": "backfill",
        "backfill_config": {"lookback_config": window, "segmentation_config": {"type": cut}},
    }


@asynccontextmanager
async def standing(postgres: Server, folder: Path, *, bare: bool = False, **settings: Any) -> AsyncIterator[Ground]:
    """All of it, for as long as the block runs; `bare` without instance and workflows."""
    async with (
        postgres.fresh_database() as database,
        running_sandbox(SandboxOptions(port=0, generated=True)) as sandbox,
    ):
        changed = msgspec.structs.replace(settings_for(database, folder, sandbox), **settings)
        async with serving(changed) as service:
            if changed.auth_issuer is not None or changed.auth_own_keys:
                service.act_as("red")
            if bare:
                yield Ground(service, sandbox, "", "")
                return
            await service.done("/api/instances", INSTANCE | {"name": "Outdoors, North America"})
            workflows = [
                await service.done("/api/workflows", {"name": name, "sql_query": sql, "parameters": parameters})
                for name, sql, parameters in (
                    ("Reach of tracked products", TRACKED, PARAMETERS),
                    (LONG_NAME, CLICKS, []),
                    ("Clicks by campaign and day", CLICKS, []),
                )
            ]
            yield Ground(service, sandbox, workflows[2]["workflow_id"], workflows[0]["workflow_id"])
