"""A projection that meets what it cannot apply stands before it, says where and why, and goes on once it is mended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from events import registry
from events.envelope import new_id
from events.registry import EventType
from events.types.workflow import WorkflowChanged, WorkflowCreated
from projections.runner import wait_projected
from projections.status import read_status
from tests.integration.http.test_schedules_cli import typed
from tests.metrics import Scraped
from tests.postgres import Database
from tests.recording import append, collection, record, record_moves, request, workflow
from tests.service import Service, serving, settings_for


class LaterWorkflow(msgspec.Struct, frozen=True):
    """What a newer release records: version 2 of `workflow.created`."""

    title: str
    sql: str


NEWER = EventType("workflow.created", 2, LaterWorkflow, {}, msgspec.json.Decoder(LaterWorkflow))


async def readiness(service: Service, projector: str | None) -> Any:
    """Waits until the projector's problem is as said; answers what `/readyz` does."""
    async with asyncio.timeout(20):
        while True:
            answer = await service.get("/readyz")
            problem = answer.json["problems"].get("projector")
            if problem == projector or (projector and problem and problem.startswith(projector)):
                return answer
            await asyncio.sleep(0.02)


async def record_newer(connection: asyncpg.Connection[Any], stream: str) -> int:
    """As a process of the newer release would."""
    known = registry._NAMES
    registry._NAMES = {**known, LaterWorkflow: NEWER}
    try:
        return await record(connection, stream, LaterWorkflow("Reach", "SELECT 1"))
    finally:
        registry._NAMES = known


