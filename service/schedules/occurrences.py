"""The instants at which a schedule runs, computed from its local calendar.

Dates are counted in the schedule's zone and become instants last, so a run keeps its local time through
every change of the clocks. Each local day that exists has at most one run; a day that the zone skipped
(Samoa, 2011-12-30) has none.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from events.configurations import MonthlySchedule, ScheduleConfig, WeeklySchedule, zone
from service.data_collections.windows import first_instant

DAY = timedelta(days=1)
FIRST_DAY, LAST_DAY = date(1, 1, 3), date(9999, 12, 29)
"""Outside of these a local date-time may have no instant; schedules run within."""
LARGEST_STEP = timedelta(days=2)
"""How far a run's nominal date may lie before the local date of any earlier instant: a shift moves a run by
less than a day, and clocks are set back by no more than another."""

Change = Literal["shifted", "first", "last"]
Reason = Literal["gap", "missing_day", "short_month"]


class ScheduleSpec(msgspec.Struct, frozen=True):
    """A schedule, and the zone whose calendar and clocks it follows."""

    config: ScheduleConfig
    zone_name: str

    @classmethod
    def of(cls, config: ScheduleConfig, report_zone: str) -> ScheduleSpec:
        """The schedule in its own zone, or in the report's where it names none."""
        return cls(config, config.timezone or report_zone)


class Occurrence(msgspec.Struct, frozen=True):
    """One run that a schedule asks for."""

    nominal: datetime
    """The local date-time asked for, without offset; it identifies the run within its schedule."""
    instant: datetime
    """When it runs, in UTC."""
    local: datetime
    """What the clocks of the zone show then, without offset; `nominal`, unless it was shifted."""
    change: Change | None = None
    """What the clocks did to it: shifted out of a gap, or the first or last of two equal local times."""

    @property
    def day(self) -> date:
        """The local date asked for."""
        return self.nominal.date()


class Omission(msgspec.Struct, frozen=True):
    """A date on which the schedule would run, and does not."""

    day: date
    """The local date; with `short_month` the last day of the month that lacks the day asked for."""
    instant: datetime
    """When it would have run, in UTC; for a day that does not exist, when the next one begins."""
    reason: Reason


def occurrences(spec: ScheduleSpec, after: datetime, before: datetime, runs_done: int = 0) -> Iterator[Occurrence]:
    """The runs with `after` < instant <= `before`, oldest first: neighbouring spans share no run and lose none.

    `runs_done` is how many runs the schedule has recorded up to `after`; `maxRuns` ends it when they and the
    ones given here reach that number. Missed and skipped occurrences are no runs: they do not count.
    Raises ValueError for an instant without an offset, and UnknownZone.
    """
    _check_instant(before)
    for occurrence in _runs(spec, after, runs_done):
        if occurrence.instant > before:
            return
        yield occurrence


def next_occurrence(spec: ScheduleSpec, after: datetime, runs_done: int = 0) -> Occurrence | None:
    """The first run later than `after`; None once the schedule has ended."""
    return next(_runs(spec, after, runs_done), None)


def timetable(spec: ScheduleSpec, after: datetime) -> Iterator[Occurrence | Omission]:
    """What the calendar holds later than `after`, oldest first, until the schedule's `endDate`; `maxRuns` is
    not counted. Without `endDate` it goes on to the end of the calendar.

    Raises ValueError for an instant without an offset, and UnknownZone.
    """
    _check_instant(after)
    rules, config = zone(spec.zone_name), spec.config
    at = time.fromisoformat(config.time)
    first = max(after.astimezone(rules).date() - LARGEST_STEP, config.start_date or FIRST_DAY, FIRST_DAY)
    last = min(config.end_date or LAST_DAY, LAST_DAY)
    # A month that lost the day asked for may run on the day before it: one further day is looked at.
    for day in _days(config, first, last + DAY):
        entry = _entry(spec, rules, datetime.combine(day, at))
        if entry.instant > after and first <= entry.day <= last:
            yield entry


def _runs(spec: ScheduleSpec, after: datetime, runs_done: int) -> Iterator[Occurrence]:
    runs = (entry for entry in timetable(spec, after) if isinstance(entry, Occurrence))
    if spec.config.max_runs is None:
        return runs
    return islice(runs, max(spec.config.max_runs - runs_done, 0))


def _days(config: ScheduleConfig, first: date, last: date) -> Iterator[date]:
    """The dates of the calendar that the schedule names, from `first` to `last`, both included.

    For a month that lacks the day asked for, its last day.
    """
    if isinstance(config, MonthlySchedule):
        year, month = first.year, first.month
        while (year, month) <= (last.year, last.month):
            day = date(year, month, min(config.day_of_month, monthrange(year, month)[1]))
            if first <= day <= last:
                yield day
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return
    wanted = frozenset(config.days_of_week if isinstance(config, WeeklySchedule) else range(1, 8))
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        if (ordinal - 1) % 7 + 1 in wanted:
            yield date.fromordinal(ordinal)


def _entry(spec: ScheduleSpec, rules: ZoneInfo, nominal: datetime) -> Occurrence | Omission:
    """What becomes of one date of the schedule, once the clocks of its zone have had their say."""
    config = spec.config
    # `fold` 0 and 1 give the offsets before and after a change that touches this local time, else one twice.
    earlier, later = rules.utcoffset(nominal), rules.utcoffset(nominal.replace(fold=1))
    assert earlier is not None
    assert later is not None
    change: Change | None = None
    offset, local = earlier, nominal
    if earlier > later:
        change, offset = config.repeat_policy, earlier if config.repeat_policy == "first" else later
    elif earlier < later:
        if not _exists(nominal.date(), spec.zone_name):
            return _without_the_day(spec, rules, nominal)
        change, local = "shifted", nominal + (later - earlier)
    instant = (nominal - offset).replace(tzinfo=UTC)
    if config.short_month == "skip" and isinstance(config, MonthlySchedule) and nominal.day < config.day_of_month:
        return Omission(nominal.date(), instant, "short_month")
    if config.gap_policy == "skip" and change == "shifted":
        return Omission(nominal.date(), instant, "gap")
    return Occurrence(nominal, instant, local, change)


def _without_the_day(spec: ScheduleSpec, rules: ZoneInfo, nominal: datetime) -> Occurrence | Omission:
    """The zone skipped the whole day: no run, but a month that lost a day is a shorter month."""
    config, day = spec.config, nominal.date()
    if isinstance(config, MonthlySchedule) and config.short_month == "last_day" and day.day > 1:
        return _entry(spec, rules, nominal - DAY)
    return Omission(day, first_instant(day, spec.zone_name), "missing_day")


def _exists(day: date, zone_name: str) -> bool:
    return first_instant(day, zone_name) < first_instant(day + DAY, zone_name)


def _check_instant(instant: datetime) -> None:
    if instant.tzinfo is None:
        raise ValueError("the instant has no offset from UTC; give one with tzinfo")
