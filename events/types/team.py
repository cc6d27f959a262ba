"""Events of `team-` streams: what a team has at work, for the limits that span its reports, and its own limits.

What is at work is written with the stream's expected version, in the append that sets the work going: however many
processes ask at once, a limit is never exceeded by one.
"""

from __future__ import annotations

from uuid import UUID

import msgspec


class BackfillStarted(msgspec.Struct, frozen=True):
    """A backfill of the event's user counts as running from here on."""

    collection_id: UUID


class BackfillEnded(msgspec.Struct, frozen=True):
    """Every segment of the backfill has come to its end; it counts no more."""

    collection_id: UUID


class ScheduleActivated(msgspec.Struct, frozen=True):
    """A schedule of the event's user counts as active. `fingerprint` is the SHA-256 of what it does: two
    active schedules of a team never have the same."""

    schedule_id: UUID
    fingerprint: str


class ScheduleDeactivated(msgspec.Struct, frozen=True):
    """The schedule was paused or has ended; it counts no more, and its fingerprint is free."""

    schedule_id: UUID


class TeamLimitsSet(msgspec.Struct, frozen=True, kw_only=True):
    """How many segments of the team, and of each of its users, may be in flight at once from here on. Null: any
    number."""

    max_concurrent: int | None
    max_concurrent_per_user: int | None


EVENTS = {
    ("team.backfill_started", 1): BackfillStarted,
    ("team.backfill_ended", 1): BackfillEnded,
    ("team.schedule_activated", 1): ScheduleActivated,
    ("team.schedule_deactivated", 1): ScheduleDeactivated,
    ("team.limits_set", 1): TeamLimitsSet,
}
