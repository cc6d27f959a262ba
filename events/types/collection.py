"""Events of `collection-` streams: a window of history, cut into segments that are run one by one."""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

import msgspec

from events.configurations import LookbackConfig, ParameterValues, SegmentationConfig
from events.types.workflow import DeclaredParameter

Lane = Literal["interactive", "bulk"]
BackfillStatus = Literal["pending", "in_progress", "completed", "failed", "partial"]


class PlannedSegment(msgspec.Struct, frozen=True):
    """A piece of the window, inclusive at both ends, numbered from 1 with the oldest."""

    segment_id: UUID
    number: int
    start: date
    end: date


class CollectionCreated(msgspec.Struct, frozen=True, kw_only=True):
    """All that its segments need to run, as it stood when it was set to work: later edits do not reach it.

    `segmentation_config` is null where the window is one segment. `schedule_id` is set for a run of a schedule,
    `backfill_of_schedule` for the history that a schedule was submitted with.
    """

    name: str
    report_id: UUID | None
    instance_id: str
    lane: Lane
    sql_query: str
    declared_parameters: tuple[DeclaredParameter, ...]
    parameters: ParameterValues
    timezone: str
    as_of: date
    window_start: date
    window_end: date
    lookback_config: LookbackConfig
    segmentation_config: SegmentationConfig | None
    segments: tuple[PlannedSegment, ...]
    schedule_id: UUID | None = None
    backfill_of_schedule: UUID | None = None


class CollectionFinished(msgspec.Struct, frozen=True):
    """Every segment has come to its end. `rows` counts the result rows of all completed segments."""

    backfill_status: BackfillStatus
    segments: int
    completed: int
    failed: int
    rows: int


EVENTS = {
    ("collection.created", 1): CollectionCreated,
    ("collection.finished", 1): CollectionFinished,
}
