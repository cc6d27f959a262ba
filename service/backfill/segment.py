"""A segment as its events have made it, for the worker that takes its next step. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from events.envelope import RecordedEvent
from events.types import segment
from events.types.segment import ResultColumn, SubmissionStarted, WorkStep


class Segment(msgspec.Struct, frozen=True):
    """Where a segment stands. `fence` is the version of its last dispatch; `step` is what comes next,
    None where it waits for a new attempt or has come to its end.

    `attempt` counts from 1; those up to `counted_from` were before a person let it run again. `intents` are the
    submissions begun in this attempt, each with its time on the database's clock.
    """

    version: int = 0
    team_id: str = ""
    user_id: UUID | None = None
    workflow_id: str | None = None
    collection_id: UUID | None = None
    fence: int = 0
    attempt: int = 0
    counted_from: int = 0
    step: WorkStep | None = None
    intents: tuple[tuple[datetime, SubmissionStarted], ...] = ()
    execution_id: str | None = None
    started: bool = False
    columns: tuple[ResultColumn, ...] = ()
    executed_at: datetime | None = None
    stalled: bool = False

    @property
    def in_flight(self) -> bool:
        """Whether AMC may have an execution of it that has not ended."""
        return self.step == "poll" or (self.step == "submit" and bool(self.intents))

    def evolve(self, event: RecordedEvent) -> Segment:
        """The segment after one more event."""
        changes: dict[str, Any] = {"version": event.stream_version, "stalled": False}
        match data := event.data:
            case segment.Dispatched():
                changes |= {"fence": event.stream_version, "collection_id": data.collection_id}
                if data.reason == "admitted":
                    changes |= {
                        "attempt": data.attempt,
                        "step": data.step,
                        "intents": (),
                        "execution_id": None,
                        "started": False,
                        "executed_at": None,
                    }
            case segment.SubmissionStarted():
                changes |= {"intents": (*self.intents, (event.recorded_at, data))}
            case segment.Submitted():
                changes |= {"execution_id": data.execution_id, "step": "poll"}
            case segment.Started():
                changes |= {"started": True}
            case segment.Executed():
                changes |= {"step": "fetch", "columns": data.columns, "executed_at": event.recorded_at}
            case segment.Stalled():
                changes |= {"stalled": True}
            case segment.Retried():
                changes |= {"counted_from": data.attempt}
            case (
                segment.Completed()
                | segment.RetryScheduled()
                | segment.Released()
                | segment.Failed()
                | segment.Cancelled()
            ):
                changes |= {"step": None}
        return msgspec.structs.replace(self, **changes)


def segment_of(events: Iterable[RecordedEvent]) -> Segment:
    """The segment that a stream's events have made."""
    state = Segment()
    for event in events:
        state = msgspec.structs.replace(
            state, team_id=event.team_id, user_id=event.user_id, workflow_id=event.workflow_id
        ).evolve(event)
    return state
