"""What bodies are refused for: every mistake at once, each with its pointer and a remedy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.service import INSTANCE, INSTANCE_ID, ONCE, WEEK, Answer, Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def api(shared_api: Service) -> Service:
    return shared_api


TODAY = datetime.now(UTC).date()


def refused(answer: Answer) -> dict[str, str]:
    """The messages by pointer."""
    assert answer.status == 422, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["code"] == "invalid"
    return {error["pointer"]: error["message"] for error in answer.json["errors"]}


async def step(api: Service, **changes: object) -> dict[str, object]:
    return {"instance_id": INSTANCE_ID, "workflow_id": await api.workflow(), "lookback_config": WEEK, **changes}


async def test_every_mistake_is_named_at_once(api: Service) -> None:
    path = await api.report()
    answer = await api.post(
        f"{path}/parameters",
        {
            "instance_id": 7,
            "lookback_config": {"type": "relative", "value": 0, "unit": "fortnights", "startDate": "2025-01-01"},
            "timezone": "America/New_Yrok",
            "colour": "blue",
        },
    )
    problems = refused(answer)
    assert list(problems) == [
        "/instance_id",
        "/workflow_id",
        "/lookback_config/value",
        "/lookback_config/unit",
        "/lookback_config/startDate",
        "/timezone",
        "/colour",
    ]
    assert "America/New_York" in problems["/timezone"]
    assert "custom" in problems["/lookback_config/startDate"]


async def test_faults_of_form_hide_none_of_meaning(api: Service) -> None:
    """Each of the six would be refused alone: three have no right form, three mean what cannot be."""
    parameters = await step(
        api, lookback_config={"type": "relative", "value": 426, "unit": "days"}, parameters={"brnad": "x"}, timezone=1
    )
    schedule = {
        "schedule_type": "backfill",
        "colour": "blue",
        "backfill_config": {
            "segmentation_config": {"type": "daily", "parallel_limit": 11, "order": "random"},
        },
    }
    problems = refused(await api.post("/api/report-builder/review", {"parameters": parameters, "schedule": schedule}))
    assert list(problems) == [
        "/parameters/timezone",
        "/schedule/backfill_config/segmentation_config/order",
        "/schedule/colour",
        "/parameters/parameters/brnad",
        "/parameters/lookback_config",
        "/schedule/backfill_config/segmentation_config/parallel_limit",
    ]
    assert str(TODAY - timedelta(days=425)) in problems["/parameters/lookback_config"]
    alone = refused(await api.post(f"{await api.report()}/parameters", parameters))
    assert list(alone) == ["/timezone", "/parameters/brnad", "/lookback_config"]


async def test_what_had_to_be_replaced_is_not_judged(api: Service) -> None:
    """A window with a wrong unit is wrong for that alone, and nothing is recorded of a mended body."""
    path = await api.report()
    before = (await api.get(path)).json["version"]
    lookback = {"type": "relative", "value": 426, "unit": "fortnights"}
    answer = await api.post(f"{path}/parameters", await step(api, lookback_config=lookback, colour="blue"))
    assert list(refused(answer)) == ["/lookback_config/unit", "/colour"]
    assert (await api.get(path)).json["version"] == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"schedule_type": "sometimes"}, "/schedule_type"),
        ({}, "/schedule_type"),
        ({**ONCE, "segmentation_config": {"type": "hourly"}}, "/segmentation_config/type"),
        ({**ONCE, "segmentation_config": {"type": "daily", "week_start": 1}}, "/segmentation_config/week_start"),
        ({**ONCE, "backfill_config": {}}, "/backfill_config"),
        ({"schedule_type": "backfill"}, "/backfill_config"),
        (
            {
                "schedule_type": "backfill",
                "backfill_config": {"segmentation_config": {"type": "daily"}, "hold_schedule": True},
            },
            "/backfill_config/hold_schedule",
        ),
    ],
)
async def test_a_schedule_that_does_not_fit_names_its_field(api: Service, body: Any, pointer: str) -> None:
    path = await api.report()
    await api.done(f"{path}/parameters", await step(api))
    assert list(refused(await api.post(f"{path}/schedule", body))) == [pointer]


@pytest.mark.parametrize(
    "lookback",
    [
        {"type": "relative", "value": 426, "unit": "days"},
        {"type": "relative", "value": 10**15, "unit": "months"},
        {
            "type": "custom",
            "startDate": str(TODAY - timedelta(days=1100)),
            "endDate": str(TODAY - timedelta(days=1099)),
        },
        {"type": "custom", "startDate": str(TODAY), "endDate": str(TODAY + timedelta(days=2))},
    ],
)
async def test_a_window_out_of_reach_is_refused_with_the_earliest_date(api: Service, lookback: Any) -> None:
    path = await api.report()
    problems = refused(await api.post(f"{path}/parameters", await step(api, lookback_config=lookback)))
    assert list(problems) == ["/lookback_config"]
    assert str(TODAY - timedelta(days=425)) in problems["/lookback_config"]
    await api.done(f"{path}/parameters", await step(api))
    schedule = {
        "schedule_type": "backfill",
        "backfill_config": {
            "segmentation_config": {"type": "daily", "parallel_limit": 11},
            "lookback_config": lookback,
        },
    }
    problems = refused(await api.post(f"{path}/schedule", schedule))
    assert list(problems) == [
        "/backfill_config/lookback_config",
        "/backfill_config/segmentation_config/parallel_limit",
    ]
    assert "10" in problems["/backfill_config/segmentation_config/parallel_limit"]


async def test_the_longest_window_in_reach_is_taken(api: Service) -> None:
    _, review = await api.reviewed(window={"type": "relative", "value": 425, "unit": "days"})
    assert review["preview"]["window"]["start"] == str(TODAY - timedelta(days=425))


async def test_an_instance_may_have_its_own_limits(api: Service) -> None:
    await api.done("/api/instances", {**INSTANCE, "instance_id": "small", "max_concurrent": 2, "retention_days": 30})
    workflow = await api.workflow()
    path = await api.report()
    body = {"instance_id": "small", "workflow_id": workflow, "lookback_config": {**WEEK, "value": 31}}
    assert str(TODAY - timedelta(days=30)) in refused(await api.post(f"{path}/parameters", body))["/lookback_config"]
    await api.done(f"{path}/parameters", {**body, "lookback_config": WEEK})
    schedule = {**ONCE, "segmentation_config": {"type": "daily", "parallel_limit": 3}}
    problems = refused(await api.post(f"{path}/schedule", schedule))
    assert list(problems) == ["/segmentation_config/parallel_limit"]


async def test_a_reversed_range_is_refused_at_its_end(api: Service) -> None:
    lookback = {"type": "custom", "startDate": "2025-02-01", "endDate": "2025-01-31"}
    path = await api.report()
    answer = await api.post(f"{path}/parameters", await step(api, lookback_config=lookback))
    assert list(refused(answer)) == ["/lookback_config/endDate"]


async def test_parameters_must_be_those_that_the_workflow_declares(api: Service) -> None:
    workflow = await api.workflow("SELECT 1", [{"name": "asin"}, {"name": "a.b-c"}, {"name": "d", "default": "1"}])
    path = await api.report()
    body = {"instance_id": INSTANCE_ID, "workflow_id": workflow, "lookback_config": WEEK}
    problems = refused(await api.post(f"{path}/parameters", {**body, "parameters": {"asim": "B0", "x/y": 1}}))
    assert list(problems) == ["/parameters/asim", "/parameters/x~1y", "/parameters/asin", "/parameters/a.b-c"]
    assert 'did you mean "asin"' in problems["/parameters/asim"]
    assert "no default" in problems["/parameters/asin"]
    answer = await api.done(f"{path}/parameters", {**body, "parameters": {"asin": " B000000001 ", "a.b-c": "1.5"}})
    assert answer["parameters"]["parameters"] == {"asin": "B000000001", "a.b-c": "1.5"}


async def test_unknown_workflow_and_instance_are_both_named(api: Service) -> None:
    path = await api.report()
    body = {"instance_id": "nobody", "workflow_id": "nothing", "lookback_config": WEEK}
    problems = refused(await api.post(f"{path}/parameters", body))
    assert set(problems) == {"/workflow_id", "/instance_id"}
    assert "POST /api/workflows" in problems["/workflow_id"]


async def test_a_recurring_schedule_is_held_against_its_worst_run(api: Service) -> None:
    path = await api.report()
    window = {"type": "relative", "value": 14, "unit": "months"}
    await api.done(f"{path}/parameters", await step(api, lookback_config={**window, "value": 13}))
    daily = {"frequency": "daily", "time": "09:00"}
    await api.done(f"{path}/schedule", {"schedule_type": "scheduled", "schedule_config": daily})
    over = {**daily, "endDate": str(TODAY - timedelta(days=2))}
    answer = await api.post(f"{path}/schedule", {"schedule_type": "scheduled", "schedule_config": over})
    assert list(refused(answer)) == ["/schedule_config/endDate"]


async def test_placeholders_in_sql_are_refused_with_what_to_write(api: Service) -> None:
    body = {"name": "Old", "sql_query": "SELECT {{b}}, {{ a }} FROM t WHERE x = {{b}}"}
    answer = await api.post("/api/workflows", body)
    refused(answer)
    assert [error["message"] for error in answer.json["errors"]] == [
        "holds {{a}}; write CUSTOM_PARAMETER('a') in its place",
        "holds {{b}}; write CUSTOM_PARAMETER('b') in its place",
    ]


@pytest.mark.parametrize(
    ("parameters", "pointers"),
    [
        ([{"name": "a"}, {"name": "b"}, {"name": "a"}], ["/parameters/2/name"]),
        ([{"name": ""}], ["/parameters/0/name"]),
        ([{"name": "a", "type": "STRING"}], ["/parameters/0/type"]),
        ([{}, {"name": 1}], ["/parameters/0/name", "/parameters/1/name"]),
        ("a", ["/parameters"]),
    ],
)
async def test_declared_parameters_have_names_of_their_own(
    api: Service, parameters: object, pointers: list[str]
) -> None:
    body = {"name": "Values", "sql_query": "SELECT 1", "parameters": parameters}
    assert list(refused(await api.post("/api/workflows", body))) == pointers


@pytest.mark.parametrize("id", ["..", "a/b", "", "a b", "amc1\n", "x" * 101])
async def test_an_instances_id_must_be_one_of_amcs(api: Service, id: str) -> None:
    assert list(refused(await api.post("/api/instances", {**INSTANCE, "instance_id": id}))) == ["/instance_id"]


@pytest.mark.parametrize("text", ["a\\u0000b", "\\ud800", "\\udfff\\ud800"])
async def test_text_that_cannot_be_stored_is_refused_where_it_stands(api: Service, text: str) -> None:
    answer = await api.post("/api/reports", b'{"name": "%s"}' % text.encode())
    assert list(refused(answer)) == ["/name"]
    body = b'{"name": "x", "sql_query": "%s", "%s": 1}' % (text.encode(), text.encode())
    answer = await api.post("/api/workflows", body)
    assert "/sql_query" in refused(answer)
    answer = await api.post("/api/reports", '{"name": "\U0001f600 é"}'.encode())
    assert (answer.status, answer.json["name"]) == (201, "\U0001f600 é")


@pytest.mark.parametrize(
    "body", [b"{", b"name=x", b"\xff", b'{"name": NaN}', b"[" * 100_000, b"  ", b"[]", b"null", b'"x"', b"7"]
)
async def test_a_body_that_is_no_json_object_is_refused_as_a_whole(api: Service, body: bytes) -> None:
    answer = await api.post("/api/reports", body)
    assert list(refused(answer)) == [""]
    assert "JSON" in answer.json["detail"] or "object" in answer.json["detail"]


async def test_an_empty_body_lacks_what_is_required(api: Service) -> None:
    assert list(refused(await api.post("/api/workflows"))) == ["/name", "/sql_query"]
    assert (await api.post("/api/reports")).status == 201


async def test_a_body_just_within_the_limit_is_read_and_one_beyond_is_413(api: Service) -> None:
    answer = await api.post("/api/reports", b'{"name": "%s"}' % (b"x" * (2 * 1024 * 1024 - 20)))
    assert list(refused(answer)) == ["/name"]
    answer = await api.post("/api/reports", b'{"name": "%s"}' % (b"x" * (2 * 1024 * 1024)))
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")


async def test_a_configuration_too_large_for_an_event_is_refused(api: Service) -> None:
    workflow = await api.workflow("SELECT 1", [{"name": "words", "data_type": "ARRAY"}])
    path = await api.report()
    body = {
        "instance_id": INSTANCE_ID,
        "workflow_id": workflow,
        "lookback_config": WEEK,
        "parameters": {"words": [f"{number:0200}" for number in range(9_000)]},
    }
    assert "1048576" in refused(await api.post(f"{path}/parameters", body))[""]
