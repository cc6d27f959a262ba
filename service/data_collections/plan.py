"""Planning a collection: which segments it has, and which of them are there already. Pure but for new ids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from uuid import UUID

from events import codec
from events.configurations import LookbackConfig, ParameterValues, SegmentationConfig
from events.envelope import new_id
from events.personal import all_stand_for
from events.types.collection import CollectionCreated, Lane, PlannedSegment
from events.types.instance import InstanceAdded
from events.types.workflow import WorkflowContent
from service.data_collections.choice import Skip
from service.data_collections.lookback import lookback_dates
from service.data_collections.segmentation import Segment, segments
from service.data_collections.windows import Window


def plan_segments(window: Window, segmentation: SegmentationConfig | None) -> list[Segment]:
    """The window's segments, oldest first; one for the whole window without a segmentation."""
    if segmentation is None:
        return [Segment(1, window.start, window.end, partial=False)]
    return segments(window, segmentation.type, segmentation.week_start or 1)


def content_key(
    instance_id: str, instance: InstanceAdded, workflow: WorkflowContent, parameters: ParameterValues, timezone: str
) -> str:
    """SHA-256 of all that decides a segment's result beside its days; equal keys, equal results.

    A parameter that is left out counts with its default, so that naming the default changes nothing. A sealed value
    counts by its mark, which is equal for equal values of one person and is nothing to who has not their key.
    """
    values = {declared.name: declared.default for declared in workflow.parameters if declared.default is not None}
    decides = [
        instance.account_id,
        instance_id,
        instance.advertiser_id,
        instance.marketplace_id,
        workflow.sql_query,
        sorted((declared.name, codec.encode(declared.data_type)) for declared in workflow.parameters),
        sorted((values | all_stand_for(parameters)).items()),
        timezone,
    ]
    return hashlib.sha256(codec.encode(decides).encode()).hexdigest()


def plan_collection(
    *,
    name: str,
    report_id: UUID | None,
    instance_id: str,
    lane: Lane,
    workflow: WorkflowContent,
    parameters: ParameterValues,
    timezone: str,
    as_of: date,
    lookback: LookbackConfig,
    segmentation: SegmentationConfig | None,
    schedule_id: UUID | None = None,
    backfill_of_schedule: UUID | None = None,
    content_key: str = "",
    skips: Mapping[Window, Skip] | None = None,
    sql_checked: bool = False,
) -> CollectionCreated:
    """The collection's first event, with all that its segments need to run. `schedule_id` where it is a run of
    a schedule, `backfill_of_schedule` where it is the history that a schedule was submitted with.

    `skips` are the segments that are not run, by their windows. `sql_checked`: AMC has taken the SQL before.
    """
    window = lookback_dates(lookback, as_of)
    return CollectionCreated(
        name=name,
        report_id=report_id,
        instance_id=instance_id,
        lane=lane,
        sql_query=workflow.sql_query,
        declared_parameters=workflow.parameters,
        parameters=parameters,
        timezone=timezone,
        as_of=as_of,
        window_start=window.start,
        window_end=window.end,
        lookback_config=lookback,
        segmentation_config=segmentation,
        segments=tuple(
            planned_segment(segment.number, Window(segment.start, segment.end), skips or {})
            for segment in plan_segments(window, segmentation)
        ),
        schedule_id=schedule_id,
        backfill_of_schedule=backfill_of_schedule,
        content_key=content_key,
        sql_checked=sql_checked,
    )


def planned_segment(number: int, window: Window, skips: Mapping[Window, Skip]) -> PlannedSegment:
    """A segment of a new collection, run or not."""
    skip = skips.get(window)
    return PlannedSegment(
        new_id(),
        number,
        window.start,
        window.end,
        reuses=skip.result if skip else None,
        skipped=skip.reason if skip else None,
    )
