"""From nothing to results, over HTTP, against PostgreSQL and the sandbox."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.service import INSTANCE_ID, ONCE, STEPS, Numbers, Service


def backfill(numbers: Numbers, days: int, type: str, **segmentation: Any) -> dict[str, Any]:
    history = {
        "lookback_config": numbers.window(days),
        "segmentation_config": {"type": type, **segmentation},
    }
    return {"schedule_type": "backfill", "backfill_config": history}


async def test_once_is_one_segment_over_the_whole_window_in_the_interactive_lane(
    service: Service, numbers: Numbers
) -> None:
    submitted = await service.submitted(window=numbers.window(30))
    assert submitted["segments_total"] == 1
    collection = await service.finished(submitted)
    assert collection["lane"] == "interactive"
    assert collection["backfill_status"] == "completed"
    assert collection["segments_completed"] == collection["segments_total"] == 1
    assert collection["row_count"] == 30
    assert collection["segmentation_config"] is None
    rows = await service.rows(submitted)
    window = numbers.window(30)
    assert {(row["segment_start"], row["segment_end"], row["segment_version"]) for row in rows} == {
        (window["startDate"], window["endDate"], 1)
    }
    assert sorted(row["value"] for row in rows) == list(range(1, 31))


async def test_once_with_a_segmentation_is_cut_and_still_interactive(service: Service, numbers: Numbers) -> None:
    schedule = {**ONCE, "segmentation_config": {"type": "weekly"}}
    submitted = await service.submitted(schedule, window=numbers.window(30))
    assert submitted["segments_total"] in (5, 6)
    collection = await service.finished(submitted)
    assert collection["lane"] == "interactive"
    assert collection["segments_completed"] == submitted["segments_total"]
    assert sorted(row["value"] for row in await service.rows(submitted)) == list(range(1, 31))


async def test_a_backfill_is_read_back_exactly_in_every_format(
    service: Service, numbers: Numbers, tmp_path: Path
) -> None:
    submitted = await service.submitted(backfill(numbers, 21, "daily"))
    assert submitted["segments_total"] == 21
    collection = await service.finished(submitted)
    assert collection["lane"] == "bulk"
    assert collection["backfill_status"] == "completed"
    assert collection["row_count"] == 21
    days = [(numbers.first + timedelta(days=number)).isoformat() for number in range(21)]
    expected = [(day, day, 1, day, number) for number, day in enumerate(days, 1)]
    columns = ["segment_start", "segment_end", "segment_version", "date", "value"]
    path = f"/api/data-collections/{submitted['collection_id']}/results"

    answer = await service.get(path)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Report-Segments"] == "completed=21, total=21"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    header, *lines = csv.reader(io.StringIO(answer.body.decode()))
    assert header == columns
    assert [tuple(line) for line in lines] == [tuple(map(str, row)) for row in expected]

    answer = await service.get(f"{path}?format=json")
    assert answer.headers["Content-Type"] == "application/json"
    assert [list(row) for row in answer.json] == [columns] * 21
    assert [tuple(row.values()) for row in answer.json] == expected

    answer = await service.get(f"{path}?format=parquet")
    file = tmp_path / "read.parquet"
    file.write_bytes(answer.body)
    with duckdb.connect() as database:
        table = database.execute(f"SELECT * FROM '{file}'")
        assert [column[0] for column in table.description or ()] == columns
        parquet = [tuple(map(str, row)) for row in table.fetchall()]
    assert parquet == [tuple(map(str, row)) for row in expected]


async def test_progress_names_every_segment(service: Service, numbers: Numbers) -> None:
    submitted = await service.submitted(backfill(numbers, 14, "weekly"))
    await service.finished(submitted)
    progress = await service.read(f"/api/data-collections/{submitted['collection_id']}/progress")
    assert progress["percent"] == 100.0
    segments = progress["segments"]
    assert [segment["segment_number"] for segment in segments] == list(range(1, len(segments) + 1))
    assert segments[0]["week_start"] == numbers.first.isoformat()
    for before, after in pairwise(segments):
        assert date.fromisoformat(after["week_start"]) - date.fromisoformat(before["week_end"]) == timedelta(days=1)
    assert sum(segment["row_count"] for segment in segments) == 14
    assert len({segment["amc_execution_id"] for segment in segments}) == len(segments)
    assert all(segment["status"] == "completed" and segment["attempts"] == 1 for segment in segments)


async def test_parameters_reach_amc_and_its_exact_decimals_come_back(service: Service, numbers: Numbers) -> None:
    sql = (
        "SELECT CUSTOM_PARAMETER('label') AS label, CAST(SUM(value) AS DECIMAL(20, 2)) / 4 AS quarter,"
        " CAST(SUM(value) * 0.1 AS DECIMAL(20, 2)) AS tenth FROM numbers GROUP BY date"
    )
    workflow = await service.workflow(sql, [{"name": "label"}, {"name": "unused", "default": "x"}])
    label = 'Ünï "quoted", back\\slash\nand a line'
    submitted = await service.submitted(workflow=workflow, window=numbers.window(10), parameters={"label": label})
    collection = await service.finished(submitted)
    assert collection["backfill_status"] == "completed"
    rows = await service.rows(submitted)
    assert {row["label"] for row in rows} == {label}
    assert sorted(row["tenth"] for row in rows) == [number / 10 for number in range(1, 11)]


async def test_a_report_says_what_comes_next_at_each_step(service: Service) -> None:
    workflow = await service.workflow()
    path = await service.report()

    async def next_step() -> str | None:
        answer = await service.get(path)
        assert answer.headers["ETag"] == f'"{answer.json["version"]}"'
        step: str | None = answer.json["next_step"]
        return step

    assert await next_step() == "parameters"
    step = {
        "instance_id": INSTANCE_ID,
        "workflow_id": workflow,
        "lookback_config": {"type": "relative", "value": 7, "unit": "days"},
    }
    answered = await service.done(f"{path}/parameters", step)
    assert answered["next_step"] == await next_step() == "schedule"
    assert answered["parameters"]["timezone"] == "UTC"
    answered = await service.done(f"{path}/schedule", ONCE)
    assert answered["next_step"] == await next_step() == "review"
    review = await service.done(f"{path}/review", {})
    assert review["next_step"] == await next_step() == "submit"
    assert review["preview"]["amc_executions"] == len(review["preview"]["segments"]) == 1
    assert review["sql_query"].startswith("SELECT date")
    assert review["parameters"]["parameters"] == {}
    assert [warning["code"] for warning in review["preview"]["warnings"]] == ["data_may_be_incomplete"]

    await service.done(f"{path}/schedule", {**ONCE, "segmentation_config": {"type": "daily"}})
    stale = await service.read(path)
    assert (stale["next_step"], stale["changed_since_review"]) == ("review", ["schedule"])
    review = await service.done(f"{path}/review", {})
    assert review["preview"]["amc_executions"] == 7
    submitted = await service.done(f"{path}/submit", {"digest": review["digest"]})
    assert submitted["next_step"] is None
    assert await next_step() is None
    assert (await service.read(path))["collection_id"] == submitted["collection_id"]
    await service.finished(submitted)


async def test_every_step_is_in_the_audit_table_with_its_name(service: Service, numbers: Numbers) -> None:
    submitted = await service.submitted(window=numbers.window(3))
    rows = await service.program.pool.fetch(
        "SELECT step_completed, workflow_id FROM report_builder_audit"
        " WHERE step_completed IS NOT NULL ORDER BY position"
    )
    assert tuple(row["step_completed"] for row in rows) == STEPS
    assert len({row["workflow_id"] for row in rows}) == 1
    await service.finished(submitted)


@pytest.mark.parametrize("type", ["weekly", "monthly"])
async def test_without_a_history_window_a_backfill_takes_a_complete_year(service: Service, type: str) -> None:
    schedule = {"schedule_type": "backfill", "backfill_config": {"segmentation_config": {"type": type}}}
    _, review = await service.reviewed(schedule)
    assert review["preview"]["amc_executions"] == {"weekly": 52, "monthly": 12}[type]
    assert not any(segment["partial"] for segment in review["preview"]["segments"])


async def test_a_list_of_values_goes_through_to_amc_and_back(service: Service, numbers: Numbers) -> None:
    sql = """
        SELECT date, SUM(value) AS value FROM numbers
         WHERE array_contains(CUSTOM_PARAMETER('wanted'), CAST(value AS VARCHAR)) AND value < CUSTOM_PARAMETER('below')
         GROUP BY date
    """
    array = {"type": "ARRAY", "elementDataType": "STRING"}
    parameters = [{"name": "wanted", "data_type": array}, {"name": "below", "data_type": "LONG", "default": 20}]
    workflow = await service.workflow(sql, parameters)
    window = numbers.window(30)
    submitted = await service.submitted(
        ONCE, workflow=workflow, window=window, parameters={"wanted": ["2", "3", "it's", "25"]}
    )
    collection = await service.finished(submitted)
    assert collection["backfill_status"] == "completed"
    rows = await service.rows(submitted)
    assert sorted((row["date"], row["value"]) for row in rows) == [
        (str(numbers.first + timedelta(days=1)), 2),
        (str(numbers.first + timedelta(days=2)), 3),
    ]
