"""`/api/audit/activity` and its summary over HTTP: a person's way through the builder, as an auditor sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.auth.caller import LOCAL
from tests.postgres import Database
from tests.service import ONCE, Service, serving, settings_for

ACTIVITY, SUMMARY = "/api/audit/activity", "/api/audit/activity/summary"


def types(page: Any) -> list[str]:
    return [item["event_type"] for item in page["items"]]


async def test_a_session_is_seen_step_by_step(api: Service) -> None:
    submitted = await api.submitted(ONCE)
    await api.read(f"/api/data-collections/{submitted['collection_id']}?min_position={submitted['position']}")
    page = await api.read(f"{ACTIVITY}?entity=report")
    assert types(page) == [
        "report.submitted", "report.reviewed", "report.schedule_set", "report.parameters_set", "report.created",
    ]  # fmt: skip
    assert page["next_cursor"] is None
    newest = page["items"][0]
    assert (newest["step_completed"], newest["workflow_name"]) == ("submit", "Values")
    assert (newest["team_id"], newest["user_id"]) == (LOCAL.team_id, str(LOCAL.user_id))
    assert newest["user_name"] == "Local person"
    assert newest["stream"] == f"report-{submitted['report_id']}"
    assert (newest["entity"], newest["entity_id"]) == ("report", submitted["report_id"])
    assert "configuration" not in newest

    page = await api.read(f"{ACTIVITY}?stream={newest['stream']}&order=oldest&configuration=true&limit=2")
    assert types(page) == ["report.created", "report.parameters_set"]
    assert page["items"][1]["configuration"]["lookback_config"]["value"] == 7
    page = await api.read(f"{ACTIVITY}?stream={newest['stream']}&order=oldest&cursor={page['next_cursor']}")
    assert types(page) == ["report.schedule_set", "report.reviewed", "report.submitted"]
    assert types(await api.read(f"{ACTIVITY}?step=review&user_id={LOCAL.user_id}")) == ["report.reviewed"]
    assert types(await api.read(f"{ACTIVITY}?event_type=collection.c")) == ["collection.created"]
    ago = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert types(await api.read(f"{ACTIVITY}?to={ago}")) == []
    assert len(types(await api.read(f"{ACTIVITY}?from={ago}&workflow_id={newest['workflow_id']}"))) == 6


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("user_id=me", "user_id"),
        ("entity=reports", "entity"),
        ("step=five", "step"),
        ("from=yesterday", "from"),
        ("from=2026-01-01T00:00:00", "from"),
        ("order=random", "order"),
        ("limit=201", "limit"),
        ("cursor=-1", "cursor"),
        ("stream=%00", "stream"),
        ("event_type=", "event_type"),
        ("since=2026-01-01T00:00:00Z", "since"),
        ("all_teams=yes", "all_teams"),
    ],
)
async def test_a_filter_that_does_not_fit_is_refused_by_name(api: Service, query: str, named: str) -> None:
    answer = await api.get(f"{ACTIVITY}?{query}")
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert named in answer.json["detail"]


async def test_a_summary_needs_its_days_in_order(api: Service) -> None:
    answer = await api.get(f"{SUMMARY}?from=2026-02-02&to=2026-02-01")
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert (await api.read(f"{SUMMARY}?from=0001-01-01&to=9999-12-31"))["reports"] == 0


async def test_auditors_see_their_team_and_all_where_they_say_so(api: Service) -> None:
    await api.reviewed()
    api.act_as("local", ["audit:read"])
    assert len((await api.read(ACTIVITY))["items"]) == 6
    for scope in ("audit:read", "admin"):
        api.act_as("strangers", [scope])
        assert (await api.read(ACTIVITY))["items"] == []
        assert (await api.read(SUMMARY))["reports"] == 0
        assert len((await api.read(f"{ACTIVITY}?all_teams=true"))["items"]) == 6
        assert (await api.read(f"{SUMMARY}?all_teams=true"))["reports"] == 1
    api.act_as("local", ["reports:write"])
    for path in (ACTIVITY, SUMMARY):
        answer = await api.get(path)
        assert (answer.status, answer.json["code"]) == (403, "forbidden")


async def test_the_summary_says_how_far_reports_come(api: Service) -> None:
    await api.submitted(ONCE)
    path, _ = await api.reviewed()
    await api.done(f"{path}/parameters", (await parameters_of(api, path)))
    await api.report()
    last = await api.done("/api/reports", {"name": "the last"})
    await api.get(f"/api/workflows?min_position={last['position']}")

    summary = await api.read(SUMMARY)
    assert (summary["reports"], summary["submissions"], summary["submitted_at_once"]) == (4, 1, 0)
    figures = {step["step"]: step for step in summary["steps"]}
    funnel = {name: (each["reached"], each["completed"], each["dropped_off"]) for name, each in figures.items()}
    assert funnel == {"parameters": (4, 2, 2), "schedule": (2, 2, 0), "review": (2, 2, 0), "submit": (2, 1, 1)}
    assert {name: (each["reposted"], each["posts"]) for name, each in figures.items()} == {
        "parameters": (1, 3), "schedule": (0, 2), "review": (0, 2), "submit": (0, 1),
    }  # fmt: skip
    for each in figures.values():
        assert each["timed"] == each["completed"]
        assert 0 < each["seconds_median"] <= each["seconds_p90"]
    day = datetime.now(UTC).date()
    assert summary["to"] in (day.isoformat(), (day - timedelta(days=1)).isoformat())
    before = await api.read(f"{SUMMARY}?from=2020-01-01&to=2020-12-31")
    assert (before["from"], before["to"], before["reports"]) == ("2020-01-01", "2020-12-31", 0)
    assert {step["seconds_median"] for step in before["steps"]} == {None}


async def parameters_of(api: Service, path: str) -> Any:
    """The body that sets a report's parameters as they are."""
    return {name: value for name, value in (await api.read(path))["parameters"].items() if value is not None}


