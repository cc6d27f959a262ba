"""Which events a reader gets: what the query asks for, within what the caller may see."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from events.envelope import RecordedEvent
from service.auth.caller import Caller
from service.endpoints import LAST_POSITION, Position, Query
from service.problems import Refused

ANY_ENDING = "*"


class Events(Query, frozen=True, kw_only=True):
    """Which events: those after a position, which was seen in `epoch`; each filter may be repeated, and lets through
    what it names. A `type` that ends in `*` names all that begin like it."""

    after: Position = 0
    epoch: Annotated[int, Meta(ge=1, le=LAST_POSITION)] | None = None
    type: tuple[str, ...] = ()
    stream: tuple[str, ...] = ()
    workflow: tuple[str, ...] = ()
    user: tuple[UUID, ...] = ()
    team: tuple[str, ...] = ()
    all_teams: bool = False


class EventFilter(msgspec.Struct, frozen=True):
    """What an event must be to pass; what is empty lets everything through, and so does `teams` where it is null.
    Readers with equal filters share what is made for them."""

    teams: frozenset[str] | None
    types: frozenset[str] = frozenset()
    beginnings: tuple[str, ...] = ()
    streams: frozenset[str] = frozenset()
    workflows: frozenset[str] = frozenset()
    users: frozenset[UUID] = frozenset()

    def passes(self, event: RecordedEvent) -> bool:
        return (
            (self.teams is None or event.team_id in self.teams)
            and (
                not (self.types or self.beginnings)
                or event.event_type in self.types
                or event.event_type.startswith(self.beginnings)
            )
            and (not self.streams or event.stream in self.streams)
            and (not self.workflows or event.workflow_id in self.workflows)
            and (not self.users or event.user_id in self.users)
        )


def filter_of(query: Events, caller: Caller) -> EventFilter:
    """The filter of a query. Raises Refused for teams that the caller may not read."""
    return EventFilter(
        teams=_teams(query, caller),
        types=frozenset(name for name in query.type if not name.endswith(ANY_ENDING)),
        beginnings=tuple(sorted({name[:-1] for name in query.type if name.endswith(ANY_ENDING)})),
        streams=frozenset(query.stream),
        workflows=frozenset(query.workflow),
        users=frozenset(query.user),
    )


def _teams(query: Events, caller: Caller) -> frozenset[str] | None:
    """Those of the query; without any the one that the caller acts for, or all where that is asked for."""
    if query.all_teams:
        caller.require("audit:read")
        return frozenset(query.team) or None
    if strange := set(query.team) - set(caller.teams):
        raise Refused(
            "forbidden",
            f"you are not in the team {min(strange)}; with the scope audit:read, all_teams=true reads every team",
        )
    return frozenset(query.team or (caller.team_id,))
