"""Running again what failed, what is named, a failed segment in pieces; and what each segment's row says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from events.envelope import stream_of
from events.reader import read_stream
from service.amc.sandbox import Faults, RunningSandbox, SandboxOptions, TableFile, running_sandbox
from tests.postgres import Database
from tests.service import UNKNOWN_ID, Numbers, Service, serving, settings_for
from tests.watching import DAYS, backfill, count, ended, until


@pytest.fixture
async def amc(numbers: Numbers) -> AsyncIterator[RunningSandbox]:
    table = TableFile(name="numbers", path=numbers.file, date_column="date")
    async with running_sandbox(SandboxOptions(tables=(table,), port=0)) as sandbox:
        yield sandbox


@pytest.fixture
async def api(database: Database, tmp_path: Path, amc: RunningSandbox) -> AsyncIterator[Service]:
    async with serving(settings_for(database, tmp_path, amc)) as service:
        yield service


async def collection(api: Service, of: Any, **body: Any) -> str:
    """Another collection of the same workflow: its path."""
    created = await api.done("/api/data-collections", {**of, **body})
    await api.read(f"/api/data-collections?min_position={created['position']}")
    return f"/api/data-collections/{created['collection_id']}"


async def same_again(api: Service, path: str, numbers: Numbers, days: int = DAYS) -> dict[str, Any]:
    """The body that sets the collection at `path` to work once more."""
    of = await api.read(path)
    return {
        "workflow_id": of["workflow_id"],
        "instance_id": of["instance_id"],
        "lookback_config": numbers.window(days),
        "segmentation_config": {"type": "daily"},
    }


async def test_failed_runs_what_failed_last_and_leaves_the_rest_as_it_is(
    api: Service, amc: RunningSandbox, numbers: Numbers
) -> None:
    bad = {numbers.first + timedelta(days=n) for n in (3, 7)}
    amc.sandbox.faults.set(Faults(fail_windows=tuple(bad)))
    first = await backfill(api, numbers)
    assert (await until(api, first, ended))["collection"]["backfill_status"] == "partial"
    amc.sandbox.faults.set(Faults())
    body = await same_again(api, first, numbers, days=DAYS + 2)
    body["segmentation_config"]["reprocess"] = "failed"
    preview = await api.done("/api/report-builder/preview-schedule", await whole(body))
    assert {date.fromisoformat(each["start"]) for each in preview["segments"] if each["runs"]} == bad
    assert preview["amc_executions"] == 2

    path = await collection(api, body)
    again = await until(api, path, ended)
    ran = {date.fromisoformat(each["week_start"]) for each in again["segments"] if each["status"] == "completed"}
    assert ran == bad
    assert again["collection"]["backfill_status"] == "completed"
    # The last two days were never run: they are in no result, and not taken for complete.
    assert [each["skip_reason"] for each in again["segments"]][-2:] == ["not_failed", "not_failed"]
    assert again["collection"]["complete_through"] == str(numbers.first + timedelta(days=DAYS - 1))
    rows = await api.rows({"collection_id": again["collection"]["collection_id"]})
    assert len(rows) == DAYS


async def whole(body: dict[str, Any]) -> dict[str, Any]:
    """A collection's body as that of a report that runs once."""
    parameters = {name: body[name] for name in ("workflow_id", "instance_id", "lookback_config")}
    once = {"schedule_type": "once", "segmentation_config": body["segmentation_config"]}
    return {"name": "Again", "parameters": parameters, "schedule": once}


async def test_named_segments_run_and_a_day_on_which_none_begins_is_refused(api: Service, numbers: Numbers) -> None:
    first = await backfill(api, numbers)
    await until(api, first, ended)
    body = await same_again(api, first, numbers)
    named = [str(numbers.first), str(numbers.first + timedelta(days=5))]
    again = await until(api, await collection(api, body, segments=named), ended)
    assert [each["week_start"] for each in again["segments"] if each["status"] == "completed"] == named
    assert count(again, "skipped") == DAYS - 2
    answer = await api.post("/api/data-collections", {**body, "segments": [named[0], "2020-01-01"]})
    assert (answer.status, answer.pointers) == (422, ["/segments/1"])
    answer = await api.post("/api/data-collections", {**body, "segments": named, "segmentation_config": None})
    assert (answer.status, answer.pointers) == (422, ["/segments"])


