"""Workflows over HTTP: versions, rules, lists, and what to ask before one runs."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.service import INSTANCE, INSTANCE_ID, WEEK, Answer, Service

READS = "SELECT date, SUM(value) AS value FROM numbers WHERE v = CUSTOM_PARAMETER('v') GROUP BY date"
CONTENT = {"name": "Values", "sql_query": READS, "parameters": [{"name": "v"}]}


pytestmark = pytest.mark.asyncio(loop_scope="module")


class Workflow:
    """A workflow of the API's."""

    def __init__(self, api: Service, id: str) -> None:
        self.api = api
        self.id = id
        self.path = f"/api/workflows/{id}"

    async def change(self, headers: dict[str, str] | None = None, **changes: Any) -> Answer:
        return await self.api.send("PUT", self.path, {**CONTENT, **changes}, **headers or {})


@pytest.fixture
def api(shared_api: Service) -> Service:
    return shared_api


@pytest_asyncio.fixture(loop_scope="module")
async def workflow(api: Service) -> Workflow:
    return Workflow(api, (await api.done("/api/workflows", CONTENT))["workflow_id"])


def problems(answer: Answer) -> list[tuple[str, str]]:
    assert answer.status == 422, answer.body
    return [(error["pointer"], error["message"]) for error in answer.json["errors"]]


async def test_a_change_is_a_new_version_and_the_old_one_stays_readable(workflow: Workflow, api: Service) -> None:
    created = await api.get(workflow.path)
    assert (created.headers["ETag"], created.json["version"], created.json["sql_query"]) == ('"1"', 1, READS)
    changed = await workflow.change({"If_Match": '"1"'}, name="Better", sql_query="SELECT 1", parameters=[])
    assert (changed.status, changed.json["version"], changed.headers["ETag"]) == (200, 2, '"2"')
    now, before = await api.read(workflow.path), await api.read(f"{workflow.path}?version=1")
    assert (now["name"], now["sql_query"], now["parameters"], now["version"]) == ("Better", "SELECT 1", [], 2)
    assert before == created.json
    assert now["created_at"] == before["created_at"] < now["updated_at"]


async def test_the_history_says_who_changed_what_and_when(workflow: Workflow, api: Service) -> None:
    await workflow.change(name="Better")
    await workflow.change(name="Better", sql_query=READS + " -- faster")
    await api.done(f"{workflow.path}/archive")
    await api.done(f"{workflow.path}/unarchive")
    versions = (await api.read(f"{workflow.path}/versions"))["items"]
    assert [(each["version"], each["change"], each["fields"]) for each in versions] == [
        (5, "unarchived", []),
        (4, "archived", []),
        (3, "changed", ["sql_query"]),
        (2, "changed", ["name"]),
        (1, "created", ["name", "sql_query", "parameters"]),
    ]
    assert len({each["user_id"] for each in versions}) == 1
    times = [each["recorded_at"] for each in versions]
    assert times == sorted(times, reverse=True)
    page = await api.read(f"{workflow.path}/versions?limit=2")
    assert [each["version"] for each in page["items"]] == [5, 4]
    page = await api.read(f"{workflow.path}/versions?limit=3&cursor={page['next_cursor']}")
    assert ([each["version"] for each in page["items"]], page["next_cursor"]) == ([3, 2, 1], None)


async def test_a_change_of_another_version_is_412_and_says_which_there_is(workflow: Workflow) -> None:
    assert (await workflow.change({"If_Match": '"1"'}, name="First")).status == 200
    answer = await workflow.change({"If_Match": '"1"'}, name="Second")
    assert (answer.status, answer.json["code"], answer.json["actual_version"]) == (412, "stale", 2)
    assert (await workflow.change({"If_Match": '"7", "2"'}, name="Second")).status == 200
    assert (await workflow.change({"If_Match": "*"}, name="Third")).status == 200


async def test_of_many_that_change_one_version_at_once_one_is_recorded(workflow: Workflow, api: Service) -> None:
    changes = [workflow.change({"If_Match": '"1"'}, name=f"N{number}") for number in range(10)]
    answers = await asyncio.gather(*changes)
    assert sorted(answer.status for answer in answers) == [200] + [412] * 9
    assert (await api.read(workflow.path))["version"] == 2


