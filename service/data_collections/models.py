"""What the commands about a collection that runs take and answer."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from events.configurations import SegmentOrder
from events.validation import Body
from service.commands import Change, Reason
from service.data_collections.segmentation import SegmentType
from service.endpoints import Recorded


class ChangeCollection(Change, frozen=True, kw_only=True):
    """Changes how the rest of a collection runs; what is not given stays. `stop_after_failures` counts those that
    fail from then on, and 0 takes it away."""

    parallel_limit: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    order: SegmentOrder | None = None
    stop_after_failures: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    reason: Reason | None = None


class ToFront(Body, frozen=True, kw_only=True):
    """Puts the collection before the others of its owner, or with `segment_id` that segment before the others of
    the collection."""

    segment_id: UUID | None = None
    reason: Reason | None = None


class RetrySegments(Body, frozen=True, kw_only=True):
    """Runs failed segments again and lets stalled ones go on: those named, or all of them."""

    segment_ids: Annotated[tuple[UUID, ...], Meta(min_length=1)] | None = None
    reason: Reason | None = None


class SplitSegment(Body, frozen=True, kw_only=True):
    """Runs a failed segment again in pieces: calendar months, weeks or days; by default the largest of these that cut
    it at all."""

    segment_id: UUID
    into: SegmentType | None = None
    reason: Reason | None = None


class CollectionMoved(Recorded, frozen=True, kw_only=True):
    """The collection after a command."""

    collection_id: UUID
    version: int
    paused: bool
    cancelled: bool
    held: bool
    parallel_limit: int
    max_attempts: int
    stop_after_failures: int | None
    order: SegmentOrder


class CollectionRetriedAnswer(CollectionMoved, frozen=True, kw_only=True):
    """The collection, and the segments that run again, or in the place of one that was split."""

    segment_ids: tuple[UUID, ...]
