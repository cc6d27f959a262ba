"""`/api/reports`: begin a report, post its steps one by one, read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from db.pool import Pool
from events.append import Write
from events.configurations import ParametersStep, ScheduleStep
from events.envelope import Metadata, NewEvent, Step, new_id, stream_of
from events.reader import read_stream
from events.types.instance import InstanceAdded
from events.types.report import ParametersSet, ReportCreated
from events.types.workflow import WorkflowCreated
from events.validation import Problem
from service import clock
from service.auth.caller import Caller, caller_of
from service.builder import decide
from service.builder.models import CreateReport, Ground, Report, Review, Submit, report_of
from service.commands import Commands, Decision
from service.data_collections.plan import plan_segments
from service.http import etag, json_response
from service.problems import Refused


def builder_routes(pool: Pool, commands: Commands) -> list[Route]:
    """The builder's routes over the log that `pool` reads and `commands` appends to."""

    async def create(request: Request) -> Response:
        async def decide_create(body: CreateReport, caller: Caller) -> Decision:
            report_id = new_id()
            event = _event(ReportCreated(body.name), report_id, caller)
            return Decision(
                (Write(stream_of("report", report_id), "none", (event,)),),
                {"report_id": str(report_id), "name": body.name, "next_step": "parameters"},
                201,
            )

        return await commands.run(request, CreateReport, decide_create)

    async def read(request: Request) -> Response:
        report_id, state = await _load(pool, request, caller_of(request))
        return json_response(_shown(report_id, state), headers=etag(state.version))

    async def set_parameters(request: Request) -> Response:
        async def decide_parameters(body: ParametersStep, caller: Caller) -> Decision:
            report_id, state = await _load(pool, request, caller)
            ground = await _ground(pool, body.workflow_id, body.instance_id, caller)
            zone = body.timezone or ground.instance.time_zone
            data = decide.set_parameters(state, ground, body, clock.today(zone))
            return _step(report_id, state, caller, data, "parameters", body.workflow_id)

        return await commands.run(request, ParametersStep, decide_parameters)

    async def set_schedule(request: Request) -> Response:
        async def decide_schedule(body: ScheduleStep, caller: Caller) -> Decision:
            report_id, state = await _load(pool, request, caller)
            parameters, ground = await _standing(pool, state, caller)
            data = decide.set_schedule(state, ground, body, clock.today(parameters.timezone))
            return _step(report_id, state, caller, data, "schedule", parameters.workflow_id)

        return await commands.run(request, ScheduleStep, decide_schedule)  # type: ignore[arg-type]

    async def review(request: Request) -> Response:
        async def decide_review(body: Review, caller: Caller) -> Decision:
            report_id, state = await _load(pool, request, caller)
            parameters, ground = await _standing(pool, state, caller)
            data = decide.review(state, ground, clock.today(parameters.timezone))
            return _step(
                report_id,
                state,
                caller,
                data,
                "review",
                parameters.workflow_id,
                more=lambda reviewed: _review_answer(reviewed, ground),
            )

        return await commands.run(request, Review, decide_review)

    async def submit(request: Request) -> Response:
        async def decide_submit(body: Submit, caller: Caller) -> Decision:
            report_id, state = await _load(pool, request, caller)
            parameters, ground = await _standing(pool, state, caller)
            collection_id = new_id()
            submitted, collection = decide.submit(
                state, ground, body.digest, report_id=report_id, collection_id=collection_id
            )
            decision = _step(report_id, state, caller, submitted, "submit", parameters.workflow_id)
            created = _event(collection, collection_id, caller, parameters.workflow_id, causation=report_id)
            write = Write(stream_of("collection", collection_id), "none", (created,))
            answer = decision.answer | {
                "collection_id": str(collection_id),
                "segments_total": len(collection.segments),
            }
            return Decision((*decision.writes, write), answer, 202)

        return await commands.run(request, Submit, decide_submit)

    return [
        Route("/api/reports", create, methods=["POST"]),
        Route("/api/reports/{report_id}", read, methods=["GET"]),
        Route("/api/reports/{report_id}/parameters", set_parameters, methods=["POST"]),
        Route("/api/reports/{report_id}/schedule", set_schedule, methods=["POST"]),
        Route("/api/reports/{report_id}/review", review, methods=["POST"]),
        Route("/api/reports/{report_id}/submit", submit, methods=["POST"]),
    ]


