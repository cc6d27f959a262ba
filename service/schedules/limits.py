"""What a schedule must keep to before it is accepted: not too often, and never beyond what AMC still holds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, takewhile

import msgspec

from events.configurations import LookbackConfig, ScheduleConfig
from events.validation import Problem
from service.data_collections.lookback import RETENTION_DAYS, earliest_allowed, within_limit
from service.data_collections.windows import first_instant
from service.schedules.occurrences import Occurrence, ScheduleSpec, next_occurrence, occurrences
from service.schedules.runs import as_of

MINIMUM_INTERVAL = timedelta(hours=1)
HORIZON = timedelta(days=366)
FOREVER = datetime.max.replace(tzinfo=UTC)
LAST_START = date(9990, 1, 1)
"""The horizon of a schedule that starts even later would leave the calendar."""


class OutOfReach(msgspec.Struct, frozen=True):
    """The earliest run whose window AMC could not fill, and the earliest date allowed for it."""

    occurrence: Occurrence
    as_of: date
    earliest: date


def limit_problems(
    schedule: ScheduleConfig,
    lookback: LookbackConfig,
    report_zone: str,
    after: datetime,
    *,
    retention_days: int = RETENTION_DAYS,
    minimum_interval: timedelta = MINIMUM_INTERVAL,
    runs_done: int = 0,
    schedule_at: str = "/schedule_config",
    lookback_at: str = "/lookback_config",
) -> list[Problem]:
    """Every limit that the schedule breaks from `after` on: no run left, two runs too
    close to each other, a run whose window AMC could not fill. `schedule_at` and `lookback_at` are the pointers of
    the two objects."""
    spec = ScheduleSpec.of(schedule, report_zone)
    if next_occurrence(spec, after, runs_done) is None:
        field = "/maxRuns" if schedule.max_runs is not None and runs_done >= schedule.max_runs else "/endDate"
        return [Problem(schedule_at + field, "leaves no run from now on; give a later or larger one")]
    problems = []
    shortest = shortest_interval(spec, after)
    if shortest is not None and shortest < minimum_interval:
        hours = f"{minimum_interval / timedelta(hours=1):g} h"
        message = f"brings two runs closer together than {hours}; choose a time that clock changes leave alone"
        problems.append(Problem(f"{schedule_at}/time", message))
    reach = first_out_of_reach(spec, lookback, report_zone, after, retention_days)
    if reach is not None:
        problems.append(
            Problem(
                lookback_at,
                f"the run of {reach.occurrence.day} needs days that AMC does not have then: its window must lie"
                f" between {reach.earliest} and {reach.as_of}; give a shorter one",
            )
        )
    return problems


def shortest_interval(spec: ScheduleSpec, after: datetime) -> timedelta | None:
    """The shortest time between two neighbouring runs, the first of them within the horizon.

    The horizon is 366 days from `after`, or from `startDate` where that is later. None where fewer than two
    runs are left. Jitter is not counted: it never reaches the next run.
    """
    end = _horizon(spec, after)
    pairs = pairwise(occurrence.instant for occurrence in occurrences(spec, after, FOREVER))
    return min((later - run for run, later in takewhile(lambda pair: pair[0] <= end, pairs)), default=None)


def first_out_of_reach(
    spec: ScheduleSpec,
    lookback: LookbackConfig,
    report_zone: str,
    after: datetime,
    retention_days: int = RETENTION_DAYS,
) -> OutOfReach | None:
    """The earliest run within the horizon whose window breaks `validate_lookback_limit`; None where none does.

    The horizon is 366 days from `after`, or from `startDate` where that is later.
    """
    for occurrence in occurrences(spec, after, _horizon(spec, after)):
        day = as_of(spec, occurrence, report_zone)
        if not within_limit(lookback, day, retention_days):
            return OutOfReach(occurrence, day, earliest_allowed(day, retention_days))
    return None


def _horizon(spec: ScheduleSpec, after: datetime) -> datetime:
    start = spec.config.start_date
    if start is None or start <= after.date():
        return after + HORIZON
    return max(after, first_instant(min(start, LAST_START), spec.zone_name)) + HORIZON
