"""`/api/reports`: begin a report, post its steps one by one, read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.append import Write
from events.configurations import ParametersStep, ScheduleStep
from events.envelope import Metadata, NewEvent, Step, new_id, stream_of
from events.reader import read_stream
from events.types.report import ParametersSet, ReportCreated, Reviewed
from events.types.workflow import WorkflowCreated
from events.validation import Problem
from service import clock
from service.amc.instances import load_instance
from service.auth.caller import Caller, caller_of
from service.builder import decide
from service.builder.models import CreateReport, Ground, Report, Review, Submit, report_of
from service.commands import Commands, Decision
from service.data_collections.plan import plan_segments
from service.data_collections.segmentation import Segment
from service.endpoints import Answer, Endpoint, Recorded, path_id
from service.http import etag, json_response
from service.problems import Refused


class ReportAnswer(Recorded, frozen=True, kw_only=True):
    """A report as it stands; `version` is what `If-Match` names."""

    report_id: UUID
    version: int
    name: str
    next_step: Step | None
    parameters: ParametersSet | None = None
    schedule: ScheduleStep | None = None
    review: Reviewed | None = None
    changed_since_review: tuple[str, ...] = ()
    collection_id: UUID | None = None


class WindowAnswer(Answer, frozen=True, kw_only=True):
    """Dates in `timezone`, both included."""

    start: date
    end: date
    timezone: str


class ReviewAnswer(ReportAnswer, frozen=True, kw_only=True):
    """Everything that a person must see before they submit."""

    digest: str
    as_of: date
    window: WindowAnswer
    sql_query: str
    amc_executions: int
    segments: list[Segment]
    warnings: list[str]


class SubmittedAnswer(ReportAnswer, frozen=True, kw_only=True):
    """What was set to work."""

    segments_total: int


def builder_routes(pool: Pool, commands: Commands) -> list[Endpoint]:
    """The builder's routes over the log that `pool` reads and `commands` appends to."""

    async def create(request: Request) -> Response:
        async def decide_create(body: CreateReport, caller: Caller) -> Decision:
            report_id = new_id()
            event = _event(ReportCreated(body.name), report_id, caller)
            return Decision(
                (Write(stream_of("report", report_id), "none", (event,)),),
                ReportAnswer(report_id=report_id, version=1, name=body.name, next_step="parameters"),
                201,
            )

        return await commands.run(request, CreateReport, decide_create)

    async def read(request: Request) -> Response:
        report_id, state = await _load(pool, request, caller_of(request))
        return json_response(ReportAnswer(**_shown(report_id, state)), headers=etag(state.version))

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
                kind=ReviewAnswer,
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
            answer = SubmittedAnswer(**msgspec.structs.asdict(decision.answer), segments_total=len(collection.segments))
            return Decision((*decision.writes, write), answer, 202)

        return await commands.run(request, Submit, decide_submit)

    steps = "/api/reports/{report_id}"
    step_refusals = ("not_found", "stale", "already_submitted", "version_conflict")
    return [
        Endpoint(
            "POST",
            "/api/reports",
            create,
            summary="Begin a report",
            body=CreateReport,
            answer=ReportAnswer,
            status=201,
            scope="reports:write",
        ),
        Endpoint(
            "GET",
            steps,
            read,
            summary="Read a report and where it stands",
            answer=ReportAnswer,
            refusals=("not_found", "stale"),
        ),
        Endpoint(
            "POST",
            steps + "/parameters",
            set_parameters,
            summary="Step 1: set the parameters",
            body=ParametersStep,
            answer=ReportAnswer,
            scope="reports:write",
            refusals=step_refusals,
        ),
        Endpoint(
            "POST",
            steps + "/schedule",
            set_schedule,
            summary="Step 2: set the schedule",
            body=ScheduleStep,
            answer=ReportAnswer,
            scope="reports:write",
            refusals=("step_missing", *step_refusals),
        ),
        Endpoint(
            "POST",
            steps + "/review",
            review,
            summary="Step 3: review what will run",
            body=Review,
            answer=ReviewAnswer,
            scope="reports:write",
            refusals=("step_missing", *step_refusals),
        ),
        Endpoint(
            "POST",
            steps + "/submit",
            submit,
            summary="Step 4: set the reviewed configuration to work",
            body=Submit,
            answer=SubmittedAnswer,
            status=202,
            scope="reports:write",
            refusals=("step_missing", "not_reviewed", *step_refusals),
        ),
    ]


async def _load(pool: Pool, request: Request, caller: Caller) -> tuple[UUID, Report]:
    report_id = path_id(request, "report_id", "report")
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
    instance = await load_instance(pool, instance_id, caller.team_id)
    if instance is None:
        problems.append(Problem("/instance_id", "there is no such instance; add it with POST /api/instances"))
    if problems:
        raise Refused("invalid", "the report names what does not exist", problems=problems)
    assert isinstance(workflow, WorkflowCreated)
    assert instance is not None
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
    kind: type[ReportAnswer] = ReportAnswer,
    more: Callable[[Any], dict[str, Any]] = lambda data: {},
) -> Decision:
    """One step's event, appended at the version that was read, and the report as it then stands."""
    write = Write(stream_of("report", report_id), state.version, (_event(data, report_id, caller, workflow_id, step),))
    after = state.evolve(state.version + 1, data)
    return Decision((write,), kind(**_shown(report_id, after), **more(after)))


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
        "window": WindowAnswer(start=window.start, end=window.end, timezone=state.parameters.timezone),
        "sql_query": ground.workflow.sql_query,
        "amc_executions": len(planned),
        "segments": planned,
        "warnings": list(state.review.warnings),
    }


def _shown(report_id: UUID, state: Report) -> dict[str, Any]:
    return {
        "report_id": report_id,
        "version": state.version,
        "name": state.name,
        "next_step": state.next_step,
        "parameters": state.parameters,
        "schedule": state.schedule and state.schedule.schedule,
        "review": state.review,
        "changed_since_review": tuple(sorted(set(state.changed_since_review))),
        "collection_id": state.submission and state.submission.collection_id,
    }
