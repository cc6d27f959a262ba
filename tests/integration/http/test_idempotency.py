"""`Idempotency-Key`: the first answer again, and never a second effect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service import INSTANCE, ONCE, Service

SQL = {"name": "Values", "sql_query": "SELECT 1"}


async def events(api: Service) -> int:
    count: int = await api.program.pool.fetchval("SELECT count(*) FROM report_builder_audit")
    return count


async def test_the_same_request_again_gets_the_first_answer_byte_for_byte(api: Service) -> None:
    first = await api.post("/api/workflows", SQL, Idempotency_Key="one")
    assert first.status == 201
    await api.done("/api/reports", {})
    count = await events(api)
    again = await api.post("/api/workflows", SQL, Idempotency_Key="one")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.json["position"] == 1
    assert await events(api) == count


async def test_steps_answer_again_what_stood_then(api: Service) -> None:
    path, _ = await api.reviewed()
    first = await api.post(f"{path}/schedule", ONCE, Idempotency_Key="k", If_Match='"4"')
    await api.done(f"{path}/review", {})
    again = await api.post(f"{path}/schedule", ONCE, Idempotency_Key="k", If_Match='"4"')
    assert (again.status, again.body, again.headers["ETag"]) == (200, first.body, first.headers["ETag"])


async def test_many_at_once_with_one_key_have_one_effect(api: Service) -> None:
    answers = await asyncio.gather(*(api.post("/api/workflows", SQL, Idempotency_Key="one") for _ in range(20)))
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    assert await events(api) == 1


async def test_an_instance_added_twice_is_one_with_the_key_and_refused_without(api: Service) -> None:
    first = await api.post("/api/instances", INSTANCE, Idempotency_Key="one")
    assert (await api.post("/api/instances", INSTANCE, Idempotency_Key="one")).body == first.body
    answers = await asyncio.gather(*(api.post("/api/instances", INSTANCE) for _ in range(5)))
    assert {(answer.status, answer.json["code"]) for answer in answers} == {(409, "already_exists")}


async def test_of_two_that_add_an_instance_at_once_one_is_told_that_it_exists(api: Service) -> None:
    answers = await asyncio.gather(*(api.post("/api/instances", INSTANCE) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"already_exists"}


async def test_the_key_with_another_body_is_refused(api: Service) -> None:
    await api.post("/api/workflows", SQL, Idempotency_Key="one")
    for other in ({**SQL, "name": "Other"}, {}):
        answer = await api.post("/api/workflows", other, Idempotency_Key="one")
        assert (answer.status, answer.json["code"]) == (422, "idempotency_key_reused")


async def test_a_refused_request_leaves_its_key_free(api: Service) -> None:
    assert (await api.post("/api/workflows", {}, Idempotency_Key="one")).status == 422
    assert (await api.post("/api/workflows", SQL, Idempotency_Key="one")).status == 201


async def test_a_key_belongs_to_its_address(api: Service) -> None:
    assert (await api.post("/api/workflows", SQL, Idempotency_Key="one")).status == 201
    first = await api.post("/api/reports", {"name": "a"}, Idempotency_Key="one")
    assert first.status == 201
    paths = [await api.report(), await api.report()]
    body: Any = {"instance_id": INSTANCE["instance_id"], "workflow_id": await api.workflow(),
                 "lookback_config": {"type": "relative", "value": 7, "unit": "days"}}  # fmt: skip
    answers = [await api.post(f"{path}/parameters", body, Idempotency_Key="one") for path in paths]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].json["report_id"] != answers[1].json["report_id"]


@pytest.mark.parametrize("key", ["", "k" * 201, "a\tb"])
async def test_a_key_must_be_short_and_printable(api: Service, key: str) -> None:
    answer = await api.post("/api/workflows", SQL, Idempotency_Key=key)
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert "Idempotency-Key" in answer.json["detail"]
    assert (await api.post("/api/workflows", SQL, Idempotency_Key="k" * 200)).status == 201