async def test_a_failed_segment_is_run_again_in_pieces(api: Service, amc: RunningSandbox, numbers: Numbers) -> None:
    first = await backfill(api, numbers)
    await until(api, first, ended)
    body = await same_again(api, first, numbers) | {"segmentation_config": {"type": "monthly", "max_attempts": 1}}
    amc.sandbox.faults.set(Faults(fail_rate=1, fail_reason="Workflow execution timed out."))
    path = await collection(api, body)
    failed = await until(api, path, ended)
    amc.sandbox.faults.set(Faults())
    whole = failed["segments"][0]
    answer = await api.post(f"{path}/split", {"segment_id": UNKNOWN_ID})
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    answer = await api.post(f"{path}/split", {"segment_id": whole["segment_id"], "into": "monthly"})
    assert (answer.status, answer.json["code"]) == (409, "collection_state")

    pieces = await api.done(f"{path}/split", {"segment_id": whole["segment_id"], "reason": "too long for AMC"})
    for rest in failed["segments"][1:]:
        await api.done(f"{path}/split", {"segment_id": rest["segment_id"], "into": "daily"})
    after = await until(api, path, ended)
    assert after["collection"]["backfill_status"] == "completed"
    split = [each for each in after["segments"] if each["skip_reason"] == "split"]
    assert {each["segment_id"] for each in split} == {each["segment_id"] for each in failed["segments"]}
    assert set(pieces["segment_ids"]) < {each["segment_id"] for each in after["segments"]}
    assert len({each["segment_number"] for each in after["segments"]}) == len(after["segments"])
    assert len(await api.rows({"collection_id": after["collection"]["collection_id"]})) == DAYS
    assert after["collection"]["complete_through"] == body["lookback_config"]["endDate"]
    answer = await api.post(f"{path}/split", {"segment_id": whole["segment_id"]})
    assert (answer.status, answer.json["code"]) == (409, "collection_state")
    events = await read_stream(api.program.pool, stream_of("segment", whole["segment_id"]))
    assert events[-1].event_type == "segment.split"
    assert events[-1].user_id is not None


async def test_the_timeline_of_a_segment_has_every_attempt_with_its_end(
    api: Service, amc: RunningSandbox, numbers: Numbers
) -> None:
    amc.sandbox.faults.set(Faults(fail_rate=1, fail_times=1))
    path = await backfill(api, numbers, max_attempts=3)
    segment = (await until(api, path, ended))["segments"][0]
    timeline = await api.read(f"{path}/segments/{segment['segment_id']}")
    first, second = timeline["attempts"]
    assert (first["attempt"], first["outcome"], first["error_kind"]) == (1, "retried", "unknown")
    assert first["error"] == "Workflow execution failed due to an internal error."
    assert first["ended_at"] <= first["retry_at"] <= second["dispatched_at"]
    assert (second["attempt"], second["outcome"], second["error"]) == (2, "completed", None)
    assert second["execution_id"] == timeline["segment"]["amc_execution_id"] != first["execution_id"]
    assert (second["creates"], second["adopted"]) == (1, False)
    assert [each["event_type"] for each in timeline["events"]][:2] == [
        "segment.dispatched",
        "segment.submission_started",
    ]
    answer = await api.get(f"{path}/segments/{UNKNOWN_ID}")
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_stopping_after_failures_is_changed_live(api: Service, amc: RunningSandbox, numbers: Numbers) -> None:
    bad = tuple(numbers.first + timedelta(days=n) for n in range(DAYS - 1))  # all but the newest, which runs first
    amc.sandbox.faults.set(Faults(fail_windows=bad))
    path = await backfill(api, numbers, parallel_limit=1, stop_after_failures=2)
    held = await until(api, path, lambda progress: progress["collection"]["held"])
    assert held["collection"]["segments_failed"] >= 2
    before = held["collection"]["segments_failed"]
    answer = await api.send("PATCH", path, {"stop_after_failures": 3})
    assert (answer.status, answer.json["stop_after_failures"]) == (200, 3)
    await api.done(f"{path}/resume", {})
    again = await until(api, path, lambda progress: progress["collection"]["segments_failed"] >= before + 3)
    again = await until(api, path, lambda progress: progress["collection"]["held"])
    assert again["collection"]["segments_failed"] < DAYS - 1
    await api.send("PATCH", path, {"stop_after_failures": 0})
    await api.done(f"{path}/resume", {})
    assert (await until(api, path, ended))["collection"]["segments_failed"] == DAYS - 1


async def test_young_results_are_provisional_and_the_data_is_complete_to_two_days_before(
    api: Service, numbers: Numbers
) -> None:
    last = numbers.last
    window = {"type": "custom", "startDate": str(last - timedelta(days=19)), "endDate": str(last)}
    first = await backfill(api, numbers)
    await until(api, first, ended)
    body = await same_again(api, first, numbers) | {"lookback_config": window}
    progress = await until(api, await collection(api, body), ended)
    today = date.fromisoformat(progress["segments"][0]["submitted_at"][:10])
    for segment in progress["segments"]:
        assert segment["provisional"] == ((today - date.fromisoformat(segment["week_end"])).days < 14)
    assert progress["collection"]["complete_through"] == str(today - timedelta(days=2))
