"""`/api/reports`: begin a report, post its steps one by one, read, list and copy it; and `/api/report-builder`:
the same in one call.

Both are one mechanism: a step takes the report as its events made it and gives the next event. The one-call
routes begin with a report that does not exist yet, and record its events together.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.append import Write
from events.configurations import ParametersStep, ScheduleStep
from events.envelope import Metadata, NewEvent, Step, new_id, stream_of
from events.types.report import ReportCreated, Submitted
from events.validation import decode
from service.auth.caller import Caller, caller_of
from service.builder import decide
from service.builder.answers import (
    ParametersStepAnswer,
    ReportAnswer,
    ReportItem,
    ReportPage,
    ReviewAnswer,
    ReviewContent,
    ScheduleStepAnswer,
    SubmittedAnswer,
    ValidatedParameters,
    shown,
)
from service.builder.ground import gather_facts, load_ground, load_report, read_as_of, refuse_lost_days, standing
from service.builder.models import (
    Configuration,
    CopyReport,
    CreateReport,
    Ground,
    Report,
    Review,
    Submit,
    SubmitConfiguration,
    ValidateParameters,
)
from service.builder.preview import (
    Preview,
    collected_window,
    is_bulk,
    preview,
    recurs,
    reusable,
    runs_once,
    warning_answers,
    window_answer,
)
from service.clock import Clock
from service.commands import Commands, Decision
from service.data_collections.lookback import earliest_allowed, lookback_dates, lookback_warnings
from service.data_collections.plan import content_key
from service.endpoints import Endpoint, Position, Query, Recorded, read_query
from service.http import cursor_of, etag, json_response, read_cursor, wait_position
from service.schedules.plan import fingerprint_of
from service.teams.limits import Teams
from service.workflows.filled import fill

StepAnswer = TypeVar("StepAnswer", bound=ReportAnswer)

STEP_REFUSALS = ("not_found", "stale", "already_submitted", "version_conflict")
LIMIT_REFUSALS = ("too_many_backfills", "too_many_schedules", "duplicate_schedule")


class ListReports(Query, frozen=True, kw_only=True):
    """Which reports to list; `cursor` is a `next_cursor`."""

    status: Literal["draft", "submitted"] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    min_position: Position = 0


class Draft(msgspec.Struct):
    """A report to which steps are added: its events so far, and what it then is."""

    report_id: UUID
    caller: Caller
    state: Report
    events: list[NewEvent] = msgspec.field(default_factory=list)
    began_at: int = 0

    def add(self, data: msgspec.Struct, step: Step | None = None) -> None:
        """The next event of the report's stream."""
        workflow = self.state.parameters.workflow_id if self.state.parameters else getattr(data, "workflow_id", None)
        self.events.append(_event(data, self.report_id, self.caller, workflow, step))
        self.state = self.state.evolve(self.state.version + 1, data)

    def write(self) -> Write:
        """What is to be appended: the new events, at the version that was read."""
        return Write(stream_of("report", self.report_id), self.began_at or "none", tuple(self.events))

    def answer(self, kind: type[StepAnswer] = ReportAnswer, **more: Any) -> StepAnswer:  # type: ignore[assignment]
        return kind(**shown(self.report_id, self.state), **more)


