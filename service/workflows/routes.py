"""`/api/workflows`: add them, list them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.append import Write
from events.envelope import NewEvent, new_id, stream_of
from events.types.workflow import DeclaredParameter, WorkflowCreated
from events.validation import INVALID, Body, Problem
from service.auth.caller import Caller, caller_of
from service.commands import Commands, Decision
from service.endpoints import Answer, Endpoint, Position, Query, Recorded, read_query
from service.http import json_response, wait_position

Name = Annotated[str, Meta(min_length=1, max_length=200)]
PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class CreateWorkflow(Body, frozen=True, kw_only=True):
    """SQL that goes to AMC unchanged; it reads its parameters with CUSTOM_PARAMETER('name')."""

    name: Name
    sql_query: Annotated[str, Meta(min_length=1, max_length=100_000)]
    parameters: tuple[DeclaredParameter, ...] = ()

    @classmethod
    def rules(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        if isinstance(sql := given.get("sql_query"), str):
            for found in sorted(set(PLACEHOLDER.findall(sql))):
                yield Problem("/sql_query", f"holds {{{{{found}}}}}; write CUSTOM_PARAMETER('{found}') in its place")
        declared = given.get("parameters", ())
        names = [parameter.name for parameter in declared] if declared is not INVALID else []
        for index, name in enumerate(names):
            if not name or name in names[:index]:
                problem = f"declares {name} a second time; remove it" if name else "is empty; give the SQL's name"
                yield Problem(f"/parameters/{index}/name", problem)


class WorkflowCreatedAnswer(Recorded, frozen=True, kw_only=True):
    workflow_id: str


class WorkflowAnswer(Answer, frozen=True, kw_only=True):
    """A workflow, by its newest version."""

    workflow_id: str
    name: str
    sql_query: str
    parameters: list[DeclaredParameter]
    created_at: datetime


class WorkflowPage(Answer, frozen=True, kw_only=True):
    items: list[WorkflowAnswer]


class ReadAll(Query, frozen=True, kw_only=True):
    """A list that may wait for the read models to have applied `min_position`."""

    min_position: Position = 0


def workflow_routes(pool: Pool, commands: Commands) -> list[Endpoint]:
    """The routes over the log that `commands` appends to and the read models behind `pool`."""

    async def create_workflow(request: Request) -> Response:
        async def decide(body: CreateWorkflow, caller: Caller) -> Decision:
            workflow_id = str(new_id())
            data = WorkflowCreated(body.name, body.sql_query, body.parameters)
            return Decision((_write(workflow_id, data, caller),), WorkflowCreatedAnswer(workflow_id=workflow_id), 201)

        return await commands.run(request, CreateWorkflow, decide)

    async def list_workflows(request: Request) -> Response:
        await wait_position(pool, read_query(request, ReadAll).min_position)
        rows = await pool.fetch(
            "SELECT workflow_id, name, sql_query, parameters, created_at FROM workflows"
            " WHERE team_id = $1 ORDER BY workflow_id",
            caller_of(request).team_id,
        )
        items = [dict(row) | {"parameters": msgspec.Raw(row["parameters"].encode())} for row in rows]
        return json_response({"items": items})

    return [
        Endpoint(
            "POST",
            "/api/workflows",
            create_workflow,
            summary="Save SQL as a workflow",
            body=CreateWorkflow,
            answer=WorkflowCreatedAnswer,
            status=201,
            scope="reports:write",
        ),
        Endpoint(
            "GET",
            "/api/workflows",
            list_workflows,
            summary="List the team's workflows",
            query=ReadAll,
            answer=WorkflowPage,
            refusals=("projection_behind",),
        ),
    ]


def _write(workflow_id: str, data: WorkflowCreated, caller: Caller) -> Write:
    event = NewEvent(data=data, team_id=caller.team_id, user_id=caller.user_id, workflow_id=workflow_id)
    return Write(stream_of("workflow", workflow_id), "none", (event,))
