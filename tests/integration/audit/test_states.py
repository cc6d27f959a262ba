"""The state of a thing as of any position: what a database has that has applied the log up to there and no further."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from db.pool import Pool, open_pool
from events.reader import read_after
from projections.history import read_moments
from projections.runner import project_batch
from service.audit.moments import changes
from tests.histories import an_id, fill_history, story
from tests.postgres import Database, Server
from tests.service import UNKNOWN_ID, Service
from tests.states import compare_states

EVENTS = 20_000
MOMENTS = 10
EACH = 12
"""Things of each category, at each moment."""


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[Pool]:
    pool = await open_pool(database.service_url)
    yield pool
    await pool.close()


async def test_a_state_is_what_a_database_holds_that_has_applied_just_the_events_before(
    postgres_server: Server, record_property: Any
) -> None:
    """At random positions; the database of the prefix applies one prefix after the other, each log is the same."""
    chance = random.Random(20260101)
    positions = sorted(chance.sample(range(1, EVENTS + 1), MOMENTS))
    compared = 0
    async with (
        postgres_server.fresh_database() as whole,
        postgres_server.fresh_database() as prefix,
        connected(whole) as log,
        connected(prefix) as tables,
    ):
        await fill_history(whole, EVENTS)
        await fill_history(prefix, EVENTS)
        for before, position in pairwise([0, *positions]):
            await apply(tables, before, position)
            compared += await compare_states(log, tables, "public", position, chance, EACH)
    assert compared > MOMENTS * EACH * 7
    record_property("cases", compared)


async def apply(pool: Pool, before: int, position: int) -> None:
    while before < position:
        before, _ = await project_batch(pool, min(500, position - before))
    assert before == position


async def test_changes_of_all_moments_make_the_last_state_of_the_first(database: Database, pool: Pool) -> None:
    """From any position to any later one: what differs is told, and nothing else."""
    length = len(story())
    await fill_history(database, length * 32)
    for stream in (
        f"schedule-{an_id(4)}", f"collection-{an_id(3)}", f"report-{an_id(2)}", f"segment-{an_id(0x106)}",
        f"workflow-{an_id(1)}",
    ):  # fmt: skip
        positions = list(range(0, length * 32 + 1, 96))
        async with pool.acquire() as connection, connection.transaction():
            moments = await read_moments(connection, stream, positions)
        told = [list(changes(earlier, later)) for earlier, later in pairwise(moments)]
        assert any(told)
        state: dict[tuple[str, str | None], Any] = {}
        for step in told:
            for change in step:
                if change.field is None:
                    assert (change.of, change.key) not in state
                    state[change.of, change.key] = dict(change.after)
                else:
                    assert state[change.of, change.key].get(change.field) == change.before
                    state[change.of, change.key][change.field] = change.after
        whole = {(change.of, change.key): change.after for change in changes(moments[0], moments[-1])}
        assert state == whole


@pytest.fixture
async def told(api: Service) -> Any:
    """A schedule with its backfill, submitted over the API."""
    return await api.submitted(
        {
            "schedule_type": "backfill_with_schedule",
            "schedule_config": {"frequency": "daily", "time": "02:00"},
            "backfill_config": {
                "lookback_config": {"type": "relative", "value": 4, "unit": "weeks"},
                "segmentation_config": {"type": "weekly"},
            },
        }
    )


async def test_a_report_a_collection_and_a_schedule_are_shown_as_they_were(api: Service, told: Any) -> None:
    report = f"/api/audit/state/report-{told['report_id']}"
    now = await api.read(report)
    assert now["position"] >= told["position"]
    (row,) = now["rows"]["reports"]
    assert (row["next_step"], row["schedule_type"]) == (None, "backfill_with_schedule")
    assert [event["event_type"] for event in now["latest"]][-1] == "report.submitted"
    parameters = now["latest"][1]
    assert (parameters["event_type"], parameters["configuration"]["lookback_config"]["value"]) == (
        "report.parameters_set",
        7,
    )
    assert "changes" not in now

    then = await api.read(f"{report}?at_position={parameters['position']}&from_position=0")
    assert then["rows"]["reports"][0]["next_step"] == "schedule"
    assert (then["version"], then["since_position"]) == (2, 0)
    assert [(change["of"], change["field"]) for change in then["changes"]] == [
        ("reports", None), ("report_steps", None), ("report.created", None), ("report.parameters_set", None),
    ]  # fmt: skip
    later = await api.read(f"{report}?from_position={parameters['position']}")
    of_the_row = {
        change["field"]: (change["before"], change["after"]) for change in later["changes"] if change["of"] == "reports"
    }
    assert of_the_row["next_step"] == ("schedule", None)
    assert of_the_row["schedule_type"] == (None, "backfill_with_schedule")

    collection = await api.read(f"/api/audit/state/collection-{told['collection_id']}")
    segments = collection["rows"]["report_data_weeks"]
    assert [row["status"] for row in segments] == ["pending"] * len(segments)
    assert collection["rows"]["report_data_collections"][0]["segments_total"] == len(segments)
    await api.read(f"/api/data-collections/{told['collection_id']}?min_position={told['position']}")
    segment = await api.read(f"/api/audit/state/segment-{segments[0]['segment_id']}")
    assert (segment["rows"]["report_data_weeks"], segment["version"], segment["latest"]) == ([segments[0]], None, [])
    schedule = await api.read(f"/api/audit/state/schedule-{told['schedule_id']}")
    assert schedule["rows"]["workflow_schedules"][0]["backfill_status"] == "pending"
    team = await api.read("/api/audit/state/team-local")
    assert (team["rows"], [event["event_type"] for event in team["latest"]]) == (
        {"team_limits": []},
        ["team.backfill_started", "team.schedule_activated"],
    )


async def test_a_moment_is_a_position_or_a_time(api: Service, told: Any) -> None:
    path = f"/api/audit/state/report-{told['report_id']}"
    events = await read_after(api.program.pool, 0, 1000)
    created = next(event for event in events if event.event_type == "report.created")
    at = created.recorded_at.isoformat().replace("+00:00", "Z")
    shown = await api.read(f"{path}?at_time={at}")
    assert (shown["position"], shown["version"], shown["recorded_at"]) == (created.position, 1, at)
    just_before = (created.recorded_at - timedelta(microseconds=1)).isoformat().replace("+00:00", "Z")
    answer = await api.get(f"{path}?at_time={just_before}")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    for eternal in ("9999-12-31T23:59:59.999999Z", "2999-01-01T00:00:00Z"):
        assert (await api.read(f"{path}?at_time={eternal}"))["rows"] == (await api.read(path))["rows"]
    for query, named in (
        ("at_position=1&at_time=2026-01-01T00:00:00Z", "at_position and at_time"),
        ("from_position=1&from_time=2026-01-01T00:00:00Z", "from_position and from_time"),
        (f"from_position={told['position']}&at_position=2", "give an earlier one"),
        ("at_time=2026-01-01", "at_time"),
        ("at_position=-1", "at_position"),
    ):
        answer = await api.get(f"{path}?{query}")
        assert (answer.status, answer.json["code"]) == (400, "bad_request")
        assert named in answer.json["detail"]
    for beyond in ("at_position=1000000", "from_position=1000000"):
        answer = await api.get(f"{path}?{beyond}")
        assert (answer.status, answer.json["code"]) == (409, "log_rewound")


async def test_what_is_not_there_is_not_found(api: Service) -> None:
    for stream in (
        f"report-{UNKNOWN_ID}", f"segment-{UNKNOWN_ID}", "segment-x", "report", "-", "nothing-1", "%00", "a%FF",
    ):  # fmt: skip
        answer = await api.get(f"/api/audit/state/{stream}")
        assert (answer.status, answer.json["code"]) == (404, "not_found"), stream


async def test_a_team_sees_its_own_and_an_auditor_all(api: Service, told: Any) -> None:
    path = f"/api/audit/state/collection-{told['collection_id']}"
    api.act_as("strangers", ["audit:read"])
    assert (await api.get(path)).status == 404
    assert (await api.read(f"{path}?all_teams=true"))["team_id"] == "local"
    api.act_as("local", ["audit:read"])
    assert (await api.read(path))["team_id"] == "local"
    api.act_as("local", ["events:read"])
    assert (await api.get(path)).json["code"] == "forbidden"