def builder_routes(pool: Pool, commands: Commands, teams: Teams, clock: Clock) -> list[Endpoint]:
    """The builder's routes over the log that `pool` reads and `commands` appends to; `clock` has their today."""

    async def opened(request: Request, caller: Caller) -> Draft:
        report_id, state = await load_report(pool, request, caller)
        decide.refuse_submitted(state)
        return Draft(report_id, caller, state, began_at=state.version)

    async def previewed(draft: Draft, ground: Ground, as_of: date) -> Preview:
        parameters, step = decide.configured(draft.state)
        facts = await gather_facts(pool, draft.caller, parameters, step, ground, as_of)
        return preview(parameters, step, ground, facts, as_of, clock.now())

    async def set_to_work(draft: Draft, ground: Ground, digest: str) -> Decision:
        """Step 4: the report's last event, and with it the collection, the schedule and their count in the team."""
        decide.refuse_unreviewed(draft.state, ground, digest)
        parameters, step = decide.configured(draft.state)
        assert draft.state.review is not None
        as_of = draft.state.review.as_of
        refuse_lost_days(collected_window(parameters, step, as_of), parameters.timezone, clock, ground)
        facts = await gather_facts(pool, draft.caller, parameters, step, ground, as_of)
        key = content_key(
            parameters.instance_id, ground.instance, ground.workflow, parameters.parameters, parameters.timezone
        )
        collection_id = new_id() if runs_once(step) else None
        schedule_id = new_id() if recurs(step) else None
        writes: list[Write] = []
        collection = decide.collection_of(
            draft.state,
            ground,
            report_id=draft.report_id,
            key=key,
            there=reusable(step, facts.existing, ground.instance.final_after_days),
            schedule_id=schedule_id,
        )
        if collection and collection_id:
            writes.append(_created("collection", collection_id, collection, draft, parameters.workflow_id))
        schedule = fingerprint = None
        if schedule_id:
            schedule = decide.schedule_of(
                draft.state,
                ground,
                report_id=draft.report_id,
                schedule_id=schedule_id,
                collection_id=collection_id,
                now=clock.now(),
            )
            fingerprint = fingerprint_of(schedule)
            writes.append(_created("schedule", schedule_id, schedule, draft, parameters.workflow_id))
        counted = await teams.admit(
            draft.caller,
            backfill=collection_id if is_bulk(step) else None,
            schedule=schedule_id,
            fingerprint=fingerprint or "",
        )
        draft.add(Submitted(digest, collection_id, schedule_id), "submit")
        answer = draft.answer(
            SubmittedAnswer,
            segments_total=len(collection.segments) if collection else None,
            segments_skipped=sum(bool(segment.reuses) for segment in collection.segments) if collection else None,
            next_run_at=schedule.next_due if schedule else None,
        )
        return Decision((draft.write(), *writes, *counted), answer, 202)

    async def create(request: Request) -> Response:
        async def decide_create(body: CreateReport, caller: Caller) -> Decision:
            draft = Draft(new_id(), caller, Report())
            draft.add(ReportCreated(body.name))
            return Decision((draft.write(),), draft.answer(), 201)

        return await commands.run(request, CreateReport, decide_create)

    async def copy(request: Request) -> Response:
        async def decide_copy(body: CopyReport, caller: Caller) -> Decision:
            original_id, original = await load_report(pool, request, caller)
            draft = Draft(new_id(), caller, Report())
            draft.add(ReportCreated(body.name or f"Copy of {original.name}"[:200], original_id))
            if original.parameters:
                draft.add(original.parameters, "parameters")
            if original.schedule:
                draft.add(original.schedule, "schedule")
            return Decision((draft.write(),), draft.answer(), 201)

        return await commands.run(request, CopyReport, decide_copy)

    async def list_all(request: Request) -> Response:
        query = read_query(request, ListReports)
        await wait_position(pool, query.min_position)
        conditions: list[str] = ["team_id = $1"]
        values: list[Any] = [caller_of(request).team_id]
        if query.status:
            conditions.append(f"submitted_at IS {'NULL' if query.status == 'draft' else 'NOT NULL'}")
        if query.cursor:
            conditions.append("(created_at, report_id) < ($2, $3)")
            values += read_cursor(query.cursor)
        rows = await pool.fetch(
            f"SELECT {', '.join(ReportItem.__struct_fields__)} FROM reports WHERE {' AND '.join(conditions)}"  # noqa: S608
            f" ORDER BY created_at DESC, report_id DESC LIMIT {query.limit + 1}",
            *values,
        )
        last = rows[query.limit - 1] if len(rows) > query.limit else None
        cursor = cursor_of(last["created_at"], last["report_id"]) if last else None
        return json_response({"items": [dict(row) for row in rows[: query.limit]], "next_cursor": cursor})

    async def read(request: Request) -> Response:
        report_id, state = await load_report(pool, request, caller_of(request))
        return json_response(ReportAnswer(**shown(report_id, state)), headers=etag(state.version))

    async def set_parameters(request: Request) -> Response:
        async def decide_parameters(body: ParametersStep, caller: Caller) -> Decision:
            draft = await opened(request, caller)
            ground = await load_ground(pool, body.workflow_id, body.instance_id, caller)
            as_of = clock.today(body.timezone or ground.instance.time_zone)
            data = decide.set_parameters(ground, body, as_of)
            draft.add(data, "parameters")
            window = lookback_dates(data.lookback_config, as_of)
            answer = draft.answer(
                ParametersStepAnswer,
                window=window_answer(window, data.timezone, as_of),
                warnings=warning_answers(lookback_warnings(window, as_of)),
            )
            return Decision((draft.write(),), answer)

        return await commands.run(request, ParametersStep, decide_parameters)

    async def set_schedule(request: Request) -> Response:
        async def decide_schedule(body: ScheduleStep, caller: Caller) -> Decision:
            draft = await opened(request, caller)
            parameters, ground = await standing(pool, draft.state, caller)
            as_of = clock.today(parameters.timezone)
            draft.add(decide.set_schedule(parameters, ground, body, as_of, clock.now()), "schedule")
            answer = draft.answer(ScheduleStepAnswer, preview=await previewed(draft, ground, as_of))
            return Decision((draft.write(),), answer)

        return await commands.run(request, ScheduleStep, decide_schedule)  # type: ignore[arg-type]

    async def review(request: Request) -> Response:
        async def decide_review(body: Review, caller: Caller) -> Decision:
            draft = await opened(request, caller)
            parameters, ground = await standing(pool, draft.state, caller)
            _, step = decide.configured(draft.state)
            as_of = read_as_of(body.as_of, parameters.timezone, clock)
            decide.refuse_unfit(parameters, ground, step, as_of, clock.now())
            refuse_lost_days(collected_window(parameters, step, as_of), parameters.timezone, clock, ground)
            content = _review_content(draft.state, ground, await previewed(draft, ground, as_of))
            draft.add(decide.reviewed(content.digest, content.preview), "review")
            return Decision(
                (draft.write(),),
                draft.answer(
                    ReviewAnswer, **{name: getattr(content, name) for name in ReviewContent.__struct_fields__}
                ),
            )

        return await commands.run(request, Review, decide_review)

    async def submit(request: Request) -> Response:
        async def decide_submit(body: Submit, caller: Caller) -> Decision:
            draft = await opened(request, caller)
            _, ground = await standing(pool, draft.state, caller)
            return await set_to_work(draft, ground, body.digest)

        return await commands.run(request, Submit, decide_submit)

    async def configured(body: Configuration, caller: Caller) -> tuple[Draft, Ground, date]:
        """A new report with the first two steps of the body; refused with all problems of both."""
        ground = await load_ground(
            pool, body.parameters.workflow_id, body.parameters.instance_id, caller, at="/parameters"
        )
        zone = body.parameters.timezone or ground.instance.time_zone
        as_of = read_as_of(body.as_of, zone, clock)
        data, schedule = decide.set_both(ground, body.parameters, body.schedule, as_of, clock.now())
        draft = Draft(new_id(), caller, Report())
        draft.add(ReportCreated(body.name))
        draft.add(data, "parameters")
        draft.add(schedule, "schedule")
        return draft, ground, as_of

    async def validate(request: Request) -> Response:
        caller, body = caller_of(request), decode(ValidateParameters, await request.body() or b"{}")
        ground = await load_ground(pool, body.workflow_id, body.instance_id, caller)
        as_of = read_as_of(body.as_of, body.timezone or ground.instance.time_zone, clock)
        data = decide.set_parameters(ground, body, as_of)
        window = lookback_dates(data.lookback_config, as_of)
        return json_response(
            ValidatedParameters(
                parameters=data,
                as_of=as_of,
                earliest_allowed=earliest_allowed(as_of, ground.instance.retention_days),
                window=window_answer(window, data.timezone, as_of),
                warnings=warning_answers(lookback_warnings(window, as_of)),
            )
        )

    async def preview_all(request: Request) -> Response:
        body = decode(Configuration, await request.body() or b"{}")
        draft, ground, as_of = await configured(body, caller_of(request))
        return json_response(await previewed(draft, ground, as_of))

    async def review_all(request: Request) -> Response:
        body = decode(Configuration, await request.body() or b"{}")
        draft, ground, as_of = await configured(body, caller_of(request))
        return json_response(_review_content(draft.state, ground, await previewed(draft, ground, as_of)))

    async def submit_all(request: Request) -> Response:
        async def decide_submit(body: SubmitConfiguration, caller: Caller) -> Decision:
            draft, ground, as_of = await configured(body, caller)
            content = _review_content(draft.state, ground, await previewed(draft, ground, as_of))
            draft.add(decide.reviewed(content.digest, content.preview), "review")
            return await set_to_work(draft, ground, body.digest)

        return await commands.run(request, SubmitConfiguration, decide_submit)

    return _endpoints(
        create=create,
        copy=copy,
        list_all=list_all,
        read=read,
        set_parameters=set_parameters,
        set_schedule=set_schedule,
        review=review,
        submit=submit,
        validate=validate,
        preview_all=preview_all,
        review_all=review_all,
        submit_all=submit_all,
    )


