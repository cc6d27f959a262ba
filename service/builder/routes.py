"""`/api/reports`: begin a report, post its steps one by one, read, list and copy it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta
from msgspec.structs import asdict as fields_of
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from events.configurations import ParametersStep, ScheduleStep
from events.types.report import ReportCreated
from service.auth.caller import Caller, caller_of
from service.builder import decide
from service.builder.answers import (
    ParametersStepAnswer,
    ReportAnswer,
    ReportItem,
    ReportPage,
    ReviewAnswer,
    ScheduleStepAnswer,
    SubmittedAnswer,
    shown,
)
from service.builder.desk import Desk
from service.builder.ground import load_ground, load_report, read_as_of, standing
from service.builder.models import CopyReport, CreateReport, Review, Submit
from service.builder.preview import warning_answers, window_answer
from service.commands import Commands, Decision
from service.data_collections.lookback import lookback_dates, lookback_warnings
from service.endpoints import Endpoint, Handler, Position, Query, Recorded, Search, read_query
from service.footing import footing_of
from service.http import etag, json_response, newest, page_of, read_cursor, wait_position

STEP_REFUSALS = ("not_found", "stale", "already_submitted", "version_conflict")
SEALED = ("no_secret_key", "person_erased")
LIMIT_REFUSALS = ("too_many_backfills", "too_many_schedules", "duplicate_schedule")


class ListReports(Query, frozen=True, kw_only=True):
    """Which reports to list: `search` is a part of the name, in large or small letters; `cursor` is a `next_cursor`."""

    status: Literal["draft", "submitted"] | None = None
    search: Search = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    min_position: Position = 0


def builder_routes(desk: Desk, commands: Commands) -> list[Endpoint]:
    """The routes of reports; `commands` append what `desk` makes of their steps."""
    pool = desk.pool

    async def create(request: Request) -> Response:
        async def decide_create(body: CreateReport, caller: Caller) -> Decision:
            draft = desk.begin(caller, footing_of(request))
            draft.add(ReportCreated(body.name))
            return Decision((draft.write(),), draft.answer(), 201)

        return await commands.run(request, CreateReport, decide_create)

    async def copy(request: Request) -> Response:
        async def decide_copy(body: CopyReport, caller: Caller) -> Decision:
            original_id, original = await load_report(footing_of(request), request, caller)
            draft = desk.begin(caller, footing_of(request))
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
        if query.search:
            values.append(query.search)
            conditions.append(f"strpos(lower(name), lower(${len(values)})) > 0")
        if query.cursor:
            values += read_cursor(query.cursor)
            conditions.append(f"(created_at, report_id) < (${len(values) - 1}, ${len(values)})")
        rows = await pool.fetch(
            f"SELECT {', '.join(ReportItem.__struct_fields__)} FROM reports WHERE {' AND '.join(conditions)}"  # noqa: S608
            f" ORDER BY created_at DESC, report_id DESC LIMIT {query.limit + 1}",
            *values,
        )
        return json_response(page_of(rows, query.limit, newest("created_at", "report_id")))

    async def read(request: Request) -> Response:
        report_id, state = await load_report(desk.as_it_stands(), request, caller_of(request))
        return json_response(ReportAnswer(**shown(report_id, state)), headers=etag(state.version))

    async def set_parameters(request: Request) -> Response:
        async def decide_parameters(body: ParametersStep, caller: Caller) -> Decision:
            draft = await desk.open(request, caller)
            ground = await load_ground(draft.footing, body.workflow_id, body.instance_id, caller)
            as_of = desk.clock.today(body.timezone or ground.instance.time_zone)
            data = decide.set_parameters(ground, body, as_of)
            await desk.add_parameters(draft, data, ground)
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
            draft = await desk.open(request, caller)
            parameters, ground = await standing(draft.footing, draft.state, caller)
            as_of = desk.clock.today(parameters.timezone)
            draft.add(decide.set_schedule(parameters, ground, body, as_of, desk.clock.now()), "schedule")
            shown = desk.preview(draft, ground, await desk.facts(draft, ground, as_of), as_of)
            return Decision((draft.write(),), draft.answer(ScheduleStepAnswer, preview=shown))

        return await commands.run(request, ScheduleStep, decide_schedule)  # type: ignore[arg-type]

    async def review(request: Request) -> Response:
        async def decide_review(body: Review, caller: Caller) -> Decision:
            draft = await desk.open(request, caller)
            parameters, ground = await standing(draft.footing, draft.state, caller)
            _, step = decide.configured(draft.state)
            as_of = read_as_of(body.as_of, parameters.timezone, desk.clock)
            await desk.open_values(draft)
            decide.refuse_unfit(parameters, draft.values, ground, step, as_of, desk.clock.now())
            desk.refuse_lost_days(draft, ground, as_of)
            content = desk.review(draft, ground, await desk.facts(draft, ground, as_of), as_of)
            draft.add(decide.reviewed(content.digest, content.preview), "review")
            # The answer may be kept: there the SQL with its values is sealed as the values are.
            filled = replace(
                content.filled, sql=await desk.texts.seal_beside(content.filled.sql, parameters.parameters)
            )
            return Decision((draft.write(),), draft.answer(ReviewAnswer, **fields_of(replace(content, filled=filled))))

        return await commands.run(request, Review, decide_review)

    async def submit(request: Request) -> Response:
        async def decide_submit(body: Submit, caller: Caller) -> Decision:
            draft = await desk.open(request, caller)
            _, ground = await standing(draft.footing, draft.state, caller)
            await desk.open_values(draft)
            as_of = decide.reviewed_day(draft.state)
            return await desk.set_to_work(draft, ground, await desk.facts(draft, ground, as_of), body.digest)

        return await commands.run(request, Submit, decide_submit)

    one = "/api/reports/{report_id}"

    def step(name: str, handler: Handler, summary: str, body: Any, answer: type[Recorded], *refusals: str) -> Endpoint:
        return Endpoint(
            "POST",
            f"{one}/{name}",
            handler,
            summary=summary,
            body=body,
            answer=answer,
            status=202 if name == "submit" else 200,
            scope="reports:write",
            refusals=(*refusals, *STEP_REFUSALS),
        )

    return [
        Endpoint(
            "GET",
            "/api/reports",
            list_all,
            summary="List the team's reports",
            query=ListReports,
            answer=ReportPage,
            refusals=("projection_behind",),
        ),
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
            one,
            read,
            summary="Read a report and where it stands",
            answer=ReportAnswer,
            refusals=("not_found", "stale"),
        ),
        Endpoint(
            "POST",
            f"{one}/copy",
            copy,
            summary="Begin a report with the steps of another",
            body=CopyReport,
            answer=ReportAnswer,
            status=201,
            scope="reports:write",
            refusals=("not_found", "stale"),
        ),
        step(
            "parameters",
            set_parameters,
            "Step 1: set the parameters",
            ParametersStep,
            ParametersStepAnswer,
            *SEALED,
        ),
        step("schedule", set_schedule, "Step 2: set the schedule", ScheduleStep, ScheduleStepAnswer, "step_missing"),
        step(
            "review",
            review,
            "Step 3: review what will run",
            Review,
            ReviewAnswer,
            "step_missing",
            "personal_values_erased",
            *SEALED,
        ),
        step(
            "submit",
            submit,
            "Step 4: set the reviewed configuration to work",
            Submit,
            SubmittedAnswer,
            "step_missing",
            "not_reviewed",
            "personal_values_erased",
            *LIMIT_REFUSALS,
        ),
    ]
