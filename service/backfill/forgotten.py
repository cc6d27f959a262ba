"""Executions that AMC has and the log has forgotten: a restore to an earlier state took their segments' intents away.

A segment that was planned before the restore may have been run in the time that is gone. What AMC has of that time,
of the same workflow, window and values, is that segment's, where no other segment has it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from events.envelope import stream_of
from events.epochs import EPOCHS_STREAM, Epochs, begun_by
from service.amc.models import Execution, ExecutionRequest, matches
from service.amc.outcomes import failure_of
from service.backfill.turn import Tools, Turn

# Amazon's clock may differ from ours by so much.
CLOCK_MARGIN = timedelta(minutes=5)
# Who has an execution is known for 60 days. Whatever was planned before a restore has run long before.
LOOKED_FOR = timedelta(days=30)


class LostTime(msgspec.Struct, frozen=True):
    """What a restore took back, by the clocks of both sides."""

    since: datetime
    until: datetime


async def forgotten_executions(turn: Turn, request: ExecutionRequest) -> list[Execution]:
    """The executions, oldest first, that may have been asked for with this request in a time that the log has lost; no
    call to AMC where it has lost none, or the segment was planned later. Raises AmcError."""
    lost = await _lost_time(turn.tools, stream_of("collection", turn.collection_id))
    if lost is None or await turn.database_time() - lost.until > LOOKED_FOR:
        return []
    await turn.hold_lease()
    listed = await turn.amc.list_executions(
        turn.order.instance, workflow_id=request.workflow_id, min_creation_time=lost.since - CLOCK_MARGIN
    )
    return [
        execution
        for execution in listed
        if matches(execution, request, turn.order.workflow.parameters)
        and failure_of(execution.status, execution.status_reason) is None
        and (execution.create_time is None or execution.create_time <= lost.until + CLOCK_MARGIN)
    ]


async def _lost_time(tools: Tools, stream: str) -> LostTime | None:
    """From the first to the last restore since the stream began; null where there was none."""
    (begun,) = await tools.streams.read((EPOCHS_STREAM, 0))
    epochs = Epochs(begun)
    if not epochs.begun:
        return None
    first = await tools.pool.fetchrow(
        "SELECT position, recorded_at FROM report_builder_audit WHERE stream = $1 AND stream_version = 1", stream
    )
    after = [event for event in epochs.begun if first is not None and event.position > first["position"]]
    if first is None or not after:
        return None
    return LostTime(begun_by(after[0]).proven_at or first["recorded_at"], after[-1].recorded_at)
