"""Instances: changed with what they are at, granted to teams and taken back, and for all others not there."""

from __future__ import annotations

from typing import Any

import pytest

from service.amc.instances import load_instance
from tests.accounts import add_instance
from tests.service import INSTANCE, ONCE, WEEK, Service

ONE = "amcsandbox1"


async def read(api: Service, instance_id: str = ONE) -> Any:
    """The instance with all that was recorded."""
    head = await api.program.pool.fetchval("SELECT max(position) FROM report_builder_audit")
    return await api.read(f"/api/instances/{instance_id}?min_position={head}")


async def test_an_instance_has_its_limits_and_its_account(api: Service) -> None:
    await add_instance(api, ONE)
    instance = await read(api)
    assert instance == INSTANCE | {
        "team_id": "local", "max_concurrent": 10, "retention_days": 425, "account_id": "default",
        "final_after_days": 14, "max_executions_per_day": None, "granted_to": [], "held_by": None, "in_flight": 0,
        "failing": None, "version": 1,
        "created_at": instance["created_at"],
    }  # fmt: skip
    assert (await api.get(f"/api/instances/{ONE}")).headers["ETag"] == '"1"'


async def test_what_is_changed_stands_and_the_rest_stays(api: Service) -> None:
    await add_instance(api, ONE, max_concurrent=4)
    path = f"/api/instances/{ONE}"
    answer = await api.send("PATCH", path, {"name": "Main", "max_executions_per_day": 30}, If_Match='"1"')
    assert answer.json == {
        "position": 2, "instance_id": ONE, "name": "Main", "max_concurrent": 4, "retention_days": 425,
        "final_after_days": 14, "max_executions_per_day": 30, "version": 2,
    }  # fmt: skip
    assert answer.headers["ETag"] == '"2"'
    await api.send("PATCH", path, {"retention_days": 60, "final_after_days": 0, "max_executions_per_day": 0})
    instance = await read(api)
    assert (instance["name"], instance["max_concurrent"], instance["retention_days"]) == ("Main", 4, 60)
    assert (instance["final_after_days"], instance["max_executions_per_day"], instance["version"]) == (0, None, 3)
    current = await load_instance(api.program.pool, ONE, "local")
    assert current is not None
    assert (current.name, current.retention_days, current.max_executions_per_day) == ("Main", 60, None)

    stale = await api.send("PATCH", path, {"name": "B"}, If_Match='"1"')
    assert (stale.status, stale.json["actual_version"]) == (412, 3)


async def test_a_change_that_does_not_fit_names_its_fields(api: Service) -> None:
    await add_instance(api, ONE)
    wrong: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [""]),
        ({"name": None}, [""]),
        ({"name": "", "max_concurrent": 0, "time_zone": "UTC"}, ["/name", "/max_concurrent", "/time_zone"]),
        ({"final_after_days": -1, "max_executions_per_day": "all"}, ["/final_after_days", "/max_executions_per_day"]),
        ({"name": "A", "account_id": "default"}, ["/account_id"]),
    ]
    for body, pointers in wrong:
        answer = await api.send("PATCH", f"/api/instances/{ONE}", body)
        assert (answer.status, answer.pointers) == (422, pointers)


async def test_the_builder_goes_by_the_instance_as_it_stands(api: Service) -> None:
    await add_instance(api, ONE)
    await api.send("PATCH", f"/api/instances/{ONE}", {"max_concurrent": 3, "retention_days": 30})
    path = await api.report()
    step = {"instance_id": ONE, "workflow_id": await api.workflow(), "lookback_config": {**WEEK, "value": 31}}
    answer = await api.post(f"{path}/parameters", step)
    assert (answer.status, answer.pointers) == (422, ["/lookback_config"])
    await api.done(f"{path}/parameters", step | {"lookback_config": WEEK})
    segmentation = {"type": "daily", "parallel_limit": 4}
    answer = await api.post(f"{path}/schedule", ONCE | {"segmentation_config": segmentation})
    assert (answer.status, answer.pointers) == (422, ["/segmentation_config/parallel_limit"])