async def test_of_many_that_change_it_without_a_version_none_is_lost_silently(workflow: Workflow, api: Service) -> None:
    answers = await asyncio.gather(*(workflow.change(name=f"N{number}") for number in range(10)))
    assert {answer.status for answer in answers} <= {200, 409}
    recorded = sum(answer.status == 200 for answer in answers)
    assert recorded >= 1
    assert (await api.read(workflow.path))["version"] == 1 + recorded


async def test_the_same_key_again_is_one_change(workflow: Workflow, api: Service) -> None:
    key = {"Idempotency_Key": "one", "If_Match": '"1"'}
    first = await workflow.change(key, name="Once")
    again = await workflow.change(key, name="Once")
    assert (again.status, again.body) == (first.status, first.body)
    assert (await api.read(workflow.path))["version"] == 2


@pytest.mark.parametrize("path", ["", "/versions", "/available-parameters"])
async def test_what_is_not_there_is_404(api: Service, workflow: Workflow, path: str) -> None:
    for id in (str(uuid4()), "nonsense"):
        answer = await api.get(f"/api/workflows/{id}{path}")
        assert (answer.status, answer.json["code"]) == (404, "not_found")
    answer = await api.get(f"{workflow.path}?version=2")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert "version 2" in answer.json["detail"]


async def test_another_teams_workflow_is_404(api: Service, workflow: Workflow) -> None:
    stranger = api.token(team="other")
    for method, path in (("GET", ""), ("GET", "/versions"), ("PUT", ""), ("POST", "/archive")):
        body = CONTENT if method == "PUT" else None
        answer = await api.send(method, workflow.path + path, body, Authorization=stranger)
        assert (answer.status, answer.json["code"]) == (404, "not_found"), (method, path)
    assert (await api.get("/api/workflows", Authorization=stranger)).json["items"] == []


async def test_an_archived_workflow_is_out_of_lists_and_reports(workflow: Workflow, api: Service) -> None:
    await api.workflow()  # and the instance
    archived = await api.done(f"{workflow.path}/archive", None, If_Match='"1"')
    listed = (await api.read(f"/api/workflows?min_position={archived['position']}"))["items"]
    assert workflow.id not in {item["workflow_id"] for item in listed}
    (item,) = (await api.read("/api/workflows?archived=true"))["items"]  # the other tests leave none archived
    assert (item["workflow_id"], item["archived"], item["version"]) == (workflow.id, True, 2)
    for answer in (await workflow.change(name="No"), await api.post(f"{workflow.path}/archive")):
        assert (answer.status, answer.json["code"]) == (409, "archived")
    step = {"instance_id": INSTANCE_ID, "workflow_id": workflow.id, "lookback_config": WEEK, "parameters": {"v": "1"}}
    report = await api.report()
    ((pointer, message),) = problems(await api.post(f"{report}/parameters", step))
    assert (pointer, "archived" in message) == ("/workflow_id", True)
    back = await api.done(f"{workflow.path}/unarchive")
    assert workflow.id in {
        item["workflow_id"] for item in (await api.read(f"/api/workflows?min_position={back['position']}"))["items"]
    }
    answer = await api.post(f"{workflow.path}/unarchive")
    assert (answer.status, answer.json["code"]) == (409, "not_archived")
    await api.done(f"{report}/parameters", step)


async def test_the_list_and_the_activity_have_the_newest_version(workflow: Workflow, api: Service) -> None:
    position = (await workflow.change(name="Better")).json["position"]
    item, *_ = (await api.read(f"/api/workflows?min_position={position}&limit=1"))["items"]
    detail = await api.read(workflow.path)
    assert item == {name: value for name, value in detail.items() if name != "warnings"}
    rows = await api.program.pool.fetch(
        "SELECT event_type, workflow_name, configuration ->> 'name' AS name FROM report_builder_activity"
        " WHERE workflow_id = $1 ORDER BY position",
        workflow.id,
    )
    assert [tuple(row) for row in rows] == [
        ("workflow.created", "Better", "Values"),
        ("workflow.changed", "Better", "Better"),
    ]


