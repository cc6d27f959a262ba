"""A person as their events have made them, and what may be done about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from events.envelope import RecordedEvent
from events.types import person as events
from service.problems import Refused


class LegalHold(msgspec.Struct, frozen=True):
    """A legal hold: who placed it, when (UTC), and why."""

    reason: str
    placed_by: UUID | None
    placed_at: datetime


class Person(msgspec.Struct, frozen=True):
    """Where a person stands; `version` is their stream's, 0 where nothing was ever done about them. `erased_at` is
    when what they had written until then was erased last."""

    version: int = 0
    hold: LegalHold | None = None
    erased_at: datetime | None = None

    def evolve(self, event: RecordedEvent) -> Person:
        """The person after one more event."""
        changes: dict[str, Any] = {"version": event.stream_version}
        match data := event.data:
            case events.HoldPlaced():
                changes["hold"] = LegalHold(data.reason, event.user_id, event.recorded_at)
            case events.HoldLifted():
                changes["hold"] = None
            case events.Erased():
                changes["erased_at"] = event.recorded_at
        return msgspec.structs.replace(self, **changes)


def person_of(history: Iterable[RecordedEvent]) -> Person:
    """The person that a stream's events have made."""
    state = Person()
    for event in history:
        state = state.evolve(event)
    return state


def place_hold(state: Person, reason: str) -> events.HoldPlaced:
    if state.hold is not None:
        raise Refused("hold_state", "there is a hold already; lift it first, to give another reason")
    return events.HoldPlaced(reason)


def lift_hold(state: Person, reason: str | None) -> events.HoldLifted:
    if state.hold is None:
        raise Refused("hold_state", "there is no hold to lift")
    return events.HoldLifted(reason)


def erase(state: Person, reason: str | None) -> events.Erased:
    if state.hold is not None:
        since = state.hold.placed_at.date()
        raise Refused("legal_hold", f"a legal hold of {since} protects what the person has written; it must be lifted")
    return events.Erased(reason)