async def test_times_are_between_first_posts_and_leave_out_what_came_at_once(api: Service) -> None:
    """Moments as a program and two people would have left them."""
    await api.program.pool.execute(
        """INSERT INTO report_steps
           SELECT gen_random_uuid(), 'local', NULL, t, t + a * '1 s'::interval, t + b * '1 s'::interval,
                  t + c * '1 s'::interval, t + d * '1 s'::interval, 1, 1, 1, 1, 5
             FROM (VALUES (10, 20, 50, 51), (30, 40, 50, 60), (0, 0, 0, 0)) v(a, b, c, d),
                  (SELECT timestamptz '2026-01-31 23:59Z') m(t)"""
    )
    summary = await api.read(f"{SUMMARY}?from=2026-01-31&to=2026-01-31")
    figures = {step["step"]: (step["timed"], step["seconds_median"], step["seconds_p90"]) for step in summary["steps"]}
    assert figures == {
        "parameters": (2, 20, 28), "schedule": (2, 10, 10), "review": (2, 20, pytest.approx(28)),
        "submit": (2, 5.5, pytest.approx(9.1)),
    }  # fmt: skip
    assert (summary["submissions"], summary["submitted_at_once"]) == (3, 1)
    assert (await api.read(f"{SUMMARY}?from=2026-02-01&to=2026-02-01"))["reports"] == 0


async def test_errors_are_counted_by_code_and_route_and_outlive_the_process(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database, tmp_path)
    async with serving(settings, ("api", "projector")) as first:
        path = await first.report()
        for _ in range(3):
            assert (await first.post(f"{path}/schedule", {"schedule_type": "secret-value"})).status == 422
        assert (await first.post(f"{path}/review", {})).json["code"] == "step_missing"
        assert (await first.get(f"{path}x")).status == 404
        assert (await first.get("/api/nothing-here")).status == 404  # no route: nobody's step
    async with serving(settings, ("api",)) as second:
        summary = await second.read(SUMMARY)
        assert summary["errors"] == [
            {"code": "invalid", "requests": 3, "persons": 1},
            {"code": "not_found", "requests": 1, "persons": 1},
            {"code": "step_missing", "requests": 1, "persons": 1},
        ]
        assert {(each["route"], each["code"], each["requests"]) for each in summary["errors_by_route"]} == {
            ("POST /api/reports/{report_id}/schedule", "invalid", 3),
            ("GET /api/reports/{report_id}", "not_found", 1),
            ("POST /api/reports/{report_id}/review", "step_missing", 1),
        }
        table = await second.program.pool.fetch("SELECT t::text FROM request_errors t")
        assert "secret" not in str(table)
        assert path.rpartition("/")[2] not in str(table), "no address is kept"


async def test_requests_beyond_the_rate_and_beyond_the_scopes_are_counted_too(
    database: Database, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(settings_for(database, tmp_path), rate_reads=2, rate_window=3600)
    async with serving(settings, ("api",)) as first:
        first.act_as("local", ["reports:write"])
        assert [(await first.get(ACTIVITY)).status for _ in range(4)] == [403, 403, 429, 429]
    async with serving(settings, ("api",)) as second:  # the local person, who has read nothing yet
        assert [(each["code"], each["requests"]) for each in (await second.read(SUMMARY))["errors"]] == [
            ("forbidden", 2),
            ("rate_limited", 2),
        ]