def _review_content(state: Report, ground: Ground, shown: Preview) -> ReviewContent:
    parameters, step = decide.configured(state)
    return ReviewContent(
        digest=decide.digest_of(parameters, step, ground, shown.as_of),
        sql_query=ground.workflow.sql_query,
        filled=fill(ground.workflow.sql_query, ground.workflow.parameters, parameters.parameters),
        preview=shown,
    )


def _event(
    data: msgspec.Struct, entity: UUID, caller: Caller, workflow: str | None, step: Step | None = None
) -> NewEvent:
    return NewEvent(
        data=data,
        team_id=caller.team_id,
        user_id=caller.user_id,
        workflow_id=workflow,
        step_completed=step,
        metadata=Metadata(correlation_id=str(entity)),
    )


def _created(category: Any, entity: UUID, data: msgspec.Struct, draft: Draft, workflow: str) -> Write:
    """The first event of what a submitted report sets to work."""
    metadata = Metadata(correlation_id=str(entity), causation_id=str(draft.report_id))
    event = msgspec.structs.replace(_event(data, entity, draft.caller, workflow), metadata=metadata)
    return Write(stream_of(category, entity), "none", (event,))


def _endpoints(**handlers: Callable[..., Any]) -> list[Endpoint]:
    one = "/api/reports/{report_id}"

    def step(name: str, handler: str, summary: str, body: Any, answer: type[Recorded], *refusals: str) -> Endpoint:
        return Endpoint(
            "POST",
            f"{one}/{name}",
            handlers[handler],
            summary=summary,
            body=body,
            answer=answer,
            status=202 if name == "submit" else 200,
            scope="reports:write",
            refusals=(*refusals, *STEP_REFUSALS),
        )

    def whole(name: str, handler: str, summary: str, body: Any, answer: Any, *refusals: str) -> Endpoint:
        return Endpoint(
            "POST",
            f"/api/report-builder/{name}",
            handlers[handler],
            summary=summary,
            body=body,
            answer=answer,
            status=202 if name == "submit" else 200,
            scope="reports:write" if name == "submit" else None,
            refusals=refusals,
        )

    return [
        Endpoint(
            "GET",
            "/api/reports",
            handlers["list_all"],
            summary="List the team's reports",
            query=ListReports,
            answer=ReportPage,
            refusals=("projection_behind",),
        ),
        Endpoint(
            "POST",
            "/api/reports",
            handlers["create"],
            summary="Begin a report",
            body=CreateReport,
            answer=ReportAnswer,
            status=201,
            scope="reports:write",
        ),
        Endpoint(
            "GET",
            one,
            handlers["read"],
            summary="Read a report and where it stands",
            answer=ReportAnswer,
            refusals=("not_found", "stale"),
        ),
        Endpoint(
            "POST",
            f"{one}/copy",
            handlers["copy"],
            summary="Begin a report with the steps of another",
            body=CopyReport,
            answer=ReportAnswer,
            status=201,
            scope="reports:write",
            refusals=("not_found", "stale"),
        ),
        step("parameters", "set_parameters", "Step 1: set the parameters", ParametersStep, ParametersStepAnswer),
        step("schedule", "set_schedule", "Step 2: set the schedule", ScheduleStep, ScheduleStepAnswer, "step_missing"),
        step("review", "review", "Step 3: review what will run", Review, ReviewAnswer, "step_missing"),
        step(
            "submit",
            "submit",
            "Step 4: set the reviewed configuration to work",
            Submit,
            SubmittedAnswer,
            "step_missing",
            "not_reviewed",
            *LIMIT_REFUSALS,
        ),
        whole(
            "validate-parameters",
            "validate",
            "Check parameters, and see the window that they mean",
            ValidateParameters,
            ValidatedParameters,
        ),
        whole("preview-schedule", "preview_all", "See what a configuration will do", Configuration, Preview),
        whole("review", "review_all", "Review a whole configuration", Configuration, ReviewContent),
        whole(
            "submit",
            "submit_all",
            "Set a reviewed configuration to work; records all four steps",
            SubmitConfiguration,
            SubmittedAnswer,
            "not_reviewed",
            *LIMIT_REFUSALS,
        ),
    ]
