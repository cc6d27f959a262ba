"""The three steps of a segment at AMC: submit, poll, fetch. Each takes seconds, none waits for AMC to finish."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog

from events.append import KeyReused
from events.envelope import stream_of
from events.types.segment import (
    Cancelled,
    Completed,
    Executed,
    ResultColumn,
    Started,
    SubmissionStarted,
    Submitted,
    Superseded,
    WorkStep,
)
from service.amc.connections import AccountHeld, UnreadableAccount
from service.amc.errors import AmcError
from service.amc.keys import NoSecretKey
from service.amc.models import Execution, matches
from service.amc.outcomes import failure_of
from service.backfill.forgotten import forgotten_executions
from service.backfill.orders import request_of
from service.backfill.results import store_result
from service.backfill.turn import SentTooLate, Turn
from service.persons.texts import ErasedValues
from service.results.parts import BadResult

log = structlog.get_logger()

# Amazon's clock may differ from ours by so much.
CLOCK_MARGIN = timedelta(minutes=5)
# Creates that may have landed and did not, before the attempt is given up.
MAX_INTENTS = 3
# How long a finished execution's result is asked for before the segment fails.
FETCH_FOR = timedelta(hours=6)


async def submit(turn: Turn) -> None:
    """Asks AMC for an execution, and never for a second one.

    The intent is recorded before the create. Where an intent stands without its answer, the create may have
    landed: it is waited out, then looked for, and sent again only where AMC shows that there is none.
    """
    if turn.segment.intents and not await _settle_lost_create(turn):
        return
    if turn.cancelled:
        await turn.record(Cancelled(turn.collection_id, turn.segment.attempt))
        return
    try:
        request = turn.order.request(turn.planned, turn.settings.amc_execution_timeout)
        opened = await turn.opened(request)
    except (ValueError, ErasedValues) as error:
        await turn.fail("permanent", str(error), ours=True)
        return
    try:
        await _save_workflow(turn)
        if await _adopt(turn, await forgotten_executions(turn, request)):
            return
        # Before the intent, which says that a create may be on its way from then on.
        place = await turn.take_place()
        await turn.record(
            SubmissionStarted(
                collection_id=turn.collection_id,
                attempt=turn.segment.attempt,
                amc_workflow_id=request.workflow_id,
                window_start=request.window_start,
                window_end=request.window_end,
                time_zone=request.time_zone,
                parameter_values=request.parameter_values,
            )
        )
        await turn.hold_lease()
        execution = await turn.amc.create_execution(turn.order.instance, opened, place=place, before_send=turn.may_send)
    except SentTooLate:
        await turn.fail("transient", "tokens and rates were waited for too long; nothing was sent to AMC")
        return
    except AmcError as error:
        await turn.raise_if_held(error)
        if not error.counts and not error.may_have_landed:
            await turn.go_on("submit", max(turn.settings.retry_base, error.retry_after or 0))
        elif error.may_have_landed:
            log.warning("create_unanswered", error=await turn.without_values(str(error)))
            await turn.go_on("submit", turn.settings.amc_timeout)
        else:
            rejected = error.kind == "permanent" and error.status in (400, 422)
            await turn.fail(error.kind, str(error), retry_after=error.retry_after, sql_rejected=rejected)
        return
    await _submitted(turn, execution, adopted=False)


async def _settle_lost_create(turn: Turn) -> bool:
    """What became of a create without an answer; True where there is none at AMC and one may be sent."""
    last_sent, _ = turn.segment.intents[-1]
    wait = turn.send_within + turn.settings.amc_timeout - (await turn.database_time() - last_sent).total_seconds()
    if wait > 0:
        # Until then the create may still be sent, or be on its way.
        await turn.go_on("submit", wait)
        return False
    try:
        found = await _find_executions(turn)
    except ErasedValues as error:
        await _give_lost_create_up(turn, error)
        return False
    except AmcError as error:
        await turn.raise_if_held(error)
        log.warning("look_up_failed", error=await turn.without_values(str(error)))
        await turn.go_on("submit", max(turn.settings.retry_base, error.retry_after or 0))
        return False
    if await _adopt(turn, found):
        return False
    if len(turn.segment.intents) >= MAX_INTENTS:
        await turn.fail("transient", f"AMC answered none of {MAX_INTENTS} requests, and ran none of them")
        return False
    return True


async def _give_lost_create_up(turn: Turn, error: ErasedValues) -> None:
    """Its execution cannot be told from others without its values. The slot is kept until AMC has ended whatever the
    create may have started."""
    last_sent, _ = turn.segment.intents[-1]
    waited = (await turn.database_time() - last_sent).total_seconds()
    rest = turn.send_within + turn.settings.amc_timeout + turn.settings.amc_execution_timeout - waited
    if rest > 0:
        await turn.go_on("submit", rest)
    else:
        await turn.fail("permanent", str(error), ours=True)


async def _find_executions(turn: Turn) -> list[Execution]:
    """The executions, oldest first, that one of this attempt's creates may have started."""
    first_sent, intent = turn.segment.intents[0]
    wanted = await turn.opened(request_of(intent, turn.settings.amc_execution_timeout))
    await turn.hold_lease()
    listed = await turn.amc.list_executions(
        turn.order.instance, workflow_id=intent.amc_workflow_id, min_creation_time=first_sent - CLOCK_MARGIN
    )
    return [execution for execution in listed if matches(execution, wanted, turn.order.workflow.parameters)]


async def _adopt(turn: Turn, found: Sequence[Execution]) -> bool:
    """Goes on with the first of these executions that nobody else has recorded; whether there is one."""
    for execution in found:
        try:
            await _submitted(turn, execution, adopted=True)
        except KeyReused:
            continue  # another segment has recorded this one
        return True
    return False


