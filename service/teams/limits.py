"""The limits that span streams: running backfills and active schedules of a user, and no schedule twice in a team.

What is at work stands in the team's stream. Whoever sets something to work appends to it with the version that
was counted, in the same atomic append: a second one that counted at the same time gets a conflict and counts again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from db.pool import Pool
from events.append import Write
from events.envelope import NewEvent, RecordedEvent, stream_of
from events.reader import read_stream
from events.types import team
from service.auth.caller import Caller
from service.problems import Refused

MAX_REMEMBERED = 1000


class Team(msgspec.Struct):
    """What a team has at work: running backfills with their users, active schedules with users and fingerprints.

    Built up event by event, in place: a team's stream only grows, and so is read from where it was left.
    """

    team_id: str
    version: int = 0
    backfills: dict[UUID, UUID | None] = msgspec.field(default_factory=dict)
    schedules: dict[UUID, tuple[UUID | None, str]] = msgspec.field(default_factory=dict)
    max_concurrent: int | None = None
    max_concurrent_per_user: int | None = None

    def evolve(self, events: Iterable[RecordedEvent]) -> None:
        for event in events:
            self.version = event.stream_version
            match data := event.data:
                case team.BackfillStarted():
                    self.backfills[data.collection_id] = event.user_id
                case team.BackfillEnded():
                    self.backfills.pop(data.collection_id, None)
                case team.ScheduleActivated():
                    self.schedules[data.schedule_id] = (event.user_id, data.fingerprint)
                case team.ScheduleDeactivated():
                    self.schedules.pop(data.schedule_id, None)
                case team.TeamLimitsSet():
                    self.max_concurrent = data.max_concurrent
                    self.max_concurrent_per_user = data.max_concurrent_per_user


class Limits(msgspec.Struct, frozen=True):
    """What one user may have at work at once."""

    running_backfills: int = 5
    active_schedules: int = 100


class Teams:
    """Reads what teams have at work, and remembers it up to the version that was read."""

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._known: dict[str, Team] = {}

    async def admit(
        self,
        caller: Caller,
        *,
        backfill: UUID | None = None,
        schedule: UUID | None = None,
        fingerprint: str = "",
    ) -> tuple[Write, ...]:
        """What is to be appended with the events that set the backfill, the schedule or both to work, or that
        change what an active schedule does.

        Raises Refused where the user has as many as allowed, or the team has an active schedule of that
        fingerprint.
        """
        if backfill is None and schedule is None:
            return ()
        state = await self.load(caller.team_id)
        happened: list[Any] = []
        if backfill is not None:
            running = [found for found, user in state.backfills.items() if user == caller.user_id]
            if len(running) >= self._limits.running_backfills:
                raise Refused(
                    "too_many_backfills",
                    f"you have {len(running)} backfills running, and may have {self._limits.running_backfills};"
                    " wait for one to end",
                    extra={"limit": self._limits.running_backfills, "collection_ids": [str(id) for id in running]},
                )
            happened.append(team.BackfillStarted(backfill))
        if schedule is not None:
            others = {found: counted for found, counted in state.schedules.items() if found != schedule}
            active = [found for found, (user, _) in others.items() if user == caller.user_id]
            if same := [found for found, (_, other) in others.items() if other == fingerprint]:
                raise Refused(
                    "duplicate_schedule",
                    f"the schedule {same[0]} is active and does exactly the same; change one of the two, or end it",
                    extra={"schedule_id": str(same[0])},
                )
            if len(active) >= self._limits.active_schedules:
                raise Refused(
                    "too_many_schedules",
                    f"you have {len(active)} active schedules, and may have {self._limits.active_schedules};"
                    " pause or end one first",
                    extra={"limit": self._limits.active_schedules},
                )
            happened.append(team.ScheduleActivated(schedule, fingerprint))
        events = tuple(NewEvent(data=data, team_id=caller.team_id, user_id=caller.user_id) for data in happened)
        return (Write(stream_of("team", caller.team_id), state.version or "none", events),)

    async def load(self, team_id: str) -> Team:
        """The team as its stream has it now."""
        state = self._known.pop(team_id, None) or Team(team_id)
        state.evolve(await read_stream(self._pool, stream_of("team", team_id), after=state.version))
        self._known[team_id] = state
        if len(self._known) > MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)))
        return state


def backfill_ended(team_id: str, user_id: UUID | None, collection_id: UUID) -> Write:
    """What is to be appended with a backfill's end. Giving back needs no version: it exceeds no limit."""
    event = NewEvent(data=team.BackfillEnded(collection_id), team_id=team_id, user_id=user_id)
    return Write(stream_of("team", team_id), "any", (event,))


def schedule_deactivated(team_id: str, user_id: UUID | None, schedule_id: UUID) -> Write:
    """What is to be appended with a schedule's pause or end."""
    event = NewEvent(data=team.ScheduleDeactivated(schedule_id), team_id=team_id, user_id=user_id)
    return Write(stream_of("team", team_id), "any", (event,))
