"""The whole configuration in one call, and what its preview and review tell."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.service import INSTANCE_ID, WEEK, Numbers, Service

DAILY = {"frequency": "daily", "time": "09:00"}


async def whole(api: Service, schedule: object, *, window: object = WEEK, **more: object) -> dict[str, Any]:
    parameters = {"instance_id": INSTANCE_ID, "workflow_id": await api.workflow(), "lookback_config": window}
    return {"parameters": parameters, "schedule": schedule, **more}


def backfill(window: object, **segmentation: object) -> dict[str, Any]:
    config = {"lookback_config": window, "segmentation_config": {"type": "daily", **segmentation}}
    return {"schedule_type": "backfill", "backfill_config": config}


async def test_submit_in_one_call_records_all_four_steps(service: Service, numbers: Numbers) -> None:
    body = await whole(service, backfill(numbers.window(5)), name="Five days")
    review = await service.done("/api/report-builder/review", body)
    assert (review["preview"]["amc_executions"], len(review["preview"]["segments"])) == (5, 5)
    submitted = await service.done("/api/report-builder/submit", {**body, "digest": review["digest"]})
    collection = await service.finished(submitted)
    assert (collection["name"], collection["segments_completed"]) == ("Five days", 5)
    page = await service.read("/api/events?stream=report-" + submitted["report_id"])
    assert [event["type"] for event in page["events"]] == [
        "report.created",
        "report.parameters_set",
        "report.schedule_set",
        "report.reviewed",
        "report.submitted",
    ]
    report = await service.read(f"/api/reports/{submitted['report_id']}")
    assert (report["next_step"], report["collection_id"]) == (None, submitted["collection_id"])


async def test_what_was_not_reviewed_is_not_submitted_in_one_call_either(api: Service) -> None:
    body = await whole(api, {"schedule_type": "once"})
    review = await api.done("/api/report-builder/review", body)
    changed = await whole(api, {"schedule_type": "once"}, window={**WEEK, "value": 8})
    answer = await api.post("/api/report-builder/submit", {**changed, "digest": review["digest"]})
    assert (answer.status, answer.json["code"]) == (409, "not_reviewed")
    assert (await api.read("/api/reports"))["items"] == []


async def test_a_configuration_with_six_mistakes_is_told_all_six(api: Service) -> None:
    body = await whole(api, {}, window={"type": "relative", "value": 0, "unit": "fortnights"})
    body["parameters"]["timezone"] = "America/New_Yrok"
    body["schedule"] = {
        "schedule_type": "backfill_with_schedule",
        "schedule_config": {"frequency": "weekly", "time": "25:00", "daysOfWeek": []},
        "backfill_config": {"segmentation_config": {"type": "daily", "parallel_limit": 0}},
    }
    for path in ("preview-schedule", "review", "submit"):
        answer = await api.post(
            f"/api/report-builder/{path}", body if path != "submit" else {**body, "digest": "0" * 64}
        )
        assert (answer.status, answer.json["code"]) == (422, "invalid")
        assert set(answer.pointers) == {
            "/parameters/lookback_config/value",
            "/parameters/lookback_config/unit",
            "/parameters/timezone",
            "/schedule/schedule_config/time",
            "/schedule/schedule_config/daysOfWeek",
            "/schedule/backfill_config/segmentation_config/parallel_limit",
        }


async def test_426_days_are_refused_with_the_earliest_date(api: Service) -> None:
    parameters = (await whole(api, {}, window={**WEEK, "value": 426}))["parameters"]
    answer = await api.post("/api/report-builder/validate-parameters", {**parameters, "as_of": "2025-03-10"})
    assert (answer.status, answer.pointers) == (422, ["/lookback_config"])
    assert "2024-01-10" in answer.json["errors"][0]["message"]
    parameters["lookback_config"]["value"] = 425
    valid = await api.done("/api/report-builder/validate-parameters", {**parameters, "as_of": "2025-03-10"})
    assert (valid["window"]["start"], valid["window"]["end"], valid["window"]["days"]) == (
        "2024-01-10", "2025-03-09", 425
    )  # fmt: skip
    assert valid["earliest_allowed"] == "2024-01-10"
    assert [warning["code"] for warning in valid["warnings"]] == ["data_may_be_incomplete", "beyond_amazon_retention"]
    answer = await api.post("/api/report-builder/validate-parameters", {**parameters, "as_of": "2999-01-01"})
    assert answer.pointers == ["/as_of"]


async def test_a_preview_shows_runs_with_both_times_and_the_change_of_the_clocks(api: Service) -> None:
    schedule = {
        "schedule_type": "scheduled",
        "schedule_config": {**DAILY, "time": "02:30", "timezone": "America/New_York", "startDate": "2027-03-12"},
    }
    preview = await api.done("/api/report-builder/preview-schedule", await whole(api, schedule))
    runs = preview["next_runs"]
    assert [run["utc"] for run in runs[:3]] == ["2027-03-12T07:30:00Z", "2027-03-13T07:30:00Z", "2027-03-14T07:30:00Z"]
    assert runs[2]["local"] == "2027-03-14T03:30:00-04:00"
    assert "02:30 does not exist" in runs[2]["note"]
    assert (runs[2]["window_start"], runs[2]["window_end"]) == ("2027-03-07", "2027-03-13")
    assert len(runs) == 10
    assert any("02:30" in sentence for sentence in preview["policies"])


async def test_segments_that_are_there_are_named_and_not_run_again(service: Service) -> None:
    today = datetime.now(UTC).date()
    yesterday = today - timedelta(days=1)
    first = yesterday - timedelta(days=30)
    window = {"type": "custom", "startDate": str(first), "endDate": str(yesterday)}
    body = await whole(service, backfill(window))
    review = await service.done("/api/report-builder/review", body)
    submitted = await service.done("/api/report-builder/submit", {**body, "digest": review["digest"]})
    await service.finished(submitted)

    preview = await service.done("/api/report-builder/preview-schedule", body)
    there = [segment for segment in preview["segments"] if segment["there"]]
    again = [segment for segment in preview["segments"] if not segment["there"]]
    assert {segment["end"] <= str(today - timedelta(days=14)) for segment in there} == {True}
    assert all(submitted["collection_id"] in segment["note"] for segment in there)
    assert all("provisional" in segment["note"] for segment in again)
    assert preview["amc_executions"] == len(again) < 31
    assert preview["estimate"]["based_on"] == 31

    review = await service.done("/api/report-builder/review", body)
    second = await service.done("/api/report-builder/submit", {**body, "digest": review["digest"]})
    assert second["segments_skipped"] == len(there)
    collection = await service.finished(second)
    assert (collection["backfill_status"], collection["segments_skipped"]) == ("completed", len(there))
    assert await service.rows(second) == await service.rows(submitted)

    everything = await whole(service, backfill(window, reprocess="all"))
    everything["parameters"]["workflow_id"] = body["parameters"]["workflow_id"]
    preview = await service.done("/api/report-builder/preview-schedule", everything)
    assert preview["amc_executions"] == 31


async def test_a_collection_of_segments_that_are_all_there_is_complete_at_once(
    service: Service, numbers: Numbers
) -> None:
    body = (await whole(service, {}, window=numbers.window(10)))["parameters"] | {
        "segmentation_config": {"type": "daily"},
        "name": "Ten days",
    }
    first = await service.done("/api/data-collections", body)
    assert (first["segments_total"], first["segments_skipped"]) == (10, 0)
    await service.finished(first)
    second = await service.done("/api/data-collections", body)
    assert second["segments_skipped"] == 10
    collection = await service.finished(second)
    assert (collection["backfill_status"], collection["row_count"], collection["name"]) == ("completed", 10, "Ten days")
    assert await service.rows(first) == await service.rows(second)


async def test_a_copy_has_the_steps_of_its_original_and_is_reviewed_anew(api: Service) -> None:
    submitted = await api.submitted(backfill(WEEK))
    copy = await api.done(f"/api/reports/{submitted['report_id']}/copy", {})
    assert (copy["name"], copy["next_step"], copy["schedule"]) == ("Copy of Values", "review", submitted["schedule"])
    assert copy["report_id"] != submitted["report_id"]
    page = await api.read(f"/api/reports?min_position={copy['position']}")
    assert [item["name"] for item in page["items"]] == ["Copy of Values", "Values"]
    drafts = await api.read("/api/reports?status=draft&limit=1")
    assert [item["report_id"] for item in drafts["items"]] == [copy["report_id"]]
    assert drafts["next_cursor"] is None
    copies = await api.read("/api/reports?search=copy+OF&limit=1")
    assert [item["report_id"] for item in copies["items"]] == [copy["report_id"]]
    older = await api.read("/api/reports?search=values&limit=1")
    older = await api.read(f"/api/reports?search=values&limit=1&cursor={older['next_cursor']}")
    assert [item["report_id"] for item in older["items"]] == [submitted["report_id"]]


async def test_a_reports_results_are_one_table(service: Service, numbers: Numbers) -> None:
    submitted = await service.submitted(backfill(numbers.window(6)))
    await service.finished(submitted)
    answer = await service.get(f"/api/reports/{submitted['report_id']}/results?format=json")
    assert [(row["segment_version"], row["value"]) for row in answer.json] == [(1, value) for value in range(1, 7)]
    assert answer.headers["Report-Segments"] == "completed=6, total=6"


@pytest.mark.parametrize("path", ["/api/report-builder/review", "/api/data-collections"])
async def test_one_call_routes_refuse_what_they_do_not_know(api: Service, path: str) -> None:
    body = (await whole(api, {"schedule_type": "once"})) | {"nmae": 1}
    answer = await api.post(path, body)
    assert answer.status == 422
    assert "/nmae" in answer.pointers


async def test_a_backfill_with_a_schedule_links_both_and_their_results_are_one_table(
    service: Service, numbers: Numbers
) -> None:
    schedule = {
        "schedule_type": "backfill_with_schedule",
        "schedule_config": DAILY,
        "backfill_config": {**backfill(numbers.window(5))["backfill_config"], "hold_schedule": True},
    }
    body = await whole(service, schedule, window={"type": "relative", "value": 2, "unit": "days"})
    review = await service.done("/api/report-builder/review", body)
    submitted = await service.done("/api/report-builder/submit", {**body, "digest": review["digest"]})
    assert submitted["next_run_at"] is None  # held
    await service.finished(submitted)
    path = f"/api/schedules/{submitted['schedule_id']}"
    async with asyncio.timeout(20):
        while (linked := await service.read(path))["held"]:
            await asyncio.sleep(0.05)
    assert (linked["backfill_collection_id"], linked["backfill_status"]) == (submitted["collection_id"], "completed")
    assert linked["next_run_at"] is not None

    started = await service.done(f"{path}/run-now")
    run = await service.finished(started)
    assert run["report_id"] == submitted["report_id"]
    answer = await service.get(f"/api/reports/{submitted['report_id']}/results?format=json")
    starts = [row["segment_start"] for row in answer.json]
    assert (len(starts), starts[:5], set(starts[5:])) == (
        7,
        [str(numbers.first + timedelta(days=day)) for day in range(5)],
        {run["window_start"]},
    )
    again = await service.post("/api/report-builder/submit", {**body, "digest": review["digest"]})
    assert (again.status, again.json["code"]) == (409, "duplicate_schedule")


async def test_an_old_day_may_be_looked_at_and_not_run(api: Service) -> None:
    body = await whole(api, backfill({**WEEK, "value": 3}), as_of="2015-06-10")
    review = await api.done("/api/report-builder/review", body)
    assert review["preview"]["window"]["end"] == "2015-06-09"
    answer = await api.post("/api/report-builder/submit", {**body, "digest": review["digest"]})
    assert (answer.status, answer.pointers) == (422, ["/as_of"])
    collection = body["parameters"] | {"as_of": "2015-06-10"}
    assert (await api.post("/api/data-collections", collection)).pointers == ["/as_of"]
