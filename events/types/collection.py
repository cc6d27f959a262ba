"""Events of `collection-` streams: a window of history, cut into segments that are run one by one."""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

import msgspec

from events.configurations import LookbackConfig, ParameterValues, SegmentationConfig, SegmentOrder
from events.personal import PersonalText
from events.types.workflow import DeclaredParameter

Lane = Literal["interactive", "bulk"]
HoldCause = Literal["sql_rejected", "too_many_failures"]
SkipReason = Literal["final", "has_result", "not_failed", "not_named", "split"]
BackfillStatus = Literal["pending", "in_progress", "completed", "failed", "partial"]


class ReusedResult(msgspec.Struct, frozen=True):
    """The result of an earlier segment that stands for this one: equal in all that decides it, and final.

    `rows`, `bytes` and `checksum` are of its Parquet file, as is `nulls`, over all columns; null where that is not
    known.
    """

    segment_id: UUID
    collection_id: UUID
    rows: int
    bytes: int
    checksum: str
    nulls: int | None = None


class PlannedSegment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of the window, inclusive at both ends, numbered from 1 with the oldest.

    With `reuses` or `skipped` it is not run. `final`: its result is there, and Amazon restates it no more;
    `has_result`: one is there, and it was not asked to be run again; `not_failed`, `not_named`: nothing is there, and
    only others were asked for. `supersedes` is the segment whose result it fetches again.
    """

    segment_id: UUID
    number: int
    start: date
    end: date
    reuses: ReusedResult | None = None
    skipped: SkipReason | None = None
    supersedes: UUID | None = None

    @property
    def skip_reason(self) -> SkipReason | None:
        """Why it is not run; null where it is. (At first there was one reason, which events did not name.)"""
        return self.skipped or ("final" if self.reuses else None)


class CollectionCreated(msgspec.Struct, frozen=True, kw_only=True):
    """All that its segments need to run, as it stood when it was set to work: later edits do not reach it.

    `segmentation_config` is null where the window is one segment. `schedule_id` is set for a run of a schedule,
    `backfill_of_schedule` for the history that a schedule was submitted with. `content_key` is the SHA-256 of all
    that decides a segment's result beside its days: equal keys and days mean equal results. `sql_checked`: AMC has
    taken the SQL and the parameters before, so that all segments may run at once; else one runs first.
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
    content_key: str = ""
    sql_checked: bool = False

    @property
    def segmentation(self) -> SegmentationConfig:
        """How it runs; where the window is one segment, that is all that counts of it."""
        return self.segmentation_config or SegmentationConfig(type="daily")

    @property
    def segments_skipped(self) -> int:
        """How many segments are not run."""
        return sum(planned.skip_reason is not None for planned in self.segments)


class CollectionFinished(msgspec.Struct, frozen=True):
    """Every segment has come to its end. `rows` counts the result rows of all completed segments."""

    backfill_status: BackfillStatus
    segments: int
    completed: int
    failed: int
    rows: int


class CollectionPaused(msgspec.Struct, frozen=True):
    """No segment gets a slot from here on; those that have one come to their end."""

    reason: PersonalText | None


class CollectionResumed(msgspec.Struct, frozen=True):
    """The pause or the hold is over."""

    reason: PersonalText | None


class CollectionHeld(msgspec.Struct, frozen=True):
    """Nothing more of it runs until a person resumes or cancels it. `sql_rejected`: AMC refused the SQL or the
    parameters, which are the same for every segment; `error` is its own text, about this segment.
    `too_many_failures`: as many segments have failed as `stop_after_failures` says."""

    cause: HoldCause
    segment_id: UUID | None
    error: str


class CollectionCancelled(msgspec.Struct, frozen=True):
    """What has not run runs no more, and AMC is asked to cancel what it runs. Nothing leads back from here."""

    reason: PersonalText | None


class CollectionChanged(msgspec.Struct, frozen=True, kw_only=True):
    """How the rest of it runs from here on: all of it as it now stands. `stop_after_failures` counts those that fail
    from here on; where it is missing it stays as it was."""

    parallel_limit: int
    max_attempts: int
    order: SegmentOrder
    stop_after_failures: int | msgspec.UnsetType | None = msgspec.UNSET
    reason: PersonalText | None


class MovedToFront(msgspec.Struct, frozen=True):
    """It runs before the others of its owner; with `segment_id` that segment does before the others of it."""

    segment_id: UUID | None
    reason: PersonalText | None


class CollectionRetried(msgspec.Struct, frozen=True):
    """These segments are to run again: each has a `segment.retried`, or if it had stalled a `segment.resumed`, in the
    same append."""

    segment_ids: tuple[UUID, ...]
    reason: PersonalText | None


class SegmentSplit(msgspec.Struct, frozen=True):
    """A failed segment is run again in pieces, which cover the same days; it has a `segment.split` in the same append.
    The pieces are numbered on from the collection's last."""

    segment_id: UUID
    into: tuple[PlannedSegment, ...]
    reason: PersonalText | None


EVENTS = {
    ("collection.created", 1): CollectionCreated,
    ("collection.paused", 1): CollectionPaused,
    ("collection.resumed", 1): CollectionResumed,
    ("collection.held", 1): CollectionHeld,
    ("collection.cancelled", 1): CollectionCancelled,
    ("collection.changed", 1): CollectionChanged,
    ("collection.moved_to_front", 1): MovedToFront,
    ("collection.retried", 1): CollectionRetried,
    ("collection.segment_split", 1): SegmentSplit,
    ("collection.finished", 1): CollectionFinished,
}