BAD_CONTENTS: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"sql_query": "SELECT {{v}}"}, [("/sql_query", "CUSTOM_PARAMETER('v')")]),
    ({"sql_query": "SELECT '{{ my-name }}'"}, [("/sql_query", "CUSTOM_PARAMETER('my-name')")]),
    ({"parameters": []}, [("/sql_query", "declare it in parameters")]),
    ({"parameters": [{"name": "V"}]}, [("/sql_query", "write CUSTOM_PARAMETER('V')")]),
    ({"sql_query": "SELECT CUSTOM_PARAMETER(v)"}, [("/sql_query", "write CUSTOM_PARAMETER('name')")]),
    ({"parameters": [{"name": "v"}, {"name": "v"}]}, [("/parameters/1/name", "second time")]),
    ({"parameters": [{"name": "9v"}]}, [("/parameters/0/name", "letter or _ first")]),
    ({"parameters": [{"name": "v", "data_type": "TEXT"}]}, [("/parameters/0/data_type", "CALENDAR_INTERVAL")]),
    (
        {"parameters": [{"name": "v", "data_type": {"type": "ARRAY", "elementDataType": "LONG"}}]},
        [("/parameters/0/data_type/elementDataType", '"STRING"')],
    ),
    ({"parameters": [{"name": "v", "kind": "isbn"}]}, [("/parameters/0/kind", "asin")]),
    ({"parameters": [{"name": "v", "kind": "asin", "data_type": "DATE"}]}, [("/parameters/0/kind", "STRING or ARRAY")]),
    ({"parameters": [{"name": "v", "data_type": "DATE", "default": "2025-02-30"}]}, [("/parameters/0/default", "28")]),
    (
        {"parameters": [{"name": "v", "data_type": "ARRAY", "kind": "asin", "default": ["B08N5WRWNW", "x", "y"]}]},
        [("/parameters/0/default/1", "ASIN"), ("/parameters/0/default/2", "ASIN")],
    ),
    ({"parameters": [{"name": f"v{number}"} for number in range(101)]}, [("/parameters", "at most 100")]),
]


