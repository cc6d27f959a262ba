"""`/api/report-builder`: the steps of a report in one call, to be checked, seen, reviewed or set to work."""

from __future__ import annotations

from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from events.types.report import ParametersSet, ReportCreated
from service.auth.caller import Caller, caller_of
from service.builder import decide
from service.builder.answers import ReviewContent, SubmittedAnswer, ValidatedParameters
from service.builder.desk import Desk, Draft
from service.builder.ground import load_ground, read_as_of
from service.builder.models import Configuration, Ground, SubmitConfiguration, ValidateParameters
from service.builder.preview import Preview, warning_answers, window_answer
from service.builder.routes import LIMIT_REFUSALS, SEALED
from service.commands import Commands, Decision
from service.data_collections.lookback import earliest_allowed, lookback_dates, lookback_warnings
from service.endpoints import Endpoint, Handler
from service.footing import Footing, footing_of
from service.http import json_response
from service.mending import read_body


def one_call_routes(desk: Desk, commands: Commands) -> list[Endpoint]:
    """The one-call routes; only `submit` records something, by `commands`."""

    async def configured(body: Configuration, caller: Caller, footing: Footing) -> tuple[Draft, Ground, date]:
        """A new report with the first two steps of the body; refused with all problems of both."""
        ground = await load_ground(
            footing, body.parameters.workflow_id, body.parameters.instance_id, caller, at="/parameters"
        )
        zone = body.parameters.timezone or ground.instance.time_zone
        as_of = read_as_of(body.as_of, zone, desk.clock)
        data, schedule = decide.set_both(ground, body.parameters, body.schedule, as_of, desk.clock.now())
        draft = desk.begin(caller, footing)
        draft.add(ReportCreated(body.name))
        await desk.add_parameters(draft, data, ground)
        draft.add(schedule, "schedule")
        return draft, ground, as_of

    async def read(request: Request) -> tuple[Draft, Ground, date]:
        """What the request's body configures."""
        caller = caller_of(request)
        footing = desk.as_it_stands()
        body = await read_body(Configuration, await request.body(), lambda rest: configured(rest, caller, footing))
        return await configured(body, caller, footing)

    async def validated(body: ValidateParameters, caller: Caller) -> tuple[ParametersSet, Ground, date]:
        ground = await load_ground(desk.as_it_stands(), body.workflow_id, body.instance_id, caller)
        as_of = read_as_of(body.as_of, body.timezone or ground.instance.time_zone, desk.clock)
        return decide.set_parameters(ground, body, as_of), ground, as_of

    async def validate(request: Request) -> Response:
        caller = caller_of(request)
        body = await read_body(ValidateParameters, await request.body(), lambda rest: validated(rest, caller))
        data, ground, as_of = await validated(body, caller)
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

    async def preview(request: Request) -> Response:
        draft, ground, as_of = await read(request)
        return json_response(desk.preview(draft, ground, await desk.facts(draft, ground, as_of), as_of))

    async def review(request: Request) -> Response:
        draft, ground, as_of = await read(request)
        return json_response(desk.review(draft, ground, await desk.facts(draft, ground, as_of), as_of))

    async def submit(request: Request) -> Response:
        async def decide_submit(body: SubmitConfiguration, caller: Caller) -> Decision:
            draft, ground, as_of = await configured(body, caller, footing_of(request))
            facts = await desk.facts(draft, ground, as_of)
            content = desk.review(draft, ground, facts, as_of)
            draft.add(decide.reviewed(content.digest, content.preview), "review")
            return await desk.set_to_work(draft, ground, facts, body.digest)

        return await commands.run(request, SubmitConfiguration, decide_submit)

    def looks(name: str, handler: Handler, summary: str, body: Any, answer: Any) -> Endpoint:
        return Endpoint(
            "POST",
            f"/api/report-builder/{name}",
            handler,
            summary=summary,
            body=body,
            answer=answer,
            refusals=() if name == "validate-parameters" else SEALED,
        )

    return [
        looks(
            "validate-parameters",
            validate,
            "Check parameters, and see the window that they mean",
            ValidateParameters,
            ValidatedParameters,
        ),
        looks("preview-schedule", preview, "See what a configuration will do", Configuration, Preview),
        looks("review", review, "Review a whole configuration", Configuration, ReviewContent),
        Endpoint(
            "POST",
            "/api/report-builder/submit",
            submit,
            summary="Set a reviewed configuration to work; records all four steps",
            body=SubmitConfiguration,
            answer=SubmittedAnswer,
            status=202,
            scope="reports:write",
            refusals=("not_reviewed", *SEALED, *LIMIT_REFUSALS),
        ),
    ]
