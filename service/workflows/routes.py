"""`/api/workflows` with their versions, and `/api/instances`."""

from __future__ import annotations

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
from events.types.workflow import (
    WorkflowArchived,
    WorkflowChanged,
    WorkflowContent,
    WorkflowCreated,
    WorkflowUnarchived,
)
from events.validation import Body
from service.auth.caller import Caller, caller_of
from service.clock import Clock
from service.commands import Commands, Decision
from service.data_collections.lookback import RETENTION_DAYS
from service.endpoints import Answer, Endpoint, Position, Query, Recorded, path_id, read_query
from service.http import cursor_of, etag, json_response, read_cursor, refuse_stale, wait_position
from service.problems import Refused
from service.workflows.models import (
    Archive,
    AvailableParameters,
    ChangeWorkflow,
    CreateWorkflow,
    ForInstance,
    ListVersions,
    ListWorkflows,
    LookbackConstraints,
    Name,
    ReadVersion,
    VersionPage,
    WorkflowDetail,
    WorkflowPage,
    WorkflowRecorded,
    available,
    shown,
    warnings_of,
)
from service.workflows.presets import DATA_DELAY_DAYS, lookback_limits, presets
from service.workflows.state import Workflow, load_workflow

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


class AddInstance(Body, frozen=True, kw_only=True):
    """An AMC instance, as Amazon names it, and this service's limits towards it."""

    instance_id: AMC_ID
    name: Name
    advertiser_id: AMC_ID
    marketplace_id: AMC_ID
    time_zone: ZoneName
    max_concurrent: Annotated[int, Meta(ge=1, le=1000)] = 10
    retention_days: Annotated[int, Meta(ge=1, le=3650)] = 425


class InstanceAddedAnswer(Recorded, frozen=True, kw_only=True):
    instance_id: str


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