async def _load(pool: Pool, request: Request, caller: Caller) -> tuple[UUID, Report]:
    text = request.path_params["report_id"]
    try:
        report_id = UUID(text)
    except ValueError:
        raise Refused("not_found", f"{text!r} is not a report's id") from None
    state = report_of(await read_stream(pool, stream_of("report", report_id)))
    if state.version == 0 or state.team_id != caller.team_id:
        raise Refused("not_found", f"there is no report {report_id}")
    expected = [tag.strip() for tag in request.headers.get("if-match", "*").split(",")]
    if "*" not in expected and f'"{state.version}"' not in expected:
        raise Refused(
            "stale",
            f'the report is at version {state.version}; read it again, then send If-Match: "{state.version}"',
            extra={"actual_version": state.version},
        )
    return report_id, state


async def _standing(pool: Pool, state: Report, caller: Caller) -> tuple[ParametersSet, Ground]:
    """The parameters that were set, and what they name as it stands now."""
    if state.parameters is None:
        raise Refused("step_missing", "post the parameters step first", extra={"missing": ["parameters"]})
    parameters = state.parameters
    return parameters, await _ground(pool, parameters.workflow_id, parameters.instance_id, caller)


async def _ground(pool: Pool, workflow_id: str, instance_id: str, caller: Caller) -> Ground:
    problems = []
    workflow = await _first(pool, stream_of("workflow", workflow_id), caller)
    if not isinstance(workflow, WorkflowCreated):
        problems.append(Problem("/workflow_id", "there is no such workflow; create it with POST /api/workflows"))
    instance = await _first(pool, stream_of("instance", instance_id), caller)
    if not isinstance(instance, InstanceAdded):
        problems.append(Problem("/instance_id", "there is no such instance; add it with POST /api/instances"))
    if problems:
        raise Refused("invalid", "the report names what does not exist", problems=problems)
    assert isinstance(workflow, WorkflowCreated)
    assert isinstance(instance, InstanceAdded)
    return Ground(workflow, instance)


async def _first(pool: Pool, stream: str, caller: Caller) -> msgspec.Struct | None:
    events = await read_stream(pool, stream)
    return events[0].data if events and events[0].team_id == caller.team_id else None


def _event(
    data: msgspec.Struct,
    entity: UUID,
    caller: Caller,
    workflow: str | None = None,
    step: Step | None = None,
    causation: UUID | None = None,
) -> NewEvent:
    return NewEvent(
        data=data,
        team_id=caller.team_id,
        user_id=caller.user_id,
        workflow_id=workflow,
        step_completed=step,
        metadata=Metadata(correlation_id=str(entity), causation_id=str(causation) if causation else None),
    )


def _step(
    report_id: UUID,
    state: Report,
    caller: Caller,
    data: Any,
    step: Step,
    workflow_id: str,
    more: Callable[[Any], dict[str, Any]] = lambda data: {},
) -> Decision:
    """One step's event, appended at the version that was read, and the report as it then stands."""
    write = Write(stream_of("report", report_id), state.version, (_event(data, report_id, caller, workflow_id, step),))
    after = state.evolve(state.version + 1, data)
    return Decision((write,), _shown(report_id, after) | more(after))


def _review_answer(state: Report, ground: Ground) -> dict[str, Any]:
    """Everything that a person must see before they submit."""
    assert state.review is not None
    assert state.parameters is not None
    assert state.schedule is not None
    window = decide.window_of(state.parameters, state.schedule.schedule, state.review.as_of)
    planned = plan_segments(window, decide.segmentation_of(state.schedule.schedule))
    return {
        "digest": state.review.digest,
        "as_of": state.review.as_of,
        "window": {"start": window.start, "end": window.end, "timezone": state.parameters.timezone},
        "sql_query": ground.workflow.sql_query,
        "amc_executions": len(planned),
        "segments": planned,
        "warnings": state.review.warnings,
    }


def _shown(report_id: UUID, state: Report) -> dict[str, Any]:
    return {
        "report_id": str(report_id),
        "version": state.version,
        "name": state.name,
        "next_step": state.next_step,
        "parameters": state.parameters,
        "schedule": state.schedule and state.schedule.schedule,
        "review": state.review,
        "changed_since_review": sorted(set(state.changed_since_review)),
        "collection_id": state.submission and state.submission.collection_id,
    }