@pytest.mark.parametrize(("changes", "expected"), BAD_CONTENTS)
async def test_content_is_refused_alike_when_created_and_when_changed(
    workflow: Workflow, api: Service, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    created = problems(await api.post("/api/workflows", {**CONTENT, **changes}))
    assert problems(await workflow.change(**changes)) == created
    assert [pointer for pointer, _ in created][: len(expected)] == [pointer for pointer, _ in expected]
    for (_, message), (_, remedy) in zip(created, expected, strict=False):
        assert remedy in message


async def test_six_mistakes_are_six_pointers(api: Service) -> None:
    body = {
        "name": "",
        "sql_query": "SELECT {{x}}, CUSTOM_PARAMETER('nope') FROM t",
        "parameters": [{"name": "a"}, {"name": "a"}, {"name": "n", "data_type": "BYTE", "default": 200}],
        "colour": "blue",
    }
    assert [pointer for pointer, _ in problems(await api.post("/api/workflows", body))] == [
        "/name", "/colour", "/sql_query", "/sql_query", "/parameters/1/name", "/parameters/2/default"
    ]  # fmt: skip


async def test_a_parameter_that_is_never_read_is_a_warning(api: Service) -> None:
    body = {**CONTENT, "parameters": [{"name": "unused"}, {"name": "v"}]}
    created = await api.done("/api/workflows", body)
    (warning,) = created["warnings"]
    assert (warning["code"], warning["pointer"]) == ("unused_parameter", "/parameters/0")
    assert "CUSTOM_PARAMETER('unused')" in warning["message"]
    assert (await api.read(f"/api/workflows/{created['workflow_id']}"))["warnings"] == [warning]


async def test_types_and_defaults_come_back_in_one_spelling(api: Service) -> None:
    parameters = [
        {"name": "v", "data_type": "ARRAY", "default": " B08N5WRWNW\nB08N5WRWNW ", "kind": "asin"},
        {"name": "w", "data_type": {"type": "ARRAY"}},
        {"name": "n", "data_type": "INTEGER", "default": "7"},
    ]
    created = await api.done("/api/workflows", {**CONTENT, "parameters": parameters})
    array = {"type": "ARRAY", "elementDataType": "STRING"}
    read = (await api.read(f"/api/workflows/{created['workflow_id']}"))["parameters"]
    assert read == [
        {"name": "v", "data_type": array, "default": ["B08N5WRWNW"], "kind": "asin"},
        {"name": "w", "data_type": array},
        {"name": "n", "data_type": "INTEGER", "default": 7},
    ]
    workflow = Workflow(api, created["workflow_id"])
    assert (await workflow.change(parameters=read)).status == 200
    (*_, last) = (await api.read(f"{workflow.path}/versions"))["items"][:1]
    assert last["fields"] == []


async def test_what_to_ask_before_it_runs(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        api.program.clock, "today", lambda zone: {"UTC": date(2025, 3, 15)}.get(zone, date(2025, 3, 16))
    )
    await api.done("/api/instances", {**INSTANCE, "instance_id": "short", "retention_days": 40})
    parameters = [
        {"name": "v", "description": "Which one"},
        {"name": "asins", "data_type": "ARRAY", "default": ["B08N5WRWNW"]},
        {"name": "campaign_id", "data_type": "LONG"},
        {"name": "since", "data_type": "DATE"},
        {"name": "n", "data_type": "SHORT", "default": 3},
    ]
    id = (await api.done("/api/workflows", {**CONTENT, "parameters": parameters}))["workflow_id"]
    asked = await api.read(f"/api/workflows/{id}/available-parameters?instance_id=short")
    assert [(each["name"], each["kind"], each["input"], each["required"]) for each in asked["parameters"]] == [
        ("v", "text", "text", True),
        ("asins", "asin", "list", False),
        ("campaign_id", "campaign_id", "text", True),
        ("since", "text", "date", True),
        ("n", "text", "whole_number", False),
    ]
    assert asked["parameters"][0] == {
        "name": "v", "data_type": "STRING", "kind": "text", "input": "text", "required": True, "default": None,
        "description": "Which one", "personal": False,
    }  # fmt: skip
    lookback = asked["lookback"]
    assert (lookback["timezone"], lookback["retention_days"], lookback["data_delay_days"]) == ("UTC", 40, 2)
    assert lookback["limits"] == {
        "as_of": "2025-03-15",
        "earliest_date": "2025-02-03",
        "amazon_earliest_date": "2024-02-15",
        "last_complete_day": "2025-03-14",
        "complete_data_until": "2025-03-13",
        "latest_date": "2025-03-15",
    }
    found = {preset["preset"]: preset for preset in lookback["presets"]}
    assert found["last_7_days"]["window"] == {"start": "2025-03-06", "end": "2025-03-12"}
    assert found["last_7_days"]["lookback_config"] == {
        "type": "relative", "value": 7, "unit": "days", "align": "trailing", "weekStart": None, "dataDelayDays": 2,
    }  # fmt: skip
    assert (found["last_month"]["available"], found["last_7_days"]["available"]) == (False, True)
    elsewhere = await api.read(f"/api/workflows/{id}/available-parameters?instance_id=short&timezone=America/New_York")
    assert elsewhere["lookback"]["limits"]["as_of"] == "2025-03-16"
    alone = (await api.read(f"/api/workflows/{id}/available-parameters"))["lookback"]
    assert (alone["instance_id"], alone["timezone"], alone["retention_days"]) == (None, "UTC", 425)
    for query, status, name in (("instance_id=nowhere", 404, "nowhere"), ("timezone=Mars", 400, "timezone")):
        answer = await api.get(f"/api/workflows/{id}/available-parameters?{query}")
        assert (answer.status, name in answer.json["detail"]) == (status, True)


async def test_every_preset_that_is_available_can_be_posted(api: Service) -> None:
    workflow = await api.workflow()
    path = f"/api/workflows/{workflow}/available-parameters?instance_id={INSTANCE_ID}"
    for preset in (await api.read(path))["lookback"]["presets"]:
        if preset["available"]:
            _, review = await api.reviewed(window=preset["lookback_config"], workflow=workflow)
            assert {name: review["preview"]["window"][name] for name in ("start", "end")} == preset["window"]


async def test_a_report_runs_the_newest_version_and_a_change_makes_its_review_stale(
    api: Service, workflow: Workflow
) -> None:
    await api.workflow()
    path, review = await api.reviewed(workflow=workflow.id, parameters={"v": "1"})
    assert review["sql_query"] == READS
    newer = READS + " -- newer"
    await workflow.change(sql_query=newer)
    answer = await api.post(f"{path}/submit", {"digest": review["digest"]})
    assert (answer.status, answer.json["code"]) == (409, "not_reviewed")
    review = await api.done(f"{path}/review", {})
    assert review["sql_query"] == newer
    submitted = await api.done(f"{path}/submit", {"digest": review["digest"]})
    await workflow.change(sql_query=READS)
    sql = await api.program.pool.fetchval(
        "SELECT configuration ->> 'sql_query' FROM report_builder_audit WHERE stream = $1",
        f"collection-{submitted['collection_id']}",
    )
    assert sql == newer
