"""A report's results by version: every one is listed and can be read, and the newest stands for its days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from tests.service import Numbers, Service

DAILY = {"schedule_type": "scheduled", "schedule_config": {"frequency": "daily", "time": "09:00"}}
WEEK = {"type": "relative", "value": 7, "unit": "days", "dataDelayDays": 2}


async def ran(service: Service, schedule: str) -> Any:
    """A run that is done."""
    started = await service.done(f"{schedule}/run-now", {})
    return await service.finished(started)


async def test_each_result_of_the_same_days_is_a_version_and_the_newest_stands_for_them(service: Service) -> None:
    submitted = await service.submitted(DAILY, window=WEEK)
    report, schedule = f"/api/reports/{submitted['report_id']}", f"/api/schedules/{submitted['schedule_id']}"
    runs = [await ran(service, schedule) for _ in range(3)]
    listed = (await service.read(f"{report}/versions"))["items"]
    assert [(each["version"], each["newest"]) for each in listed] == [(1, False), (2, False), (3, True)]
    assert [each["collection_id"] for each in listed] == [run["collection_id"] for run in runs]
    first = await service.read(f"{report}/versions?limit=2")
    rest = await service.read(f"{report}/versions?limit=2&cursor={first['next_cursor']}")
    assert (first["items"] + rest["items"], rest["next_cursor"]) == (listed, None)

    newest = await service.read(f"{report}/results?format=json")
    assert {row["segment_version"] for row in newest} == {3}
    every = await service.read(f"{report}/results?format=json&versions=all")
    assert sorted({row["segment_version"] for row in every}) == [1, 2, 3]
    assert len(every) == 3 * len(newest) == 3 * 7


async def test_a_table_says_to_which_day_it_is_complete(service: Service, numbers: Numbers) -> None:
    submitted = await service.submitted(DAILY, window=WEEK)
    report, schedule = f"/api/reports/{submitted['report_id']}", f"/api/schedules/{submitted['schedule_id']}"
    assert "Complete-Through" not in (await service.get(f"{report}/results")).headers
    run = await ran(service, schedule)
    complete = date.fromisoformat(run["window_end"])
    assert complete == date.fromisoformat(run["as_of"]) - timedelta(days=3)
    for path in (f"{report}/results", f"/api/data-collections/{run['collection_id']}/results"):
        assert (await service.get(path)).headers["Complete-Through"] == str(complete)


async def test_another_teams_versions_are_not_there(service: Service) -> None:
    submitted = await service.submitted(DAILY, window=WEEK)
    service.act_as("others")
    answer = await service.get(f"/api/reports/{submitted['report_id']}/versions")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
