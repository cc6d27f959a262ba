"""Events of version 1 are read after version 2 of their type has come: in the stream, by the projection, by a rebuild,
as of any moment; what is stored stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from events.envelope import NewEvent
from events.types.workflow import WorkflowCreated
from projections.rebuild import rebuild, verify
from projections.runner import wait_projected
from tests.evolving import introduce
from tests.postgres import Database
from tests.recording import append, request, workflow
from tests.service import Service, serving, settings_for


class DescribedWorkflow(WorkflowCreated, frozen=True, kw_only=True):
    """Version 2: what the workflow is for is said, and its name no longer holds it in brackets."""

    purpose: str


def with_purpose(body: dict[str, Any]) -> dict[str, Any]:
    """From version 1, whose names were `name (purpose)`."""
    name, _, purpose = body["name"].partition(" (")
    return {**body, "name": name, "purpose": purpose.removesuffix(")") or "unknown"}


def event(data: msgspec.Struct) -> NewEvent:
    return NewEvent(data=data, team_id="local", workflow_id="w")


async def pages(service: Service) -> tuple[list[Any], list[Any]]:
    """The events of the two workflows: as JSON, and as lines."""
    answer = await service.get("/api/events?type=workflow.created", Accept="application/x-ndjson")
    lines = [msgspec.json.decode(line) for line in answer.body.splitlines()]
    return (await service.read("/api/events?type=workflow.created"))["events"], lines


async def test_events_of_version_1_are_read_after_version_2_has_come(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await asyncpg.connect(database.service_url)
    old = WorkflowCreated("Reach (weekly review)", workflow().sql_query)
    await append(log, request("workflow-w1", event(old)))
    async with serving(settings_for(database, tmp_path), ("api", "projector")) as service:
        assert await wait_projected(service.program.pool, 1)
        (before,), _ = await pages(service)
    stored = await log.fetchrow("SELECT * FROM report_builder_audit")
    assert stored is not None

    introduce(monkeypatch, "workflow.created", DescribedWorkflow, with_purpose)
    await append(log, request("workflow-w2", event(DescribedWorkflow("Frequency", "SELECT 1", purpose="monthly"))))
    async with serving(settings_for(database, tmp_path), ("api", "projector")) as service:
        # The stream has each body as it was recorded, and says in which version.
        events, lines = await pages(service)
        assert events == lines
        assert events[0] == before
        assert [each["dataschema"] for each in events] == [
            "/schemas/workflow.created/1.json",
            "/schemas/workflow.created/2.json",
        ]
        assert [sorted(each["data"]) for each in events] == [
            ["name", "parameters", "sql_query"],
            ["name", "parameters", "purpose", "sql_query"],
        ]
        # What reads events to know how things stand has the current version of each.
        assert await wait_projected(service.program.pool, 2)
        assert await service.program.pool.fetchval("SELECT name FROM workflows WHERE workflow_id = 'w2'") == "Frequency"
        state = await service.read("/api/audit/state/workflow-w1?at_position=1")
        assert state["rows"]["workflows"][0]["name"] == "Reach"
        (latest,) = state["latest"]
        assert (latest["schema_version"], latest["configuration"]["purpose"]) == (1, "weekly review")
    # The row that the release before has made of it is not what this one makes; a rebuild is for that.
    found = await verify(database.service_url)
    assert found.first is not None
    assert (found.first.column, found.first.live, found.first.events) == ("name", "Reach (weekly review)", "Reach")
    assert (await rebuild(database.service_url)).difference.changed == 1
    assert (await verify(database.service_url)).differences == {}
    assert await log.fetchrow("SELECT * FROM report_builder_audit WHERE position = 1") == stored
    await log.close()
