"""`/api/schedules` over HTTP: set to work, list, change, pause, resume, run, end; what is refused, and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from events.envelope import stream_of
from events.reader import read_stream
from service.amc.sandbox.server import RunningSandbox
from tests.persons import opened
from tests.postgres import Database, Server
from tests.service import INSTANCE_ID, UNKNOWN_ID, WEEK, Client, Service, serving, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

numbers = count(1000)
DAILY = {"frequency": "daily", "time": "02:30", "timezone": "America/New_York"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_api(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """API, projector and scheduler; no worker, so that no run ends."""
    async with postgres_server.fresh_database() as database:
        settings = settings_for(database, tmp_path_factory.mktemp("data"))
        async with serving(settings, ("api", "projector", "scheduler")) as service:
            yield service


@pytest.fixture
def api(module_api: Service) -> Service:
    return module_api


async def body_of(api: Client, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Every night",
        "instance_id": INSTANCE_ID,
        "workflow_id": await api.workflow(),
        "lookback_config": WEEK,
        # Each another one, as a team may have no schedule twice.
        "schedule_config": {**DAILY, "maxRuns": next(numbers)},
        **changes,
    }


async def created(api: Client, **changes: Any) -> str:
    """A schedule's path, once it can be read."""
    answer = await api.done("/api/schedules", await body_of(api, **changes))
    path = f"/api/schedules/{answer['schedule_id']}"
    await api.read(f"{path}?min_position={answer['position']}")
    return path


async def test_a_schedule_is_set_to_work_and_answers_its_next_three_windows(api: Service) -> None:
    answer = await api.post("/api/schedules", await body_of(api))
    assert answer.status == 201
    body = answer.json
    assert (body["version"], body["status"], len(body["upcoming"])) == (1, "active", 3)
    assert body["next_run_at"] == body["upcoming"][0]["instant"]
    for run in body["upcoming"]:
        assert run["nominal"].endswith("T02:30:00")
        assert run["window_end"] < run["as_of"]
    path = f"/api/schedules/{body['schedule_id']}"
    read = await api.get(f"{path}?min_position={body['position']}")
    assert read.headers["ETag"] == '"1"'
    shown = read.json
    assert (shown["timezone"], shown["run_count"], shown["held"]) == ("UTC", 0, False)
    assert shown["schedule_config"]["catchup"] == "latest"
    assert shown["sentences"][0] == "Runs every day at 02:30, America/New_York time."
    assert len([line for line in shown["upcoming"] if line["runs"]]) == 5


async def test_every_problem_of_a_schedule_is_answered_at_once(api: Service) -> None:
    body = await body_of(
        api,
        lookback_config={"type": "relative", "value": 426, "unit": "days"},
        parameters={"brand": "x"},
        segmentation_config={"type": "daily", "parallel_limit": 11},
    )
    answer = await api.post("/api/schedules", body)
    assert answer.status == 422
    assert answer.pointers == ["/parameters/brand", "/lookback_config", "/segmentation_config/parallel_limit"]
    answer = await api.post("/api/schedules", {**body, "schedule_config": {**DAILY, "endDate": "2020-01-01"}})
    assert "/schedule_config/endDate" in answer.pointers
    fourteen = {"type": "relative", "value": 14, "unit": "months"}
    answer = await api.post("/api/schedules", await body_of(api, lookback_config=fourteen))
    assert answer.pointers == ["/lookback_config"]
    answer = await api.post("/api/schedules", {**body, "frequency": "daily", "schedule_config": {"time": "2:30"}})
    assert {"/schedule_config/frequency", "/schedule_config/time", "/frequency"} <= set(answer.pointers)


async def test_a_schedule_of_what_does_not_exist_is_refused_by_its_fields(api: Service) -> None:
    answer = await api.post("/api/schedules", await body_of(api, workflow_id=str(uuid4()), instance_id="nowhere"))
    assert (answer.status, answer.pointers) == (422, ["/workflow_id", "/instance_id"])


async def test_pause_resume_and_end_are_recorded_with_their_reasons(api: Service) -> None:
    path = await created(api)
    paused = await api.post(f"{path}/pause", {"reason": "holidays"}, If_Match='"1"')
    assert (paused.status, paused.json["status"], paused.json["next_run_at"]) == (200, "paused", None)
    assert paused.headers["ETag"] == '"2"'
    again = await api.post(f"{path}/pause")
    assert (again.status, again.json["code"], again.json["schedule_status"]) == (409, "schedule_state", "paused")
    shown = await api.read(f"{path}?min_position={paused.json['position']}")
    assert (shown["status"], shown["state_reason"]) == ("paused", "holidays")
    assert shown["state_changed_by"] == (await api.read("/auth/session"))["user_id"]
    resumed = await api.done(f"{path}/resume")
    assert resumed["status"] == "active"
    assert resumed["next_run_at"] is not None
    ended = await api.done(f"{path}/end", {"reason": "not needed"})
    assert (ended["status"], ended["next_run_at"]) == ("ended", None)
    shown = await api.read(f"{path}?min_position={ended['position']}")
    assert (shown["status"], shown["end_cause"], shown["upcoming"]) == ("ended", "person", [])
    for command in ("pause", "resume", "run-now", "end"):
        assert (await api.post(f"{path}/{command}")).json["code"] == "schedule_state", command
    kinds = [event.event_type for event in await events(api, path)]
    assert kinds == ["schedule.created", "schedule.paused", "schedule.resumed", "schedule.ended"]