async def test_a_team_sees_and_uses_what_it_was_granted_and_no_longer_than_that(
    api: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_instance(api, ONE)
    await add_instance(api, "amcsandbox2")
    granted = await api.done(f"/api/instances/{ONE}/grants", {"team_id": "brand team"})
    assert (granted["team_id"], granted["version"]) == ("brand team", 2)
    assert (await read(api))["granted_to"] == ["brand team"]

    api.act_as("brand team")
    assert [each["instance_id"] for each in (await api.read("/api/instances"))["items"]] == [ONE]
    instance = await read(api)
    assert (instance["team_id"], instance["granted_to"]) == ("local", [])
    assert (await api.get("/api/instances/amcsandbox2")).status == 404
    workflow = (await api.done("/api/workflows", {"name": "W", "sql_query": "SELECT 1"}))["workflow_id"]
    step = {"workflow_id": workflow, "lookback_config": WEEK}
    path = await api.report()
    answer = await api.post(f"{path}/parameters", step | {"instance_id": "amcsandbox2"})
    assert (answer.status, answer.pointers) == (422, ["/instance_id"])
    await api.done(f"{path}/parameters", step | {"instance_id": ONE})
    # It may run on it; to change and to pass it on is the owner's.
    for method, at, body in (
        ("PATCH", "", {"name": "Mine"}),
        ("POST", "/grants", {"team_id": "friends"}),
        ("DELETE", "/grants/brand%20team", None),
    ):
        answer = await api.send(method, f"/api/instances/{ONE}{at}", body)
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
        answer = await api.send(method, f"/api/instances/amcsandbox2{at}", body)
        assert (answer.status, answer.json["code"]) == (404, "not_found")

    api.act_as("local")
    answer = await api.send("DELETE", f"/api/instances/{ONE}/grants/brand%20team")
    assert (answer.status, answer.json["version"]) == (200, 3)
    assert (await read(api))["granted_to"] == []
    api.act_as("brand team")
    assert (await api.read("/api/instances"))["items"] == []
    answer = await api.post(f"{path}/schedule", ONCE)
    assert (answer.status, answer.pointers) == (422, ["/instance_id"])


async def test_a_grant_is_given_once_and_taken_back_once(api: Service) -> None:
    await add_instance(api, ONE)
    path = f"/api/instances/{ONE}/grants"
    assert (await api.send("DELETE", f"{path}/other")).status == 404
    assert (await api.post(path, {"team_id": "other"})).status == 201
    answer = await api.post(path, {"team_id": "other"})
    assert (answer.status, answer.json["code"]) == (409, "already_exists")
    assert (await api.send("DELETE", f"{path}/other", If_Match='"1"')).status == 412
    assert (await api.send("DELETE", f"{path}/other")).status == 200
    assert (await api.post(path, {"team_id": "other"})).status == 201
    assert (await read(api))["granted_to"] == ["other"]


async def test_what_cannot_be_granted_to_is_refused(api: Service) -> None:
    await add_instance(api, ONE)
    for team_id in ("local", "", "a/b", "a\nb", "a\n", "a\u0000", 7, "x" * 201):
        answer = await api.post(f"/api/instances/{ONE}/grants", {"team_id": team_id})
        assert (answer.status, answer.pointers) == (422, ["/team_id"])


async def test_instances_are_listed_in_pages_by_their_ids(api: Service) -> None:
    names = [f"amc{number}" for number in (3, 1, 4, 15, 9)]
    for name in names:
        await add_instance(api, name)
    await read(api, "amc9")
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = await api.read("/api/instances?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        seen += [each["instance_id"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert seen == sorted(names)
    assert (await api.get("/api/instances?cursor=x")).json["code"] == "bad_request"
    assert (await api.get("/api/instances?limit=0")).json["code"] == "bad_request"


async def test_an_unknown_instance_is_404(api: Service) -> None:
    for unknown in ("nothing", "%00", "a%20b", "%C3%A9", "a%2Fb"):
        for method, path, body in (
            ("GET", "", None),
            ("PATCH", "", {"name": "A"}),
            ("POST", "/grants", {"team_id": "other"}),
        ):
            answer = await api.send(method, f"/api/instances/{unknown}{path}", body)
            assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_an_instance_of_an_account_that_is_not_there_is_refused(api: Service) -> None:
    for account_id in ("nobody", "01890000-0000-7000-8000-000000000000"):
        answer = await api.post("/api/instances", INSTANCE | {"account_id": account_id})
        assert (answer.status, answer.pointers) == (422, ["/account_id"])
