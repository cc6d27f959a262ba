"""What is appended when a schedule is created, moves, or ends: the one place where its writes are put together."""

from __future__ import annotations

from uuid import UUID

from events.append import Write
from events.envelope import Metadata, NewEvent, new_id, stream_of
from events.types.schedule import Changed, Ended, Paused, ScheduleCreated
from service.data_collections.writes import created_write
from service.schedules.decide import Move
from service.schedules.state import Schedule
from service.teams.limits import schedule_deactivated


def created_writes(
    schedule_id: UUID,
    created: ScheduleCreated,
    *,
    team_id: str,
    user_id: UUID | None,
    workflow_id: str,
    event_id: UUID | None = None,
) -> tuple[Write, ...]:
    """A new schedule; `event_id` is for which values in it were sealed. Where it has a backfill, the write that creates
    that collection stands before these."""
    event = NewEvent(
        data=created,
        team_id=team_id,
        user_id=user_id,
        workflow_id=workflow_id,
        metadata=_metadata(schedule_id, created.report_id),
        id=event_id or new_id(),
    )
    return (Write(stream_of("schedule", schedule_id), "none", (event,)),)


def moved_writes(
    schedule: Schedule,
    move: Move,
    *,
    user_id: UUID | None,
    workflow_id: str | None = None,
    changed_id: UUID | None = None,
) -> tuple[Write, ...]:
    """A move of a schedule, at the version that it was decided at; the collections that it starts stand first.

    `user_id` is who made it; the collections are the schedule's owner's. `workflow_id` is another than the
    schedule's where the move changes it, `changed_id` the id of that event, for which values in it were sealed. A
    schedule that is paused or ends counts no more in its team.
    """
    metadata = _metadata(schedule.schedule_id, schedule.report_id)
    started = tuple(
        created_write(
            collection_id,
            collection,
            team_id=schedule.team_id,
            user_id=schedule.user_id,
            workflow_id=schedule.workflow_id,
            causation=schedule.schedule_id,
        )
        for collection_id, collection in move.collections
    )
    moved = tuple(
        NewEvent(
            data=data,
            team_id=schedule.team_id,
            user_id=user_id,
            workflow_id=workflow_id or schedule.workflow_id,
            metadata=metadata,
            id=changed_id if changed_id and isinstance(data, Changed) else new_id(),
        )
        for data in move.events
    )
    writes = (*started, Write(stream_of("schedule", schedule.schedule_id), schedule.version, moved))
    if any(isinstance(data, Paused | Ended) for data in move.events):
        return (*writes, schedule_deactivated(schedule.team_id, user_id, schedule.schedule_id))
    return writes


def _metadata(schedule_id: UUID, report_id: UUID | None) -> Metadata:
    return Metadata(correlation_id=str(schedule_id), causation_id=str(report_id) if report_id else None)
