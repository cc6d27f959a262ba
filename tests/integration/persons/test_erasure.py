"""A person is erased: their words are gone from every answer, and the log and what is built of it stay as they were."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from events.personal import ERASED, is_token
from events.reader import read_after, read_head
from projections.difference import Difference
from projections.rebuild import rebuild
from projections.runner import wait_projected
from service.amc.sandbox import Faults, RunningSandbox
from tests.persons import act_as_person, log_digest, read_model_digest, tables_with, user_id_of
from tests.postgres import Database
from tests.service import INSTANCE_ID, Numbers, Service, serving, settings_for

WHO = {"name": "who", "personal": True}
BRANDS = {"name": "brands", "data_type": "ARRAY", "personal": True}
SQL = (
    "SELECT date, SUM(value) AS value FROM numbers WHERE CUSTOM_PARAMETER('who') <> ''"
    " AND ARRAY_LENGTH(CUSTOM_PARAMETER('brands')) > 0 GROUP BY date"
)
EMAIL = "o'hara.canary7c1@example.com"
VALUES: dict[str, Any] = {"who": EMAIL, "brands": ["canary7c1-a", "canary7c1-b"]}
CANARY = "canary7c1"
DAILY = {"schedule_type": "scheduled", "schedule_config": {"frequency": "daily", "time": "02:30"}}
HISTORY = {"schedule_type": "backfill", "backfill_config": {"segmentation_config": {"type": "daily"}}}


async def test_a_person_is_erased_and_every_proof_still_holds(
    database: Database, tmp_path: Path, sandbox: RunningSandbox, numbers: Numbers, lines: Any
) -> None:
    settings = msgspec.structs.replace(settings_for(database, tmp_path, sandbox), log_level="debug")
    async with serving(settings) as service:
        act_as_person(service, "bob")
        bob = await user_id_of(service)
        workflow = await service.workflow(SQL, [WHO, BRANDS])

        act_as_person(service, "ann")
        ann = await user_id_of(service)
        paths = await _work_of_ann(service, sandbox, workflow, numbers)
        act_as_person(service, "bob")
        await service.done(f"{paths[1]}/resume", {"reason": "bob's own words"})

        # While Ann is there everybody of the team reads what she wrote, and only answers have it.
        position = await _settled(service)
        before = await _answers(service, paths)
        assert CANARY in before
        assert f'"who":"{EMAIL}"' in before
        assert '"brands":["canary7c1-a","canary7c1-b"]' in before
        assert "bob's own words" in before
        assert ERASED not in before
        assert await tables_with(database, CANARY) == []
        assert CANARY not in await _events(service)
        log, models = await log_digest(database, position), await read_model_digest(database)

        erased = await service.done(f"/api/persons/{ann}/erase", {"reason": "she asked for it"}, Idempotency_Key="e")
        assert {copy["place"] for copy in erased["copies"]} >= {"backups of the database", "Amazon"}
        after = await _answers(service, paths)
        assert CANARY not in after
        assert f'"who":"{ERASED}"' in after
        assert "bob's own words" in after
        assert "she asked for it" in after
        assert await tables_with(database, "ann@canary") == []
        assert await tables_with(database, "subject-of-ann") == []
        assert await tables_with(database, "bob@canary") == ["users.email"]

        # Nothing that was stored has changed, nor what is built of it.
        await _settled(service)
        assert (await log_digest(database, position), await read_model_digest(database)) == (log, models)
        rebuilt = await rebuild(database.service_url)
        assert rebuilt.difference == Difference()
        assert await read_model_digest(database) == models

        # Asking again records nothing; a row of hers is not there to be found; whoever comes as Ann is somebody new.
        again = await service.done(f"/api/persons/{ann}/erase", {})
        assert again["version"] == erased["version"] == 1
        assert (await service.read(f"/api/persons/{ann}"))["name"] is None
        assert [item["user_id"] for item in (await service.read("/api/persons?search=BOB@"))["items"]] == [bob]
        await _what_needs_the_values_is_refused(service, paths)
        act_as_person(service, "ann")
        assert await user_id_of(service) != ann
        assert (await service.read("/api/persons?search=ann canary"))["items"][0]["user_id"] != ann
    assert "person_erased" in lines.getvalue()
    assert CANARY not in lines.getvalue()


async def _work_of_ann(
    service: Service, sandbox: RunningSandbox, workflow: str, numbers: Numbers
) -> tuple[str, str, str, str]:
    """A report with personal values that was run, a schedule that she paused, a collection that AMC has refused with
    her values in its words, and a report that was not submitted."""
    window = numbers.window(2)
    draft, review = await service.reviewed(window=window, workflow=workflow, parameters=VALUES)
    assert "o''hara.canary7c1@example.com" in review["filled"]["sql"]
    span = next(span for span in review["filled"]["spans"] if span["name"] == "who")
    assert review["filled"]["sql"][span["start"] : span["end"]] == "'o''hara.canary7c1@example.com'"
    twice = [await service.done(f"{draft}/review", {}, Idempotency_Key="r") for _ in range(2)]
    assert twice[0]["filled"] == twice[1]["filled"] == review["filled"]
    path, review = await service.reviewed(window=window, workflow=workflow, parameters=VALUES)
    report = path
    submitted = await service.done(f"{path}/submit", {"digest": review["digest"]}, Idempotency_Key="s")
    assert (await service.finished(submitted, seconds=60))["backfill_status"] == "completed"
    (execution,) = sandbox.sandbox.executions.values()
    assert execution.values["who"] == EMAIL
    body = {
        "parameters": {
            "instance_id": INSTANCE_ID,
            "workflow_id": workflow,
            "lookback_config": window,
            "parameters": VALUES | {"brands": [f"{CANARY}-c"]},
        },
        "schedule": HISTORY,
    }
    reviewed = await service.done("/api/report-builder/review", body)
    sandbox.sandbox.faults.set(Faults(fail_rate=1, fail_status="REJECTED", fail_reason=f"SQL: no {EMAIL.upper()} here"))
    refused = await service.done("/api/report-builder/submit", body | {"digest": reviewed["digest"]})
    path = f"/api/data-collections/{refused['collection_id']}"
    async with asyncio.timeout(60):
        while not (held := await service.read(f"{path}?min_position={refused['position']}"))["held"]:
            await asyncio.sleep(0.05)
    assert held["held"]["error"] == "SQL: no (personal) here"
    await service.done(f"{path}/pause", {"reason": f"see {CANARY}, please"})
    schedule = await service.done(
        "/api/schedules",
        {
            "name": "Nightly",
            "instance_id": INSTANCE_ID,
            "workflow_id": workflow,
            "lookback_config": {"type": "relative", "value": 1, "unit": "days"},
            "schedule_config": DAILY["schedule_config"],
            "parameters": VALUES,
        },
    )
    nightly = f"/api/schedules/{schedule['schedule_id']}"
    await service.done(f"{nightly}/pause", {"reason": f"{CANARY} is ill"}, Idempotency_Key="p")
    return report, path, nightly, draft


async def _settled(service: Service) -> int:
    position = await read_head(service.program.pool)
    assert await wait_projected(service.program.pool, position, timeout=60)
    return position


async def _answers(service: Service, paths: tuple[str, ...]) -> str:
    """All that the API answers about what Ann has made."""
    report, collection, schedule, draft = paths
    texts = []
    for path in (
        *(report, draft, collection, f"{collection}/progress", schedule, f"{schedule}/runs", "/api/schedules"),
        *("/api/data-collections", "/api/reports", "/api/workflows", "/api/persons"),
        "/api/audit/activity?configuration=true&all_teams=true&limit=200",
    ):
        answer = await service.get(path)
        assert answer.status == 200, answer.body
        assert int(answer.headers["content-length"]) == len(answer.body)
        texts.append(msgspec.json.encode(answer.json).decode())
    return "\n".join(texts)


async def _events(service: Service) -> str:
    """The log as other programs read it."""
    pages = [
        await service.get("/api/events?limit=1000"),
        await service.get("/api/events", Accept="application/x-ndjson"),
    ]
    assert b"~p1." in pages[0].body
    return b"".join(page.body for page in pages).decode()


async def _what_needs_the_values_is_refused(service: Service, paths: tuple[str, ...]) -> None:
    """Reviews, runs and changes that rest on erased values name them, and what to do."""
    *_, schedule, draft = paths
    for answer in (
        await service.post(f"{draft}/review", {}),
        await service.send("PATCH", schedule, {"name": "Another"}),
    ):
        assert (answer.status, answer.json["code"]) == (409, "personal_values_erased")
        assert answer.json["parameters"] == ["brands", "who"]
    copied = await service.done(f"{draft}/copy", {})
    assert copied["parameters"]["parameters"]["who"] == ERASED
    read_back = await service.post(f"{draft}/parameters", copied["parameters"])
    assert read_back.pointers == ["/parameters/who", "/parameters/brands"]
    run = await service.done(f"{schedule}/run-now", {})
    collection = await service.finished(run, seconds=60)
    assert collection["backfill_status"] == "failed"
    progress = await service.read(f"/api/data-collections/{run['collection_id']}/progress")
    assert progress["segments"][0]["error"].startswith("personal_values_erased: the values of brands, who were erased")
    events = await read_after(service.program.pool, 0, 10_000)
    started = [event for event in events if event.event_type == "collection.created"]
    assert is_token(msgspec.json.decode(started[-1].configuration)["parameters"]["who"])
