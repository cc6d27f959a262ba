"""A collection as its events have made it, and what a person may do to it. Pure."""

from __future__ import annotations

from collections.abc import Collection as Container
from collections.abc import Iterable
from uuid import UUID

import msgspec

from events.configurations import SegmentOrder
from events.envelope import RecordedEvent, new_id
from events.types import collection as events
from events.types.collection import PlannedSegment
from service.data_collections.segmentation import SegmentType, segments
from service.data_collections.windows import Window
from service.problems import Refused


class Collection(msgspec.Struct, frozen=True):
    """Where a collection stands; `version` is its stream's, 0 where it does not exist. `segments` are all that it has,
    those into which others were split last."""

    version: int = 0
    team_id: str = ""
    workflow_id: str = ""
    created: events.CollectionCreated | None = None
    parallel_limit: int = 0
    max_attempts: int = 0
    stop_after_failures: int | None = None
    order: SegmentOrder = "newest_first"
    segments: tuple[PlannedSegment, ...] = ()
    paused: bool = False
    held: bool = False
    cancelled: bool = False
    finished: bool = False

    def evolve(self, event: RecordedEvent) -> Collection:
        """The collection after one more recorded event."""
        state = self
        if isinstance(data := event.data, events.CollectionCreated):
            state = msgspec.structs.replace(
                self,
                team_id=event.team_id,
                workflow_id=event.workflow_id or "",
                created=data,
                parallel_limit=data.segmentation.parallel_limit,
                max_attempts=data.segmentation.attempts,
                stop_after_failures=data.segmentation.stop_after_failures,
                order=data.segmentation.order,
                segments=data.segments,
            )
        return state.after(data)

    def after(self, data: object) -> Collection:
        """The collection after one more event, at the next version."""
        changes: dict[str, object] = {"version": self.version + 1}
        match data:
            case events.CollectionChanged():
                changes |= {
                    "parallel_limit": data.parallel_limit,
                    "max_attempts": data.max_attempts,
                    "order": data.order,
                }
                if data.stop_after_failures is not msgspec.UNSET:
                    changes |= {"stop_after_failures": data.stop_after_failures}
            case events.CollectionPaused():
                changes |= {"paused": True}
            case events.CollectionResumed():
                changes |= {"paused": False, "held": False}
            case events.CollectionHeld():
                changes |= {"held": True}
            case events.CollectionCancelled():
                changes |= {"cancelled": True}
            case events.CollectionRetried():
                changes |= {"finished": False}
            case events.SegmentSplit():
                changes |= {"finished": False, "segments": (*self.segments, *data.into)}
            case events.CollectionFinished():
                changes |= {"finished": True, "paused": False, "held": False}
        return msgspec.structs.replace(self, **changes)


def collection_of(history: Iterable[RecordedEvent]) -> Collection:
    """The collection that a stream's events have made."""
    state = Collection()
    for event in history:
        state = state.evolve(event)
    return state


def pause(state: Collection, reason: str | None) -> events.CollectionPaused:
    _refuse_ended(state)
    if state.paused:
        raise _refused("it is paused already")
    return events.CollectionPaused(reason)


def resume(state: Collection, reason: str | None) -> events.CollectionResumed:
    _refuse_ended(state)
    if not state.paused and not state.held:
        raise _refused("it is neither paused nor held")
    return events.CollectionResumed(reason)


def cancel(state: Collection, reason: str | None) -> events.CollectionCancelled:
    _refuse_ended(state)
    return events.CollectionCancelled(reason)


def to_front(state: Collection, segment_id: UUID | None, reason: str | None) -> events.MovedToFront:
    """Refuses a segment that is not the collection's."""
    _refuse_ended(state)
    if segment_id is not None:
        _refuse_strangers(state, [segment_id])
    return events.MovedToFront(segment_id, reason)


def change(
    state: Collection,
    reason: str | None,
    *,
    parallel_limit: int | None,
    max_attempts: int | None,
    stop_after_failures: int | None,
    order: SegmentOrder | None,
) -> events.CollectionChanged:
    """What is not given stays as it is; 0 failures take that limit away."""
    _refuse_ended(state)
    return events.CollectionChanged(
        parallel_limit=parallel_limit or state.parallel_limit,
        max_attempts=max_attempts or state.max_attempts,
        order=order or state.order,
        stop_after_failures=msgspec.UNSET if stop_after_failures is None else stop_after_failures or None,
        reason=reason,
    )


def retry(
    state: Collection, failed: Container[UUID], wanted: Iterable[UUID] | None, reason: str | None
) -> events.CollectionRetried:
    """Lets the `wanted` ones of the `failed` and stalled segments run again, all of them where none are named."""
    if state.cancelled:
        raise _refused("it was cancelled; set the same configuration to work again")
    named = list(dict.fromkeys(failed if wanted is None else wanted))
    _refuse_strangers(state, named)
    if others := [id for id in named if id not in failed]:
        raise _refused(f"the segment {others[0]} has not failed or stalled, only such ones can run again")
    if not named:
        raise _refused("no segment of it has failed or stalled")
    return events.CollectionRetried(tuple(named), reason)


def split(
    state: Collection, failed: Container[UUID], segment_id: UUID, into: SegmentType | None, reason: str | None
) -> events.SegmentSplit:
    """Lets a failed segment run again in calendar pieces, by default of the next smaller kind."""
    if state.cancelled:
        raise _refused("it was cancelled; set the same configuration to work again")
    _refuse_strangers(state, [segment_id])
    if segment_id not in failed:
        raise _refused(f"the segment {segment_id} has not failed, only failed ones can be split")
    (whole,) = (planned for planned in state.segments if planned.segment_id == segment_id)
    window = Window(whole.start, whole.end)
    assert state.created is not None
    week_start = state.created.segmentation.week_start or 1
    kinds: tuple[SegmentType, ...] = (into,) if into else ("monthly", "weekly", "daily")
    for kind in kinds:
        if len(pieces := segments(window, kind, week_start)) > 1:
            last = len(state.segments)
            return events.SegmentSplit(
                segment_id,
                tuple(
                    events.PlannedSegment(new_id(), last + number, piece.start, piece.end)
                    for number, piece in enumerate(pieces, 1)
                ),
                reason,
            )
    raise _refused(f"the segment {segment_id} is one piece also when it is cut {into or 'daily'}")


def _refuse_ended(state: Collection) -> None:
    if state.cancelled:
        raise _refused("it was cancelled; set the same configuration to work again")
    if state.finished:
        raise _refused("it has come to its end; failed segments can be run again with POST …/retry")


def _refuse_strangers(state: Collection, segment_ids: Iterable[UUID]) -> None:
    own = {planned.segment_id for planned in state.segments}
    for id in segment_ids:
        if id not in own:
            raise Refused("not_found", f"the collection has no segment {id}; GET its progress for their ids")


def _refused(why: str) -> Refused:
    return Refused("collection_state", why)