def workflow_routes(pool: Pool, commands: Commands, clock: Clock) -> list[Endpoint]:
    """The routes over the log that `commands` appends to and the read models behind `pool`."""

    async def create_workflow(request: Request) -> Response:
        async def decide(body: CreateWorkflow, caller: Caller) -> Decision:
            workflow_id = str(new_id())
            data = WorkflowCreated(body.name, body.sql_query, body.declared)
            answer = WorkflowRecorded(workflow_id=workflow_id, version=1, warnings=warnings_of(data))
            return Decision((_write("workflow", workflow_id, data, caller),), answer, 201)

        return await commands.run(request, CreateWorkflow, decide)

    async def change_workflow(request: Request) -> Response:
        async def decide(body: ChangeWorkflow, caller: Caller) -> Decision:
            state = await _load(pool, request, caller)
            refuse_stale(request, state.version, "workflow")
            if state.archived:
                raise Refused("archived", "unarchive the workflow first, then change it")
            return _recorded(state, WorkflowChanged(body.name, body.sql_query, body.declared), caller)

        return await commands.run(request, ChangeWorkflow, decide)

    async def archive_workflow(request: Request) -> Response:
        async def decide(body: Archive, caller: Caller) -> Decision:
            state = await _load(pool, request, caller)
            refuse_stale(request, state.version, "workflow")
            if state.archived:
                raise Refused("archived", "the workflow is archived already")
            return _recorded(state, WorkflowArchived(), caller)

        return await commands.run(request, Archive, decide)

    async def unarchive_workflow(request: Request) -> Response:
        async def decide(body: Archive, caller: Caller) -> Decision:
            state = await _load(pool, request, caller)
            refuse_stale(request, state.version, "workflow")
            if not state.archived:
                raise Refused("not_archived", "the workflow can be used as it is")
            return _recorded(state, WorkflowUnarchived(), caller)

        return await commands.run(request, Archive, decide)

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
        query = read_query(request, ListWorkflows)
        await wait_position(pool, query.min_position)
        rows = await pool.fetch(
            # Ids are made in order of time, so the newest are the largest.
            "SELECT workflow_id, stream_version AS version, name, sql_query, parameters, archived, created_at,"
            "       user_id AS created_by, updated_at, updated_by"
            "  FROM workflows"
            " WHERE team_id = $1 AND archived = $2"
            "   AND ($3::text IS NULL OR strpos(lower(name), lower($3)) > 0)"
            "   AND ($4::text IS NULL OR workflow_id < $4)"
            " ORDER BY workflow_id DESC LIMIT $5",
            caller_of(request).team_id,
            query.archived,
            query.search,
            str(read_cursor(query.cursor)[1]) if query.cursor else None,
            query.limit + 1,
        )
        items = [dict(row) | {"parameters": msgspec.Raw(row["parameters"].encode())} for row in rows[: query.limit]]
        last = items[-1] if len(rows) > query.limit else None
        cursor = cursor_of(last["created_at"], last["workflow_id"]) if last else None
        return json_response({"items": items, "next_cursor": cursor})

    async def read_workflow(request: Request) -> Response:
        state = await _load(pool, request, caller_of(request), read_query(request, ReadVersion).version)
        answer = WorkflowDetail(**shown(state), warnings=warnings_of(state.content))
        return json_response(answer, headers=etag(state.version))

    async def list_versions(request: Request) -> Response:
        query = read_query(request, ListVersions)
        state = await _load(pool, request, caller_of(request))
        older = [each for each in reversed(state.history) if query.cursor is None or each.version < query.cursor]
        cursor = str(older[query.limit - 1].version) if len(older) > query.limit else None
        return json_response(VersionPage(items=older[: query.limit], next_cursor=cursor))

    async def available_parameters(request: Request) -> Response:
        query = read_query(request, ForInstance)
        caller = caller_of(request)
        state = await _load(pool, request, caller)
        instance = await _instance(pool, query.instance_id, caller) if query.instance_id is not None else None
        zone = query.timezone or (instance.time_zone if instance else "UTC")
        retention = instance.retention_days if instance else RETENTION_DAYS
        as_of = clock.today(zone)
        lookback = LookbackConstraints(
            instance_id=query.instance_id,
            timezone=zone,
            retention_days=retention,
            data_delay_days=DATA_DELAY_DAYS,
            limits=lookback_limits(as_of, retention),
            presets=presets(as_of, retention),
        )
        return json_response(
            AvailableParameters(
                workflow_id=state.workflow_id,
                version=state.version,
                parameters=available(state.content.parameters),
                lookback=lookback,
            )
        )

    async def list_instances(request: Request) -> Response:
        await wait_position(pool, read_query(request, ReadAll).min_position)
        rows = await pool.fetch(
            "SELECT instance_id, name, advertiser_id, marketplace_id, time_zone, max_concurrent, retention_days"
            "  FROM amc_instances WHERE team_id = $1 ORDER BY instance_id",
            caller_of(request).team_id,
        )
        return json_response({"items": [dict(row) for row in rows]})

    one = "/api/workflows/{workflow_id}"
    return [
        Endpoint(
            "POST",
            "/api/workflows",
            create_workflow,
            summary="Save SQL as a workflow",
            body=CreateWorkflow,
            answer=WorkflowRecorded,
            status=201,
            scope="reports:write",
        ),
        Endpoint(
            "GET",
            "/api/workflows",
            list_workflows,
            summary="List the team's workflows",
            query=ListWorkflows,
            answer=WorkflowPage,
            refusals=("projection_behind",),
        ),
        Endpoint(
            "GET",
            one,
            read_workflow,
            summary="Read a workflow, as it stands or as it stood at a version",
            query=ReadVersion,
            answer=WorkflowDetail,
            refusals=("not_found",),
        ),
        Endpoint(
            "PUT",
            one,
            change_workflow,
            summary="Give a workflow a new version",
            body=ChangeWorkflow,
            answer=WorkflowRecorded,
            scope="reports:write",
            refusals=("not_found", "stale", "version_conflict", "archived"),
        ),
        Endpoint(
            "GET",
            one + "/versions",
            list_versions,
            summary="List who changed a workflow, when and what",
            query=ListVersions,
            answer=VersionPage,
            refusals=("not_found",),
        ),
        Endpoint(
            "GET",
            one + "/available-parameters",
            available_parameters,
            summary="List what to ask before a workflow runs: its parameters and the lookbacks it can have",
            query=ForInstance,
            answer=AvailableParameters,
            refusals=("not_found",),
        ),
        Endpoint(
            "POST",
            one + "/archive",
            archive_workflow,
            summary="Put a workflow out of the way",
            body=Archive,
            answer=WorkflowRecorded,
            scope="reports:write",
            refusals=("not_found", "stale", "version_conflict", "archived"),
        ),
        Endpoint(
            "POST",
            one + "/unarchive",
            unarchive_workflow,
            summary="Take an archived workflow back",
            body=Archive,
            answer=WorkflowRecorded,
            scope="reports:write",
            refusals=("not_found", "stale", "version_conflict", "not_archived"),
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


async def _load(pool: Pool, request: Request, caller: Caller, version: int | None = None) -> Workflow:
    """The workflow that the path names, as it stands or stood at a version."""
    workflow_id = str(path_id(request, "workflow_id", "workflow"))
    state = await load_workflow(pool, workflow_id, caller.team_id, version)
    if state is None:
        at = "" if version is None else f" with a version {version}"
        raise Refused("not_found", f"there is no workflow {workflow_id}{at}")
    return state


async def _instance(pool: Pool, instance_id: str, caller: Caller) -> InstanceAdded:
    events = await read_stream(pool, stream_of("instance", instance_id))
    if not events or events[0].team_id != caller.team_id:
        raise Refused("not_found", f"there is no instance {instance_id}")
    added = events[0].data
    assert isinstance(added, InstanceAdded)
    return added


def _recorded(state: Workflow, data: msgspec.Struct, caller: Caller) -> Decision:
    """One more event, appended at the version that was read."""
    event = NewEvent(data=data, team_id=caller.team_id, user_id=caller.user_id, workflow_id=state.workflow_id)
    content = data if isinstance(data, WorkflowContent) else state.content
    return Decision(
        (Write(stream_of("workflow", state.workflow_id), state.version, (event,)),),
        WorkflowRecorded(workflow_id=state.workflow_id, version=state.version + 1, warnings=warnings_of(content)),
    )


def _write(category: Any, entity_id: str, data: msgspec.Struct, caller: Caller) -> Write:
    workflow_id = entity_id if category == "workflow" else None
    event = NewEvent(data=data, team_id=caller.team_id, user_id=caller.user_id, workflow_id=workflow_id)
    return Write(stream_of(category, entity_id), "none", (event,))
