"""Planning a collection: which segments it has. Pure but for the ids that it makes."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from events.configurations import LookbackConfig, ParameterValues, SegmentationConfig
from events.envelope import new_id
from events.types.collection import CollectionCreated, Lane, PlannedSegment
from events.types.workflow import WorkflowContent
from service.data_collections.lookback import lookback_dates
from service.data_collections.segmentation import Segment, segments
from service.data_collections.windows import Window


def plan_segments(window: Window, segmentation: SegmentationConfig | None) -> list[Segment]:
    """The window's segments, oldest first; one for the whole window without a segmentation."""
    if segmentation is None:
        return [Segment(1, window.start, window.end, partial=False)]
    return segments(window, segmentation.type, segmentation.week_start or 1)


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
) -> CollectionCreated:
    """The collection's first event, with all that its segments need to run."""
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
            PlannedSegment(new_id(), segment.number, segment.start, segment.end)
            for segment in plan_segments(window, segmentation)
        ),
    )
