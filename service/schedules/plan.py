"""Planning a schedule: its first event, with all that its runs need. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from events import codec
from events.configurations import LookbackConfig, ParameterValues, ScheduleConfig, SegmentationConfig
from events.personal import all_stand_for
from events.types.schedule import Configured, ScheduleCreated
from events.types.workflow import WorkflowContent
from service.schedules.catchup import missed_runs
from service.schedules.occurrences import ScheduleSpec


def plan_schedule(
    *,
    schedule_id: UUID,
    name: str,
    report_id: UUID | None,
    instance_id: str,
    workflow: WorkflowContent,
    parameters: ParameterValues,
    timezone: str,
    lookback: LookbackConfig,
    schedule: ScheduleConfig,
    segmentation: SegmentationConfig | None,
    counts_from: datetime,
    backfill_collection_id: UUID | None = None,
    hold: bool = False,
) -> ScheduleCreated:
    """The schedule's first event. `timezone` is the report's zone; `lookback` and `segmentation` are those of each
    run; `counts_from` is now, by the service's clock.

    `backfill_collection_id` is the collection of its history, whose `collection.created` names the schedule as
    `backfill_of_schedule` and stands before this event in the same append; with `hold` it waits for that one.
    Raises ValueError for `hold` without it.
    """
    if hold and backfill_collection_id is None:
        raise ValueError("there is no backfill to wait for")
    spec = ScheduleSpec.of(schedule, timezone)
    return ScheduleCreated(
        name=name,
        report_id=report_id,
        instance_id=instance_id,
        sql_query=workflow.sql_query,
        declared_parameters=workflow.parameters,
        parameters=parameters,
        timezone=timezone,
        lookback_config=lookback,
        schedule_config=schedule,
        segmentation_config=segmentation,
        backfill_collection_id=backfill_collection_id,
        hold=hold,
        counts_from=counts_from,
        next_due=None if hold else missed_runs(spec, schedule_id, counts_from, counts_from).next_due,
    )


def fingerprint_of(schedule: Configured) -> str:
    """SHA-256 of what a schedule does: two that have the same do the same, whatever they are called."""
    does = [
        schedule.instance_id,
        schedule.sql_query,
        schedule.declared_parameters,
        sorted(all_stand_for(schedule.parameters).items()),
        schedule.timezone,
        schedule.lookback_config,
        schedule.schedule_config,
        schedule.segmentation_config,
    ]
    return hashlib.sha256(codec.encode(does).encode()).hexdigest()
