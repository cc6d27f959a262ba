"""`/api/workflows`, with their versions."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.append import Write
from events.envelope import NewEvent, new_id, stream_of
from events.types.workflow import (
    WorkflowArchived,
    WorkflowChanged,
    WorkflowContent,
    WorkflowCreated,
    WorkflowUnarchived,
)
from service.amc.instances import load_instance
from service.auth.caller import Caller, caller_of
from service.clock import Clock
from service.commands import Commands, Decision
from service.data_collections.lookback import RETENTION_DAYS
from service.endpoints import Endpoint, path_id, read_query
from service.http import etag, json_response, keeping_json, newest, page_of, read_cursor, refuse_stale, wait_position
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


def workflow_routes(pool: Pool, commands: Commands, clock: Clock) -> list[Endpoint]:
    """The routes over the log that `commands` appends to and the read models behind `pool`."""

    async def create_workflow(request: Request) -> Response:
        async def decide(body: CreateWorkflow, caller: Caller) -> Decision:
            workflow_id = str(new_id())
            data = WorkflowCreated(body.name, body.sql_query, body.declared)
            answer = WorkflowRecorded(workflow_id=workflow_id, version=1, warnings=warnings_of(data))
            return Decision((_write(workflow_id, data, caller),), answer, 201)

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
        cursor = newest("created_at", "workflow_id")
        return json_response(page_of(rows, query.limit, cursor, lambda row: keeping_json(row, "parameters")))

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
        instance = None
        if query.instance_id is not None:
            instance = await load_instance(pool, query.instance_id, caller.team_id)
            if instance is None:
                raise Refused("not_found", f"there is no instance {query.instance_id}")
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
    ]


async def _load(pool: Pool, request: Request, caller: Caller, version: int | None = None) -> Workflow:
    """The workflow that the path names, as it stands or stood at a version."""
    workflow_id = str(path_id(request, "workflow_id", "workflow"))
    state = await load_workflow(pool, workflow_id, caller.team_id, version)
    if state is None:
        at = "" if version is None else f" with a version {version}"
        raise Refused("not_found", f"there is no workflow {workflow_id}{at}")
    return state


def _recorded(state: Workflow, data: msgspec.Struct, caller: Caller) -> Decision:
    """One more event, appended at the version that was read."""
    event = NewEvent(data=data, team_id=caller.team_id, user_id=caller.user_id, workflow_id=state.workflow_id)
    content = data if isinstance(data, WorkflowContent) else state.content
    return Decision(
        (Write(stream_of("workflow", state.workflow_id), state.version, (event,)),),
        WorkflowRecorded(workflow_id=state.workflow_id, version=state.version + 1, warnings=warnings_of(content)),
    )


def _write(workflow_id: str, data: msgspec.Struct, caller: Caller) -> Write:
    event = NewEvent(data=data, team_id=caller.team_id, user_id=caller.user_id, workflow_id=workflow_id)
    return Write(stream_of("workflow", workflow_id), "none", (event,))
