"""`POST /api/reports/{id}/check`: lets AMC check the SQL and the parameters before they are submitted (a dry run).

AMC checks asynchronously. The first request asks it and records that; each later one looks how it stands, and records
the verdict once there is one. A dry run computes nothing and costs nothing, so that one too many does no harm.
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from events.types.report import CheckStarted, ParametersSet, SqlChecked
from events.validation import Body
from service.amc.client import AmcClient
from service.amc.connecting import AccountDesk
from service.amc.declared import amc_workflow
from service.amc.errors import AmcError
from service.amc.models import ExecutionRequest, Instance
from service.amc.outcomes import failure_of
from service.auth.caller import Caller
from service.builder.answers import ReportAnswer
from service.builder.desk import Desk
from service.builder.ground import standing
from service.builder.models import Ground
from service.commands import Commands, Decision
from service.data_collections.lookback import lookback_dates
from service.data_collections.plan import content_key
from service.data_collections.windows import amc_window
from service.endpoints import Endpoint
from service.persons.texts import hide, personal_values

SHORTEST_TIMEOUT = 900


class CheckSql(Body, frozen=True, kw_only=True):
    """Asks AMC, or looks what it has found; it takes nothing."""


class CheckedAnswer(ReportAnswer, frozen=True, kw_only=True):
    """The report, and how the check of its SQL and parameters stands: `pending` until AMC has looked; `taken`, then no
    segment of it has to run first; `rejected`, and `sql_check` has AMC's own text; `failed`, where AMC could not tell:
    ask again."""

    status: Literal["pending", "taken", "rejected", "failed"]


def check_route(desk: Desk, commands: Commands, accounts: AccountDesk) -> Endpoint:
    """The route over the builder's desk, and AMC."""

    async def check(request: Request) -> Response:
        async def decide_check(body: CheckSql, caller: Caller) -> Decision:
            draft = await desk.open(request, caller)
            parameters, ground = await standing(draft.footing, draft.state, caller)
            key = content_key(
                parameters.instance_id, ground.instance, ground.workflow, parameters.parameters, parameters.timezone
            )
            await desk.open_values(draft)
            started = draft.state.check
            found: CheckStarted | SqlChecked | None
            if started is not None and started.content_key == key and draft.state.verdict is None:
                found = await _look(accounts, parameters, ground, started)
            else:
                found = await _ask(accounts, desk, replace(parameters, parameters=draft.values), ground, key)
            if isinstance(found, SqlChecked) and found.error is not None:
                personal = personal_values(parameters.parameters, draft.values)
                found = replace(found, error=hide(found.error, personal))
            if found is not None:
                draft.add(found)
            verdict = draft.state.verdict if isinstance(found, SqlChecked) else None
            answer = draft.answer(CheckedAnswer, status=verdict.outcome if verdict else "pending")
            return Decision((draft.write(),) if draft.events else (), answer)

        return await commands.run(request, CheckSql, decide_check, afresh=True)

    return Endpoint(
        "POST",
        "/api/reports/{report_id}/check",
        check,
        summary="Let AMC check the SQL and the parameters (a dry run)",
        body=CheckSql,
        answer=CheckedAnswer,
        scope="reports:write",
        refusals=(
            "not_found", "already_submitted", "stale", "version_conflict", "step_missing", "account_held",
            "amazon_refused", "amazon_unavailable", "personal_values_erased", "no_secret_key",
        ),
    )  # fmt: skip


async def _ask(
    accounts: AccountDesk, desk: Desk, parameters: ParametersSet, ground: Ground, key: str
) -> CheckStarted | SqlChecked:
    """The dry run that AMC was asked for, or its refusal where it looks at once; the parameters have their values
    opened."""
    workflow = amc_workflow(ground.workflow.sql_query, ground.workflow.parameters)
    window = amc_window(
        lookback_dates(parameters.lookback_config, desk.clock.today(parameters.timezone)), parameters.timezone
    )
    dry_run = ExecutionRequest(
        workflow_id=workflow.workflow_id,
        window_start=window.start,
        window_end=window.end,
        time_zone=window.time_zone,
        parameter_values=dict(parameters.parameters),
        timeout_seconds=SHORTEST_TIMEOUT,
        dry_run=True,
    )

    async def ask(client: AmcClient) -> CheckStarted | SqlChecked:
        instance = _instance(parameters, ground)
        try:
            await client.put_workflow(instance, workflow)
            return CheckStarted(key, (await client.create_execution(instance, dry_run)).execution_id)
        except AmcError as error:
            if error.status in (400, 422):
                return SqlChecked(key, "rejected", error.message)
            raise

    return await accounts.ask(ground.instance.account_id, ask)


async def _look(
    accounts: AccountDesk, parameters: ParametersSet, ground: Ground, started: CheckStarted
) -> SqlChecked | None:
    """What AMC has found; None while it is at it."""
    instance = _instance(parameters, ground)
    execution = await accounts.ask(
        ground.instance.account_id, lambda client: client.get_execution(instance, started.execution_id)
    )
    if execution.status == "SUCCEEDED":
        return SqlChecked(started.content_key, "taken", None)
    if failure := failure_of(execution.status, execution.status_reason):
        rejected = failure.code == "permanent" or (failure.code == "unknown" and execution.status == "REJECTED")
        return SqlChecked(started.content_key, "rejected" if rejected else "failed", failure.reason)
    return None


def _instance(parameters: ParametersSet, ground: Ground) -> Instance:
    return Instance(
        instance_id=parameters.instance_id,
        advertiser_id=ground.instance.advertiser_id,
        marketplace_id=ground.instance.marketplace_id,
    )