async def events(api: Service, path: str) -> list[Any]:
    return await read_stream(api.program.pool, stream_of("schedule", path.rpartition("/")[2]))


async def test_every_command_heeds_if_match(api: Service) -> None:
    path = await created(api)
    for method, command, body in (
        ("POST", "/pause", {}), ("POST", "/resume", {}), ("POST", "/run-now", {}), ("POST", "/end", {}),
        ("PATCH", "", {"name": "Other"}),
    ):  # fmt: skip
        answer = await api.send(method, path + command, body, If_Match='"7"')
        assert (answer.status, answer.json["actual_version"]) == (412, 1), command
    assert (await api.send("PATCH", path, {"name": "Other"}, If_Match='"1"')).status == 200


async def test_a_change_answers_the_next_windows_before_and_after(api: Service) -> None:
    path = await created(api)
    days = {"type": "relative", "value": 30, "unit": "days"}
    change = {"schedule_config": {**DAILY, "time": "05:00"}, "lookback_config": days, "reason": "too early"}
    answer = await api.send("PATCH", path, change)
    assert answer.status == 200, answer.body
    before, after = answer.json["before"], answer.json["after"]
    assert (len(before), len(after)) == (3, 3)
    assert {run["nominal"][11:16] for run in before} == {"02:30"}
    assert {run["nominal"][11:16] for run in after} == {"05:00"}
    assert after[0]["instant"] == answer.json["next_run_at"]
    assert after[0]["window_start"] < before[0]["window_start"]
    shown = await api.read(f"{path}?min_position={answer.json['position']}")
    assert (shown["schedule_config"]["time"], shown["lookback_config"]["value"]) == ("05:00", 30)
    assert shown["name"] == "Every night"
    (changed,) = [event.data for event in await events(api, path) if event.event_type == "schedule.changed"]
    assert await opened(api, changed) == "too early"


async def test_a_change_is_checked_like_a_new_schedule(api: Service) -> None:
    path = await created(api)
    answer = await api.send("PATCH", path, {"schedule_config": {**DAILY, "endDate": "2020-01-01"}})
    assert (answer.status, answer.pointers) == (422, ["/schedule_config/endDate"])
    assert (await api.send("PATCH", path, {"reason": "none"})).status == 400
    assert (await api.send("PATCH", path, {"timezone": "UTC"})).pointers == ["/timezone"]


async def test_another_workflow_brings_its_sql_and_without_one_the_sql_stays(api: Service) -> None:
    path = await created(api)
    declared = [{"name": "brand"}]
    other = await api.workflow("SELECT CUSTOM_PARAMETER('brand') AS brand FROM numbers", declared)
    answer = await api.send("PATCH", path, {"workflow_id": other})
    assert answer.pointers == ["/parameters/brand"]
    done = await api.send("PATCH", path, {"workflow_id": other, "parameters": {"brand": "x"}})
    assert done.status == 200, done.body
    shown = await api.read(f"{path}?min_position={done.json['position']}")
    assert (shown["workflow_id"], shown["sql_query"][:12]) == (other, "SELECT CUSTO")


async def test_run_now_starts_a_run_beside_the_occurrences(api: Service) -> None:
    path = await created(api)
    before = await api.read(path)
    answer = await api.post(f"{path}/run-now", {}, Idempotency_Key=f"now {path}")
    assert answer.status == 202
    again = await api.post(f"{path}/run-now", {}, Idempotency_Key=f"now {path}")
    assert again.body == answer.body
    page = await api.read(f"{path}/runs?min_position={answer.json['position']}")
    (run,) = page["items"]
    assert (run["run_id"], run["cause"], run["status"]) == (answer.json["run_id"], "run_now", "started")
    assert run["backfill_status"] == "pending"
    after = await api.read(path)
    assert (after["next_run_at"], after["run_count"]) == (before["next_run_at"], 0)
    assert (before["last_run"], after["last_run"]) == (None, run)
    collection = await api.read(f"/api/data-collections/{answer.json['collection_id']}")
    assert (collection["name"], collection["lane"]) == ("Every night", "interactive")


