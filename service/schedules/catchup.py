"""Which runs start now, and which of those that were missed are made up, after an outage or a pause."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from service.schedules.jitter import due
from service.schedules.occurrences import Occurrence, ScheduleSpec, timetable

ON_TIME = timedelta(minutes=5)
"""A run that starts this late was not missed: a scheduler that fails over must not cost a run."""
ALL_REACHES_BACK = timedelta(days=7)

MissedReason = Literal["superseded", "too_old", "catch_up_off"]


class DueRun(msgspec.Struct, frozen=True):
    """A run to start now; `caught_up` where it was missed and is made up. `due` includes its jitter."""

    occurrence: Occurrence
    due: datetime
    caught_up: bool


class MissedRun(msgspec.Struct, frozen=True):
    """A run that will not happen: a newer one stands for it, it is too old, or catching up is off."""

    occurrence: Occurrence
    reason: MissedReason


class CatchUp(msgspec.Struct, frozen=True):
    """Every occurrence that has come due, each in one of the two, oldest first."""

    runs: tuple[DueRun, ...]
    missed: tuple[MissedRun, ...]
    handled: datetime
    """The instant of the last occurrence that is decided here; `last_handled` of the next time."""
    next_due: datetime | None
    """When to look again; None where the schedule has ended."""


def missed_runs(
    spec: ScheduleSpec,
    schedule_id: UUID,
    last_handled: datetime,
    now: datetime,
    runs_done: int = 0,
    on_time: timedelta = ON_TIME,
) -> CatchUp:
    """What to do at `now` with the occurrences later than `last_handled`, an occurrence's instant or the moment
    from which the schedule counts. All instants are in UTC.

    A run that is due for no longer than `on_time` runs whatever the policy. Of the older ones, the missed:
    `latest` runs the newest, unless its next occurrence is due as well; `all` those of the last seven days,
    and the newest in any case until its next one is due (one period, however long); `none` none.
    `catchupWindowHours` replaces those bounds: the newest, or all, that are no older than that.
    `maxRuns` less `runs_done` bounds the runs, oldest first; after the last one the schedule has ended, and
    what lies beyond it is neither run nor missed. Raises ValueError for an instant without an offset.
    """
    come, next_due = _due(spec, schedule_id, last_handled, now)
    late = [occurrence for occurrence, at in come if now - at > on_time]
    reasons = _reasons(spec, late, now, next_is_due=len(late) < len(come))
    left = len(come) + 1 if spec.config.max_runs is None else max(spec.config.max_runs - runs_done, 0)
    runs: list[DueRun] = []
    missed: list[MissedRun] = []
    handled = last_handled
    for index, (occurrence, at) in enumerate(come):
        if len(runs) == left:
            break
        handled = occurrence.instant
        reason = reasons[index] if index < len(late) else None
        if reason is None:
            runs.append(DueRun(occurrence, at, caught_up=index < len(late)))
        else:
            missed.append(MissedRun(occurrence, reason))
    return CatchUp(tuple(runs), tuple(missed), handled, None if len(runs) == left else next_due)


def _reasons(
    spec: ScheduleSpec, missed: list[Occurrence], now: datetime, *, next_is_due: bool
) -> list[MissedReason | None]:
    """Why each of the missed, oldest first, does not run; None where it does. `next_is_due`: the newest one's."""
    config = spec.config
    if not missed or config.catchup == "none":
        return ["catch_up_off"] * len(missed)
    if config.catchup_window_hours is None:
        newest_runs, reach = not next_is_due, ALL_REACHES_BACK
    else:
        reach = timedelta(hours=config.catchup_window_hours)
        newest_runs = now - missed[-1].instant <= reach
    if config.catchup == "latest":
        too_old = config.catchup_window_hours is not None and not newest_runs
        older: MissedReason = "too_old" if too_old else "superseded"
        return [*[older] * (len(missed) - 1), None if newest_runs else older]
    within = [now - occurrence.instant <= reach for occurrence in missed]
    within[-1] = within[-1] or newest_runs
    return [None if runs else "too_old" for runs in within]


def _due(
    spec: ScheduleSpec, schedule_id: UUID, last_handled: datetime, now: datetime
) -> tuple[list[tuple[Occurrence, datetime]], datetime | None]:
    """The occurrences that have come due, each with when it did, and when the first of the others will."""
    come: list[tuple[Occurrence, datetime]] = []
    current: Occurrence | None = None
    for entry in timetable(spec, last_handled):
        if not isinstance(entry, Occurrence):
            continue
        if current is not None:
            at = due(schedule_id, current, entry, spec.config.jitter_seconds)
            if at > now:
                return come, at
            come.append((current, at))
        current = entry
    if current is None:
        return come, None
    at = due(schedule_id, current, None, spec.config.jitter_seconds)
    if at > now:
        return come, at
    return [*come, (current, at)], None