async def _save_workflow(turn: Turn) -> None:
    """Saves the SQL at AMC under the name of its content, once per process and instance."""
    key = (turn.order.instance.instance_id, turn.order.workflow.workflow_id)
    if key not in turn.tools.saved_workflows:
        await turn.hold_lease()
        await turn.amc.put_workflow(turn.order.instance, turn.order.workflow)
        turn.tools.saved_workflows.add(key)


async def _submitted(turn: Turn, execution: Execution, *, adopted: bool) -> None:
    await turn.record(Submitted(turn.collection_id, execution.execution_id, adopted), claim=execution.execution_id)
    await turn.go_on("poll", _poll_delay(turn))


async def poll(turn: Turn) -> None:
    """Looks at the execution once; at its end records what came of it, and until then looks again later."""
    execution_id = turn.segment.execution_id
    assert execution_id is not None
    await turn.hold_lease()
    try:
        if turn.cancelled:
            await _ask_to_cancel(turn, execution_id)
        execution = await turn.amc.get_execution(turn.order.instance, execution_id)
    except AmcError as error:
        await turn.raise_if_held(error)
        if error.code == "not_found":
            await turn.fail("unknown", f"AMC does not know the execution {execution_id} any more")
            return
        # The execution goes on without us: nothing is lost by looking again later.
        await turn.go_on("poll", max(_poll_delay(turn), turn.settings.retry_base, error.retry_after or 0))
        return
    if execution.status == "SUCCEEDED":
        columns = tuple(
            ResultColumn(column.name.replace("\0", "\ufffd"), column.data_type, column.precision, column.scale)
            for column in execution.output_columns
        )
        await turn.record(Executed(turn.collection_id, execution_id, columns))
        await turn.go_on("fetch")
    elif failure := failure_of(execution.status, execution.status_reason):
        kind = {"permanent": "permanent", "overlap": "transient"}.get(failure.code, "unknown")
        await turn.fail(
            kind,  # type: ignore[arg-type]
            failure.reason,
            retry_after=failure.retry_after,
            max_retries=failure.retries,
            # What AMC rejects without a reason that we know, it rejects for the request.
            sql_rejected=failure.code == "permanent" or (failure.code == "unknown" and execution.status == "REJECTED"),
        )
    else:
        if execution.status == "RUNNING" and not turn.segment.started:
            await turn.record(Started(turn.collection_id, execution_id))
        await turn.go_on("poll", _poll_delay(turn))


async def _ask_to_cancel(turn: Turn, execution_id: str) -> None:
    """Whatever AMC answers, what counts is how the execution then stands; the next poll asks again."""
    try:
        await turn.amc.cancel_execution(turn.order.instance, execution_id)
    except AmcError as error:
        await turn.raise_if_held(error)
        log.warning("cancel_refused", error=str(error))


def _poll_delay(turn: Turn) -> float:
    delays = turn.settings.amc_poll_delays
    return delays[min(turn.message.sequence - 1, len(delays) - 1)]


async def fetch(turn: Turn) -> None:
    """Downloads the result, keeps it as Parquet, and records the segment's completion."""
    execution_id = turn.segment.execution_id
    assert execution_id is not None
    assert turn.segment.executed_at is not None
    try:
        result, checksum, size = await store_result(turn, execution_id)
    except OSError as error:
        # The disk or the store, not Amazon: what AMC has made stays there until there is room for it.
        log.error("result_not_stored", error=str(error))
        await turn.go_on("fetch", turn.settings.retry_base)
    except BadResult as error:
        await turn.fail("permanent", f"the result cannot be read: {error}")
    except AmcError as error:
        await turn.raise_if_held(error)
        # While its account was held nobody could ask.
        asked_since = max(turn.segment.executed_at, turn.connection.account.since or turn.segment.executed_at)
        waited = await turn.database_time() - asked_since
        if error.kind == "permanent" or (waited > FETCH_FOR and error.counts):
            await turn.fail("permanent", f"the result cannot be fetched: {error}")
        else:
            await turn.go_on("fetch", max(turn.settings.retry_base, error.retry_after or 0))
    else:
        superseded = {}
        if older := turn.planned.supersedes:
            superseded = {stream_of("segment", older): Superseded(turn.segment_id, turn.collection_id)}
        completed = Completed(turn.collection_id, execution_id, result.rows, size, checksum, result.nulls)
        await turn.record(completed, also=superseded)


async def take(turn: Turn) -> None:
    """Takes the step that is next. Where the account must be connected again first, the segment waits for that:
    before its create it is given back, so that it holds no slot; later on AMC may be at work for it, so the step
    is ordered again and again, and each time nothing but the log is asked."""
    step = turn.segment.step
    assert step is not None
    try:
        await turn.connect()
        await STEPS[step](turn)
        return
    except UnreadableAccount as error:
        await turn.tools.accounts.revoke(error.account, "unreadable", str(error))
    except AccountHeld as error:
        log.info("step_held", account_id=error.account.account_id)
    except NoSecretKey as error:
        # The operator's to put right: until then it waits where it stands, without an event for each look.
        log.error("personal_values_unreadable", error=str(error))
        await turn.go_on(step, max(_poll_delay(turn), turn.settings.retry_base))
        return
    # The intents that stood before this step: a create of these may have landed.
    if step == "submit" and not turn.segment.intents:
        await turn.release()
    else:
        await turn.go_on(step, max(_poll_delay(turn), turn.settings.retry_base))


STEPS: dict[WorkStep, Callable[[Turn], Awaitable[None]]] = {"submit": submit, "poll": poll, "fetch": fetch}
