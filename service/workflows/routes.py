"""`/api/workflows` and `/api/instances`: add them, list them."""

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
from events.configurations import ZoneName
from events.envelope import NewEvent, new_id, stream_of
from events.reader import read_stream
from events.types.instance import InstanceAdded
from events.types.workflow import DeclaredParameter, WorkflowCreated
from events.validation import INVALID, Body, Problem
from service.auth.caller import Caller, caller_of
from service.commands import Commands, Decision
from service.endpoints import Answer, Endpoint, Position, Query, Recorded, read_query
from service.http import json_response, wait_position
from service.problems import Refused

Name = Annotated[str, Meta(min_length=1, max_length=200)]
PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
AMC_ID = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        # It becomes part of AMC's addresses, so it is never `..`; and `$` alone would let a line break pass.
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$(?!\n)",
        extra={"expected": "AMC's id: letters, digits, dots, hyphens, underscores, a letter or digit first"},
    ),
]


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


class AddInstance(Body, frozen=True, kw_only=True):
    """An AMC instance, as Amazon names it, and this service's limits towards it."""

    instance_id: AMC_ID
    name: Name
    advertiser_id: AMC_ID
    marketplace_id: AMC_ID
    time_zone: ZoneName
    max_concurrent: Annotated[int, Meta(ge=1, le=1000)] = 10
    retention_days: Annotated[int, Meta(ge=1, le=3650)] = 425


class WorkflowCreatedAnswer(Recorded, frozen=True, kw_only=True):
    workflow_id: str


class InstanceAddedAnswer(Recorded, frozen=True, kw_only=True):
    instance_id: str


class WorkflowAnswer(Answer, frozen=True, kw_only=True):
    """A workflow, by its newest version."""

    workflow_id: str
    name: str
    sql_query: str
    parameters: list[DeclaredParameter]
    created_at: datetime


class WorkflowPage(Answer, frozen=True, kw_only=True):
    items: list[WorkflowAnswer]


class InstanceAnswer(Answer, frozen=True, kw_only=True):
    """An AMC instance, and this service's limits towards it."""

    instance_id: str
    name: str
    advertiser_id: str
    marketplace_id: str
    time_zone: str
    max_concurrent: int
    retention_days: int


class InstancePage(Answer, frozen=True, kw_only=True):
    items: list[InstanceAnswer]


class ReadAll(Query, frozen=True, kw_only=True):
    """A list that may wait for the read models to have applied `min_position`."""

    min_position: Position = 0


def workflow_routes(pool: Pool, commands: Commands) -> list[Endpoint]:
    """The routes over the log that `commands` appends to and the read models behind `pool`."""

    async def create_workflow(request: Request) -> Response:
        async def decide(body: CreateWorkflow, caller: Caller) -> Decision:
            workflow_id = str(new_id())
            data = WorkflowCreated(body.name, body.sql_query, body.parameters)
            return Decision(
                (_write("workflow", workflow_id, data, caller),), WorkflowCreatedAnswer(workflow_id=workflow_id), 201
            )

        return await commands.run(request, CreateWorkflow, decide)

    async def add_instance(request: Request) -> Response:
        async def decide(body: AddInstance, caller: Caller) -> Decision:
            values = msgspec.structs.asdict(body)
            instance_id = values.pop("instance_id")
            if await read_stream(pool, stream_of("instance", instance_id)):
                raise Refused("already_exists", f"the instance {instance_id} has been added before")
            write = _write("instance", instance_id, InstanceAdded(**values), caller)
            return Decision((write,), InstanceAddedAnswer(instance_id=instance_id), 201)

        return await commands.run(request, AddInstance, decide)

    async def list_workflows(request: Request) -> Response:
        await wait_position(pool, read_query(request, ReadAll).min_position)
        rows = await pool.fetch(
            "SELECT workflow_id, name, sql_query, parameters, created_at FROM workflows"
            " WHERE team_id = $1 ORDER BY workflow_id",
            caller_of(request).team_id,
        )
        items = [dict(row) | {"parameters": msgspec.Raw(row["parameters"].encode())} for row in rows]
        return json_response({"items": items})

    async def list_instances(request: Request) -> Response:
        await wait_position(pool, read_query(request, ReadAll).min_position)
        rows = await pool.fetch(
            "SELECT instance_id, name, advertiser_id, marketplace_id, time_zone, max_concurrent, retention_days"
            "  FROM amc_instances WHERE team_id = $1 ORDER BY instance_id",
            caller_of(request).team_id,
        )
        return json_response({"items": [dict(row) for row in rows]})

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
        Endpoint(
            "POST",
            "/api/instances",
            add_instance,
            summary="Add an AMC instance",
            body=AddInstance,
            answer=InstanceAddedAnswer,
            status=201,
            scope="admin",
            refusals=("already_exists",),
        ),
        Endpoint(
            "GET",
            "/api/instances",
            list_instances,
            summary="List the team's AMC instances",
            query=ReadAll,
            answer=InstancePage,
            refusals=("projection_behind",),
        ),
    ]


def _write(category: Any, entity_id: str, data: msgspec.Struct, caller: Caller) -> Write:
    workflow_id = entity_id if category == "workflow" else None
    event = NewEvent(data=data, team_id=caller.team_id, user_id=caller.user_id, workflow_id=workflow_id)
    return Write(stream_of(category, entity_id), "none", (event,))