async def test_commands_at_once_do_not_trip_over_each_other(api: Service) -> None:
    path = await created(api)
    answers = await asyncio.gather(*(api.post(f"{path}/run-now") for _ in range(4)))
    assert [answer.status for answer in answers] == [202] * 4
    assert len({answer.json["version"] for answer in answers}) == 4


async def test_lists_filter_and_page(api: Service) -> None:
    weekly = {"frequency": "weekly", "time": "09:00", "daysOfWeek": [1]}
    name = f"Weekly {uuid4()}"
    workflow = await api.workflow()
    paths = [
        await created(api, name=name, schedule_config={**weekly, "maxRuns": runs}, workflow_id=workflow)
        for runs in (5, 6, 7)
    ]
    found = []
    cursor = ""
    while True:
        page = await api.read(f"/api/schedules?frequency=weekly&workflow_id={workflow}&limit=2{cursor}")
        found += [item["schedule_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == [path.rpartition("/")[2] for path in reversed(paths)]
    assert not (await api.read(f"/api/schedules?frequency=monthly&workflow_id={workflow}"))["items"]
    paused = await api.done(f"{paths[0]}/pause")
    filters = f"status=paused&workflow_id={workflow}&min_position={paused['position']}"
    assert len((await api.read(f"/api/schedules?{filters}"))["items"]) == 1
    searched = (await api.read(f"/api/schedules?search={name.upper()}&limit=3"))["items"]
    assert [item["name"] for item in searched] == [name] * 3
    assert {item["last_run"] for item in searched} == {None}
    for bad in ("status=gone", "report_id=x", "limit=0", "colour=red", "cursor=x"):
        assert (await api.get(f"/api/schedules?{bad}")).status == 400, bad


async def test_runs_page_newest_first(api: Service) -> None:
    path = await created(api)
    ids = [(await api.done(f"{path}/run-now"))["run_id"] for _ in range(3)]
    first = await api.read(f"{path}/runs?limit=2&min_position={(await api.done(f'{path}/pause'))['position']}")
    second = await api.read(f"{path}/runs?limit=2&cursor={first['next_cursor']}")
    assert [run["run_id"] for run in (*first["items"], *second["items"])] == list(reversed(ids))
    assert second["next_cursor"] is None
    assert not (await api.read(f"{path}/runs?status=missed"))["items"]


@pytest.mark.parametrize("id", ["nonsense", "%00", UNKNOWN_ID])
async def test_an_unknown_schedule_is_404_at_every_address(api: Service, id: str) -> None:
    path = f"/api/schedules/{id}"
    for suffix in ("", "/runs", "/results/latest"):
        assert (await api.get(path + suffix)).status == 404
    for command in ("pause", "resume", "run-now", "end"):
        assert (await api.post(f"{path}/{command}")).json["code"] == "not_found"
    assert (await api.send("PATCH", path, {"name": "x"})).status == 404


async def test_another_teams_schedule_is_404(api: Service) -> None:
    path, other = await created(api), api.token(team="other")
    assert (await api.get(path, Authorization=other)).status == 404
    assert (await api.get(f"{path}/runs", Authorization=other)).status == 404
    assert (await api.post(f"{path}/pause", Authorization=other)).status == 404
    assert (await api.get("/api/schedules", Authorization=other)).json["items"] == []


async def test_writes_take_the_scope_of_schedules(api: Service) -> None:
    path, body = await created(api), await body_of(api)
    reader = api.token(team="local", scopes=("reports:write",))
    assert (await api.get(path, Authorization=reader)).status == 200
    for command in ("pause", "resume", "run-now", "end"):
        assert (await api.post(f"{path}/{command}", Authorization=reader)).json["code"] == "forbidden"
    assert (await api.send("PATCH", path, {"name": "x"}, Authorization=reader)).status == 403
    assert (await api.post("/api/schedules", body, Authorization=reader)).status == 403


async def test_the_clock_is_shown(api: Service) -> None:
    clock = await api.read("/api/clock")
    assert (clock["speed"], clock["settable"]) == (1.0, False)


@pytest.mark.asyncio(loop_scope="function")
async def test_the_latest_results_are_those_of_the_newest_complete_run(
    database: Database, tmp_path: Path, sandbox: RunningSandbox
) -> None:
    async with serving(settings_for(database, tmp_path, sandbox)) as service:
        path = await created(service, timezone="UTC")
        assert (await service.get(f"{path}/results/latest")).json["code"] == "not_found"
        for _ in range(2):
            run = await service.done(f"{path}/run-now")
            await service.finished(run)
        answer = await service.get(f"{path}/results/latest?format=json")
        assert answer.status == 200, answer.body
        assert f"run_id={run['run_id']}" in answer.headers["Report-Run"]
        yesterday = service.program.clock.today("UTC") - timedelta(days=1)
        rows = answer.json
        assert (len(rows), rows[0]["segment_end"]) == (7, yesterday.isoformat())
