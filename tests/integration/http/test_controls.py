"""What a person does to a collection while it runs: at once, with who and why, and never twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from events.envelope import stream_of
from events.personal import is_token
from events.reader import read_after, read_stream
from service.amc.sandbox import Faults, RunningSandbox, SandboxOptions, TableFile, running_sandbox
from tests.postgres import Database
from tests.service import INSTANCE_ID, UNKNOWN_ID, Numbers, Service, serving, settings_for
from tests.watching import AT_ONCE, DAYS, active, backfill, count, ended, until


@pytest.fixture
async def slow(numbers: Numbers) -> AsyncIterator[RunningSandbox]:
    """AMC that takes half a second for each execution."""
    table = TableFile(name="numbers", path=numbers.file, date_column="date")
    options = SandboxOptions(tables=(table,), port=0, running_seconds=0.5)
    async with running_sandbox(options) as sandbox:
        yield sandbox


@pytest.fixture
async def api(database: Database, tmp_path: Path, slow: RunningSandbox) -> AsyncIterator[Service]:
    async with serving(settings_for(database, tmp_path, slow)) as service:
        yield service


async def test_a_pause_starts_nothing_more_and_a_resume_goes_on(api: Service, numbers: Numbers) -> None:
    path = await backfill(api, numbers)
    await until(api, path, lambda progress: active(progress) == AT_ONCE)
    paused = await api.done(f"{path}/pause", {"reason": "the budget"})
    assert paused["paused"]
    rest = await until(api, path, lambda progress: active(progress) == 0)
    assert 0 < count(rest, "completed") < DAYS
    await asyncio.sleep(1)
    assert count(await api.read(f"{path}/progress"), "completed") == count(rest, "completed")
    assert rest["collection"]["paused"]["reason"] == "the budget"
    assert rest["collection"]["paused"]["by"]
    assert rest["collection"]["backfill_status"] == "in_progress"
    again = await api.post(f"{path}/pause", {})
    assert (again.status, again.json["code"]) == (409, "collection_state")
    await api.done(f"{path}/resume", {})
    whole = await until(api, path, ended)
    assert whole["collection"]["backfill_status"] == "completed"
    assert whole["collection"]["paused"] is None


async def test_a_cancel_ends_what_waits_and_what_amc_runs(api: Service, slow: RunningSandbox, numbers: Numbers) -> None:
    path = await backfill(api, numbers)
    await until(api, path, lambda progress: count(progress, "completed") > 0)
    # What begins now would run for longer than this test has patience.
    slow.sandbox.options = msgspec.structs.replace(slow.sandbox.options, running_seconds=600)
    short = len(slow.sandbox.executions)
    await until(api, path, lambda progress: count(progress, "running") > 0 and len(slow.sandbox.executions) > short)
    await api.done(f"{path}/cancel", {"reason": "wrong brand"})
    end = await until(api, path, ended)
    assert count(end, "cancelled", "completed") == DAYS
    assert count(end, "cancelled") >= DAYS - 2 * AT_ONCE
    collection = end["collection"]
    assert collection["backfill_status"] == ("partial" if count(end, "completed") else "failed")
    assert collection["cancelled"]["reason"] == "wrong brand"
    executions = {execution.execution_id: execution.status for execution in slow.sandbox.executions.values()}
    assert set(executions.values()) <= {"CANCELLED", "SUCCEEDED"}
    known = {segment["amc_execution_id"]: segment["status"] for segment in end["segments"]}
    assert set(executions) == set(known) - {None}
    assert any(executions[id] == "CANCELLED" for id, status in known.items() if id and status == "cancelled")
    for act in ("cancel", "pause", "resume", "front", "retry"):
        answer = await api.post(f"{path}/{act}", {})
        assert (answer.status, answer.json["code"]) == (409, "collection_state")


async def test_a_cancel_that_amc_refuses_lets_what_runs_come_to_its_end(
    api: Service, slow: RunningSandbox, numbers: Numbers
) -> None:
    slow.sandbox.faults.set(Faults(refuse_cancels=True))
    path = await backfill(api, numbers)
    await until(api, path, lambda progress: count(progress, "running") == AT_ONCE)
    await api.done(f"{path}/cancel", {})
    end = await until(api, path, ended)
    assert count(end, "completed") >= AT_ONCE
    assert {execution.status for execution in slow.sandbox.executions.values()} == {"SUCCEEDED"}


async def test_a_cancelled_backfill_no_longer_counts_for_its_user(api: Service, numbers: Numbers) -> None:
    paths = [await backfill(api, numbers) for _ in range(5)]
    for path in paths:
        await api.done(f"{path}/cancel", {})
    await backfill(api, numbers)
    for path in paths:
        await until(api, path, ended)
    (team,) = {event.stream for event in await read_after(api.program.pool, 0, 1000) if event.stream[:5] == "team-"}
    history = [event.event_type for event in await read_stream(api.program.pool, team)]
    assert (history.count("team.backfill_started"), history.count("team.backfill_ended")) == (6, 5)


async def test_the_limit_is_lowered_and_raised_while_it_runs(
    api: Service, slow: RunningSandbox, numbers: Numbers
) -> None:
    path = await backfill(api, numbers)
    await until(api, path, lambda progress: active(progress) == AT_ONCE)
    changed = await api.send("PATCH", path, {"parallel_limit": 1, "order": "oldest_first", "reason": "calmly"})
    assert changed.status == 200, changed.body
    assert changed.headers["ETag"] == '"2"'
    at_changed = {key: changed.json[key] for key in ("parallel_limit", "max_attempts", "order")}
    assert at_changed == {"parallel_limit": 1, "max_attempts": 1, "order": "oldest_first"}
    at_amc = slow.sandbox.stats.active_of
    await until(api, path, lambda _: at_amc(INSTANCE_ID) <= 1)
    for _ in range(50):
        assert at_amc(INSTANCE_ID) <= 1
        await asyncio.sleep(0.02)
    assert (await api.send("PATCH", path, {"parallel_limit": 9})).status == 200
    await until(api, path, lambda _: at_amc(INSTANCE_ID) > AT_ONCE)
    await until(api, path, ended)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"parallel_limit": 11}, ["/parallel_limit"]),
        ({"parallel_limit": 0, "order": "random"}, ["/parallel_limit", "/order"]),
        ({"reason": "nothing"}, [""]),
    ],
)
async def test_a_change_that_cannot_be_is_refused(
    api: Service, numbers: Numbers, body: Any, pointers: list[str]
) -> None:
    path = await backfill(api, numbers)
    answer = await api.send("PATCH", path, body)
    assert (answer.status, answer.pointers) == (422, pointers)


async def test_a_segment_and_a_collection_go_to_the_front(api: Service, numbers: Numbers) -> None:
    first = await backfill(api, numbers, parallel_limit=1)
    segments = (await until(api, first, lambda progress: active(progress) == 1))["segments"]
    # Newest first: the oldest would be the last.
    oldest = segments[0]["segment_id"]
    await api.done(f"{first}/front", {"segment_id": oldest})
    started = await until(api, first, lambda progress: progress["segments"][0]["status"] not in ("pending",))
    assert count(started, "pending") >= DAYS - 3
    answer = await api.post(f"{first}/front", {"segment_id": UNKNOWN_ID})
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_failed_segments_run_again_and_complete_it(api: Service, slow: RunningSandbox, numbers: Numbers) -> None:
    slow.sandbox.faults.set(Faults(fail_rate=1))
    path = await backfill(api, numbers, parallel_limit=10)
    failed = await until(api, path, ended)
    assert failed["collection"]["backfill_status"] == "failed"
    slow.sandbox.faults.set(Faults())
    one = failed["segments"][3]["segment_id"]
    answer = await api.done(f"{path}/retry", {"segment_ids": [one], "reason": "AMC was ill"})
    assert answer["segment_ids"] == [one]
    partly = await until(api, path, lambda progress: ended(progress) and count(progress, "completed") == 1)
    assert partly["collection"]["backfill_status"] == "partial"
    answer = await api.post(f"{path}/retry", {"segment_ids": [one]})
    assert (answer.status, answer.json["code"]) == (409, "collection_state")
    rest = await api.done(f"{path}/retry", {})
    assert len(rest["segment_ids"]) == DAYS - 1
    whole = await until(api, path, lambda progress: ended(progress) and count(progress, "completed") == DAYS)
    assert whole["collection"]["backfill_status"] == "completed"
    assert {segment["attempts"] for segment in whole["segments"]} == {2}
    numbers_read = await api.rows({"collection_id": whole["collection"]["collection_id"]})
    assert len(numbers_read) == DAYS
    assert len(slow.sandbox.executions) == 2 * DAYS


async def test_the_progress_says_what_limits_it_and_when_it_may_end(
    api: Service, slow: RunningSandbox, numbers: Numbers
) -> None:
    def reasons(progress: Any) -> list[str]:
        return [limit["reason"] for limit in progress["limited_by"]]

    path = await backfill(api, numbers)
    first = await until(api, path, lambda progress: reasons(progress) == ["first_segment"])
    assert first["estimate"] is None
    busy = await until(api, path, lambda progress: reasons(progress) == ["parallel_limit"] and progress["estimate"])
    now = datetime.now(UTC)
    earliest, latest = (datetime.fromisoformat(busy["estimate"][name]) for name in ("earliest", "latest"))
    assert now < earliest <= latest < now + timedelta(minutes=2)
    assert busy["per_hour"] > 0
    await api.done(f"{path}/pause", {})
    paused = await until(api, path, lambda progress: reasons(progress) == ["paused"])
    assert paused["estimate"] is None
    await api.done(f"{path}/resume", {})
    slow.sandbox.faults.set(Faults(fail_rate=1, fail_times=1))
    await api.send("PATCH", path, {"max_attempts": 3})
    waiting = await until(api, path, lambda progress: "retry" in reasons(progress))
    assert waiting["limited_by"][0]["until"]
    await api.done(f"{path}/cancel", {})
    end = await until(api, path, ended)
    assert (end["limited_by"], end["estimate"], end["per_hour"]) == ([], None, None)


async def test_each_act_is_an_event_with_who_and_why(api: Service, numbers: Numbers) -> None:
    path = await backfill(api, numbers)
    await api.done(f"{path}/pause", {"reason": "a"})
    await api.done(f"{path}/resume", {"reason": "b"})
    await api.done(f"{path}/front", {"reason": "c"})
    await api.send("PATCH", path, {"max_attempts": 2, "reason": "d"})
    await api.done(f"{path}/cancel", {"reason": "e"})
    collection_id = UUID(path.rpartition("/")[2])
    created, *acts = await read_stream(api.program.pool, stream_of("collection", collection_id))
    acts = [event for event in acts if event.event_type != "collection.finished"]
    assert all(is_token(msgspec.to_builtins(event.data)["reason"]) for event in acts)
    query = f"stream=collection-{collection_id}&order=oldest&configuration=true"
    shown = {item["id"]: item for item in (await api.read(f"/api/audit/activity?{query}"))["items"]}
    assert [(event.event_type, shown[str(event.id)]["configuration"]["reason"]) for event in acts] == [
        ("collection.paused", "a"),
        ("collection.resumed", "b"),
        ("collection.moved_to_front", "c"),
        ("collection.changed", "d"),
        ("collection.cancelled", "e"),
    ]
    assert {event.user_id for event in acts} == {created.user_id}
    assert acts[0].recorded_at - created.recorded_at < timedelta(seconds=20)


async def test_controls_take_their_scope_and_team_and_version(api: Service, numbers: Numbers) -> None:
    path = await backfill(api, numbers)
    stale = await api.post(f"{path}/pause", {}, If_Match='"7"')
    assert (stale.status, stale.json["code"]) == (412, "stale")
    api.act_as("local", ["reports:write"])
    assert (await api.post(f"{path}/pause", {})).status == 403
    api.act_as("strangers")
    assert (await api.post(f"{path}/pause", {})).status == 404


async def test_a_mistake_in_the_sql_costs_one_execution_and_a_person_decides(
    api: Service, slow: RunningSandbox, numbers: Numbers
) -> None:
    path = await backfill(api, numbers, sql="SELECT dat, SUM(value) AS value FROM numbers GROUP BY dat")
    held = await until(api, path, lambda progress: progress["collection"]["held"])
    assert held["collection"]["held"]["cause"] == "sql_rejected"
    assert '"dat"' in held["collection"]["held"]["error"]
    assert held["collection"]["held"]["segment_id"] == held["segments"][-1]["segment_id"]
    await asyncio.sleep(1)
    assert len(slow.sandbox.executions) == 1
    resumed = await api.done(f"{path}/resume", {"reason": "the table is there now"})
    assert not resumed["paused"]
    await until(api, path, lambda progress: progress["collection"]["held"] and count(progress, "failed") == 2)
    assert len(slow.sandbox.executions) == 2
    await api.done(f"{path}/cancel", {})
    end = await until(api, path, ended)
    assert (count(end, "failed"), count(end, "cancelled")) == (2, DAYS - 2)


async def test_so_many_failures_hold_it_and_a_resume_allows_as_many_again(
    api: Service, slow: RunningSandbox, numbers: Numbers
) -> None:
    bad = [numbers.first + timedelta(days=number) for number in (1, 3, 5, 7, 9)]
    slow.sandbox.faults.set(Faults(fail_windows=tuple(bad)))
    path = await backfill(api, numbers, parallel_limit=1, stop_after_failures=2)
    held = await until(api, path, lambda progress: progress["collection"]["held"])
    assert held["collection"]["held"] | {"at": None} == {
        "cause": "too_many_failures", "segment_id": None, "error": "2 segments failed", "at": None,
    }  # fmt: skip
    assert (count(held, "failed"), count(held, "pending")) == (2, 7)
    await api.done(f"{path}/resume", {})
    again = await until(api, path, lambda progress: progress["collection"]["held"] and count(progress, "failed") == 4)
    assert count(again, "pending") == 3
    await api.done(f"{path}/resume", {})
    end = await until(api, path, ended)
    assert (count(end, "failed"), count(end, "completed")) == (5, DAYS - 5)


async def test_one_segment_shows_that_the_sql_is_right_before_the_others_start(
    api: Service, slow: RunningSandbox, numbers: Numbers
) -> None:
    path = await backfill(api, numbers)
    first = await until(api, path, lambda progress: count(progress, "running") == 1)
    assert count(first, "pending") == DAYS - 1
    await until(api, path, lambda progress: active(progress) == AT_ONCE)
    assert count(await api.read(f"{path}/progress"), "completed") >= 1
    # Once right, it is not asked again: a window that fails later on holds nothing.
    slow.sandbox.faults.set(Faults(fail_rate=1, fail_status="REJECTED", fail_reason="SQL query was invalid: no"))
    end = await until(api, path, ended)
    assert end["collection"]["held"] is None
    assert count(end, "failed") > AT_ONCE
