"""The builder's rules over HTTP: order, review, digest, versions."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Database
from tests.service import INSTANCE_ID, ONCE, UNKNOWN_ID, WEEK, Service, serving, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def api(shared_api: Service) -> Service:
    return shared_api


async def parameters_step(api: Service, **changes: object) -> dict[str, Any]:
    return {
        "instance_id": INSTANCE_ID,
        "workflow_id": await api.workflow(),
        "lookback_config": WEEK,
        **changes,
    }


async def test_steps_have_an_order(api: Service) -> None:
    path = await api.report()
    for step, body in (("schedule", ONCE), ("review", {}), ("submit", {"digest": "0" * 64})):
        answer = await api.post(f"{path}/{step}", body)
        assert (answer.status, answer.json["code"]) == (409, "step_missing")
        assert "parameters" in answer.json["missing"]
    await api.done(f"{path}/parameters", await parameters_step(api))
    answer = await api.post(f"{path}/review", {})
    assert (answer.status, answer.json["missing"]) == (409, ["schedule"])
    assert "schedule" in answer.json["detail"]


async def test_what_was_not_reviewed_is_not_submitted(api: Service) -> None:
    path = await api.report()
    await api.done(f"{path}/parameters", await parameters_step(api))
    await api.done(f"{path}/schedule", ONCE)
    answer = await api.post(f"{path}/submit", {"digest": "0" * 64})
    assert (answer.status, answer.json["code"]) == (409, "not_reviewed")
    assert "review" in answer.json["detail"]


async def test_submit_names_what_changed_since_the_review(api: Service) -> None:
    path, review = await api.reviewed()
    digest = {"digest": review["digest"]}
    await api.done(f"{path}/schedule", {**ONCE, "segmentation_config": {"type": "daily"}})
    answer = await api.post(f"{path}/submit", digest)
    assert (answer.status, answer.json["code"], answer.json["changed"]) == (409, "not_reviewed", ["schedule"])
    await api.done(f"{path}/parameters", await parameters_step(api))
    answer = await api.post(f"{path}/submit", digest)
    assert answer.json["changed"] == ["parameters", "schedule"]
    assert "parameters, schedule" in answer.json["detail"]
    review = await api.done(f"{path}/review", {})
    answer = await api.post(f"{path}/submit", digest)
    assert (answer.status, answer.json["changed"]) == (409, ["the digest names another review"])
    assert (await api.post(f"{path}/submit", {"digest": review["digest"]})).status == 202


async def test_a_digest_that_cannot_be_one_is_a_problem_of_its_field(api: Service) -> None:
    path, _ = await api.reviewed()
    answer = await api.post(f"{path}/submit", {"digest": "abc"})
    assert (answer.status, answer.pointers) == (422, ["/digest"])
    assert (await api.post(f"{path}/submit")).pointers == ["/digest"]


async def test_equal_configurations_have_equal_digests(api: Service) -> None:
    workflow = await api.workflow()
    _, one = await api.reviewed(workflow=workflow)
    _, other = await api.reviewed(workflow=workflow)
    _, different = await api.reviewed(workflow=workflow, timezone="Asia/Tokyo")
    assert one["digest"] == other["digest"] != different["digest"]


async def test_after_submit_every_step_is_refused_and_names_the_collection(api: Service) -> None:
    path, review = await api.reviewed()
    submitted = await api.done(f"{path}/submit", {"digest": review["digest"]})
    for step, body in (
        ("parameters", await parameters_step(api)),
        ("schedule", ONCE),
        ("review", {}),
        ("submit", {"digest": review["digest"]}),
    ):
        answer = await api.post(f"{path}/{step}", body)
        assert (answer.status, answer.json["code"]) == (409, "already_submitted"), step
        assert answer.json["collection_id"] == submitted["collection_id"]


async def test_two_submits_at_once_make_one_collection(api: Service) -> None:
    path, review = await api.reviewed()
    answers = await asyncio.gather(*(api.post(f"{path}/submit", {"digest": review["digest"]}) for _ in range(8)))
    (winner,) = [answer.json for answer in answers if answer.status == 202]
    losers = [answer.json for answer in answers if answer.status != 202]
    assert {(loser["code"], loser["collection_id"]) for loser in losers} == {
        ("already_submitted", winner["collection_id"])
    }
    assert (
        await api.program.pool.fetchval(
            "SELECT count(*) FROM report_builder_audit"
            " WHERE event_type = 'collection.created' AND configuration ->> 'report_id' = $1",
            winner["report_id"],
        )
        == 1
    )


async def test_two_services_given_the_same_submit_answer_the_same(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database, tmp_path)
    async with serving(settings, ["api", "projector"]) as one, serving(settings, ["api"]) as other:
        for _ in range(3):
            path, review = await one.reviewed()
            digest = {"digest": review["digest"]}
            answers = await asyncio.gather(
                *(
                    client.post(f"{path}/submit", digest, Idempotency_Key="submit-1")
                    for client in (one, other, one, other)
                )
            )
            assert {(answer.status, answer.body) for answer in answers} == {(202, answers[0].body)}
        assert (
            await one.program.pool.fetchval(
                "SELECT count(*) FROM report_builder_audit WHERE event_type = 'collection.created'"
            )
            == 3
        )


async def test_the_reviewed_day_is_the_day_that_runs(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    today = datetime.now(UTC).date()
    monkeypatch.setattr(api.program.clock, "today", lambda zone: today)
    path, review = await api.reviewed()
    assert review["preview"]["as_of"] == today.isoformat()
    monkeypatch.setattr(api.program.clock, "today", lambda zone: today + timedelta(days=3))
    submitted = await api.done(f"{path}/submit", {"digest": review["digest"]})
    collection = await api.read(
        f"/api/data-collections/{submitted['collection_id']}?min_position={submitted['position']}"
    )
    assert collection["as_of"] == today.isoformat()
    assert collection["window_end"] == (today - timedelta(days=1)).isoformat()


async def test_a_window_that_has_moved_out_of_reach_is_refused_at_review(
    api: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(UTC).date()
    window = {"type": "custom", "startDate": str(today - timedelta(days=425)), "endDate": str(today)}
    path, review = await api.reviewed(window=window)
    assert {"incomplete_day", "beyond_amazon_retention"} <= {
        warning["code"] for warning in review["preview"]["warnings"]
    }
    monkeypatch.setattr(api.program.clock, "today", lambda zone: today + timedelta(days=1))
    answer = await api.post(f"{path}/review", {})
    assert answer.status == 422
    assert str(today - timedelta(days=424)) in answer.json["errors"][0]["message"]


@pytest.mark.parametrize("step", ["parameters", "schedule", "review", "submit"])
async def test_every_step_heeds_if_match(api: Service, step: str) -> None:
    path, review = await api.reviewed()
    body = {
        "parameters": await parameters_step(api),
        "schedule": ONCE,
        "review": {},
        "submit": {"digest": review["digest"]},
    }[step]
    for stale in ('"3"', '"999"', "4", 'W/"4"'):
        answer = await api.post(f"{path}/{step}", body, If_Match=stale)
        assert (answer.status, answer.json["code"]) == (412, "stale"), stale
        assert answer.json["actual_version"] == 4
    answer = await api.post(f"{path}/{step}", body, If_Match='"3", "4"')
    assert answer.status < 300
    assert answer.headers["ETag"] == f'"{answer.json["version"]}"' == '"5"'


async def test_if_match_with_a_star_fits_any_version(api: Service) -> None:
    path, _ = await api.reviewed()
    assert (await api.post(f"{path}/review", {}, If_Match="*")).status == 200
    assert (await api.get(path, If_Match='"1"')).status == 412


@pytest.mark.parametrize("id", ["nonsense", "%00", UNKNOWN_ID])
async def test_an_unknown_report_is_404_at_every_address(api: Service, id: str) -> None:
    await api.workflow()
    for step, body in (("schedule", ONCE), ("review", {}), ("submit", {"digest": "0" * 64})):
        answer = await api.post(f"/api/reports/{id}/{step}", body, Idempotency_Key="k")
        assert (answer.status, answer.json["code"]) == (404, "not_found"), answer.body
    assert (await api.get(f"/api/reports/{id}")).status == 404


async def test_a_report_without_a_name_gets_one(api: Service) -> None:
    answer = await api.post("/api/reports")
    assert (answer.status, answer.json["name"]) == (201, "Untitled report")
    assert answer.json["next_step"] == "parameters"


async def test_dates_are_of_the_reports_zone(api: Service) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        _, review = await api.reviewed(timezone=zone)
        assert review["preview"]["as_of"] == api.program.clock.today(zone).isoformat()
        assert review["preview"]["window"]["timezone"] == zone
        assert date.fromisoformat(review["preview"]["window"]["end"]) == api.program.clock.today(zone) - timedelta(
            days=1
        )
