"""What a schedule must keep to before it is accepted: not too often, and never beyond what AMC still holds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, takewhile

import msgspec

from events.configurations import LookbackConfig
from service.data_collections.lookback import RETENTION_DAYS, earliest_allowed, within_limit
from service.data_collections.windows import first_instant
from service.schedules.occurrences import Occurrence, ScheduleSpec, occurrences
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