async def test_it_stands_before_an_event_of_a_newer_release_until_this_one_knows_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In `/readyz`, in the metrics, and for `projections status` of any process."""
    monkeypatch.setattr("projections.runner.RETRY_AFTER", 0.05)
    monkeypatch.setattr("service.operations.scrape.FRESH", 0.0)
    log = await asyncpg.connect(database.service_url)
    async with serving(settings_for(database, tmp_path), ("api", "projector")) as service:
        changes = (WorkflowChanged(str(number), "SELECT 1") for number in range(30))
        before = await record(log, "workflow-w1", workflow(), *changes)
        position = await record_newer(log, "workflow-w2")
        last = await record(log, "workflow-w3", workflow())
        service.program.feed.appended(last)

        answer = await readiness(service, f"position {position}: UnknownEvent: workflow.created version 2")
        assert (answer.status, answer.json["status"], answer.json["projection_behind"]) == (503, "unready", 2)
        # All that is before it is applied.
        assert await wait_projected(service.program.pool, before)
        assert await log.fetchval("SELECT name FROM workflows") == "29"
        metrics = Scraped((await service.get("/metrics")).body.decode())
        stopped = {"projection": "read_models", "error": "UnknownEvent"}
        assert metrics.value("report_builder_projection_stopped_position", **stopped) == position

        status = await typed("projections", "status", DATABASE_URL=database.service_url)
        assert status.exit_code == 1
        assert f"read_models: stopped at position {position} since" in status.output
        assert "UnknownEvent: workflow.created version 2 is not known to this release" in status.output
        rebuilt = await typed("projections", "rebuild", DATABASE_URL=database.service_url)
        assert str(rebuilt.exception).startswith(f"position {position} (workflow.created, version 2, of workflow-w2)")

        # As after a restart with the newer release, which brings the older version up.
        lifted = msgspec.structs.replace(
            registry.REGISTRY["workflow.created"],
            version=2,
            upcasters={1: lambda body: body},
            decoder=_Lifting(),
        )
        monkeypatch.setitem(registry.REGISTRY, "workflow.created", lifted)
        assert (await readiness(service, None)).status == 200
        assert await wait_projected(service.program.pool, last)
        assert await log.fetchval("SELECT name FROM workflows WHERE workflow_id = 'w2'") == "Reach"
        metrics = Scraped((await service.get("/metrics")).body.decode())
        assert metrics.value("report_builder_projection_stopped_position") == 0
        status = await typed("projections", "status", "--json", DATABASE_URL=database.service_url)
        assert status.exit_code == 0
        shown = msgspec.json.decode(status.output)
        models, blocks = shown["projections"]
        assert (models["projection"], models["position"], models["lag"], models["state"]) == (
            "read_models",
            last,
            0,
            "up_to_date",
        )
        assert (blocks["projection"], blocks["position"], blocks["state"]) == ("activity_blocks", 0, "up_to_date")
    await log.close()


class _Lifting:
    """Reads version 2 as what the handlers of this release know."""

    def decode(self, body: str) -> WorkflowCreated:
        later = msgspec.json.decode(body, type=LaterWorkflow)
        return WorkflowCreated(later.title, later.sql)


async def test_it_stands_before_an_event_that_a_constraint_refuses_until_the_tables_are_mended(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.runner.RETRY_AFTER", 0.05)
    log = await asyncpg.connect(database.service_url)
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("ALTER TABLE workflows ADD CONSTRAINT no_reach CHECK (name <> 'Reach')")
    await record(log, "workflow-w1", workflow("Frequency"), WorkflowChanged("Overlap", "SELECT 1"))
    position = await record(log, "workflow-w2", workflow("Reach"))
    lost = collection(1).segments[0].segment_id
    async with serving(settings_for(database, tmp_path), ("api", "projector")) as service:
        answer = await readiness(service, f"position {position}: CheckViolationError:")
        assert "no_reach" in answer.json["problems"]["projector"]
        status = await read_status(log)
        assert (status.projections[0].state, status.projections[0].stopped_at) == ("stopped", position)
        assert await log.fetchval("SELECT name FROM workflows") == "Overlap"
        await admin.execute("ALTER TABLE workflows DROP CONSTRAINT no_reach")
        await readiness(service, None)
        assert await log.fetchval("SELECT count(*) FROM workflows") == 2

        # A process without the projector says nothing of it in its own readiness, but the status does.
        orphan = await record_moves(log, new_id(), lost, "admit")
        await readiness(service, f"position {orphan}: ProjectionError: report_data_weeks has no {lost}")
    async with serving(settings_for(database, tmp_path), ("api",)) as alone:
        answer = await alone.get("/readyz")
        assert (answer.status, answer.json["problems"], answer.json["projection_behind"]) == (200, {}, 1)
    assert (await read_status(log)).projections[0].stopped_by == f"ProjectionError: report_data_weeks has no {lost}"
    await append(log, request("report-1"))
    for connection in (log, admin):
        await connection.close()


async def test_the_commands_rebuild_verify_and_name_what_differs(database: Database) -> None:
    log = await asyncpg.connect(database.service_url)
    position = await record(log, "workflow-w1", workflow())

    async def said(*arguments: str, exit_code: int = 0) -> str:
        result = await typed("projections", *arguments, DATABASE_URL=database.service_url)
        assert result.exit_code == exit_code, result.output
        return result.stdout

    assert f"read_models: behind, at position 0, {position} behind" in await said("status")
    assert await said("rebuild", "--reason", "first") == (
        f"rebuilt at position {position}: 0 rows removed, 1 added, 0 changed\n"
    )
    assert f"at position {position} (first): 0 rows removed, 1 added, 0 changed" in await said("status")
    assert await said("verify") == f"the read models are what the log gives, at position {position}\n"
    await log.execute("UPDATE workflows SET name = 'changed by hand'")
    found = await said("verify", exit_code=1)
    assert f"the read models differ from the log, at position {position}\n" in found
    assert 'first: workflows w1: name is "changed by hand", the events give "Reach by campaign"\n' in found
    assert "workflows: 0 rows that no event explains, 0 missing, 1 with other values\n" in found
    shown = msgspec.json.decode(await said("verify", "--json", exit_code=1))
    assert shown["differences"] == {"workflows": {"removed": 0, "added": 0, "changed": 1}}
    assert shown["first"]["column"] == "name"
    rebuilt = msgspec.json.decode(await said("rebuild", "--json"))
    assert rebuilt["difference"] == {"removed": 0, "added": 0, "changed": 1}
    await log.execute(
        'INSERT INTO workflows SELECT (jsonb_populate_record(w, \'{"workflow_id": "w9"}\')).* FROM workflows w'
    )
    assert "first: workflows w9 is there, and no event explains it: {" in await said("verify", exit_code=1)
    await log.execute("DELETE FROM workflows")
    assert "first: workflows w1 is missing, the events give {" in await said("verify", exit_code=1)
    await log.close()
