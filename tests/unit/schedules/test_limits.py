"""How often a schedule runs, and whether AMC still has what each of its runs asks for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from events.configurations import CustomLookback, LookbackConfig, RelativeLookback
from service.schedules.limits import MINIMUM_INTERVAL, first_out_of_reach, limit_problems, shortest_interval
from service.schedules.occurrences import ScheduleSpec, occurrences
from tests.unit.schedules.samples import distinct_zones, sampled_changes, schedule, utc

START = utc("2026-01-15")
FOURTEEN_MONTHS = RelativeLookback(value=14, unit="months")


@pytest.mark.parametrize(
    ("spec", "interval"),
    [
        (schedule("UTC", "06:00"), timedelta(days=1)),
        (schedule("America/New_York", "06:00"), timedelta(hours=23)),
        (schedule("America/New_York", "02:30"), timedelta(hours=23)),
        (schedule("Australia/Lord_Howe", "06:00"), timedelta(hours=23, minutes=30)),
        (schedule("Antarctica/Troll", "06:00"), timedelta(hours=22)),
        (schedule("UTC", "06:00", "weekly", daysOfWeek=[1, 3, 0]), timedelta(days=1)),  # Sunday to Monday
        (schedule("UTC", "06:00", "weekly", daysOfWeek=[1]), timedelta(days=7)),
        (schedule("UTC", "06:00", "monthly", dayOfMonth=1), timedelta(days=28)),
        (schedule("UTC", "06:00", "monthly", dayOfMonth=31), timedelta(days=28)),
    ],
)
def test_the_shortest_interval_is_that_of_the_year_ahead(spec: ScheduleSpec, interval: timedelta) -> None:
    assert shortest_interval(spec, START) == interval


def test_fewer_than_two_runs_have_no_interval() -> None:
    assert shortest_interval(schedule("UTC", "06:00", maxRuns=1), START) is None
    assert shortest_interval(schedule("UTC", "06:00", endDate="2026-01-15"), START) is None
    assert shortest_interval(schedule("UTC", "06:00", maxRuns=2), START) == timedelta(days=1)


def test_a_schedule_that_starts_later_is_looked_at_from_its_start() -> None:
    assert shortest_interval(schedule("UTC", "06:00", startDate="2029-01-01"), START) == timedelta(days=1)
    assert shortest_interval(schedule("UTC", "06:00", startDate="9999-12-01"), START) is None
    spec = schedule("UTC", "06:00", startDate="2029-01-01")
    found = first_out_of_reach(spec, FOURTEEN_MONTHS, "UTC", START)
    assert found is not None
    assert found.occurrence.day >= date(2029, 1, 1)


def test_no_schedule_of_any_zone_runs_more_often_than_once_an_hour() -> None:
    for zone_name in distinct_zones():
        for change in sampled_changes(zone_name)[-2:]:
            for time in ("00:00", "02:30", "23:45"):
                for repeat in ("first", "last"):
                    spec = schedule(zone_name, time, repeatPolicy=repeat)
                    near = change - timedelta(days=3), change + timedelta(days=3)
                    runs = [run.instant for run in occurrences(spec, *near)]
                    assert min(b - a for a, b in pairwise(runs)) >= MINIMUM_INTERVAL, spec


def test_fourteen_months_span_more_than_425_days_on_most_days_of_a_year() -> None:
    spec = schedule("America/New_York", "06:00")
    found = first_out_of_reach(spec, FOURTEEN_MONTHS, "America/New_York", START)
    assert found is not None
    # 2024-11-15 to 2026-01-15 are 426 days.
    assert (found.as_of, found.earliest) == (date(2026, 1, 15), date(2024, 11, 16))
    assert first_out_of_reach(spec, FOURTEEN_MONTHS, "America/New_York", START, 430) is None


@pytest.mark.parametrize(
    "lookback",
    [
        RelativeLookback(value=425, unit="days"),
        RelativeLookback(value=13, unit="months"),
        RelativeLookback(value=12, unit="months", align="calendar"),
        RelativeLookback(value=60, unit="weeks"),
    ],
)
def test_a_shorter_lookback_is_within_reach_all_year(lookback: LookbackConfig) -> None:
    assert first_out_of_reach(schedule("UTC", "06:00"), lookback, "UTC", START) is None


def test_the_first_run_that_breaks_the_limit_is_named_even_late_in_the_year() -> None:
    # On the first of March 14 months before are 424 or 425 days, on others they are more.
    monthly = schedule("UTC", "06:00", "monthly", dayOfMonth=1, startDate="2026-03-01")
    found = first_out_of_reach(monthly, FOURTEEN_MONTHS, "UTC", START)
    assert found is not None
    assert found.as_of == date(2026, 5, 1)
    ends = schedule("UTC", "06:00", "monthly", dayOfMonth=1, startDate="2026-03-01", endDate="2026-04-30")
    assert first_out_of_reach(ends, FOURTEEN_MONTHS, "UTC", START) is None
    counted = schedule("UTC", "06:00", "monthly", dayOfMonth=1, startDate="2026-03-01", maxRuns=2)
    assert first_out_of_reach(counted, FOURTEEN_MONTHS, "UTC", START) is None


def test_a_custom_window_grows_too_old() -> None:
    window = CustomLookback(start_date=date(2025, 1, 1), end_date=date(2025, 1, 31))
    found = first_out_of_reach(schedule("UTC", "06:00"), window, "UTC", START)
    assert found is not None
    assert found.as_of == date(2026, 3, 3)
    assert (found.as_of - window.start_date).days == 426


def test_dates_are_those_of_the_reports_zone() -> None:
    # 00:30 in Auckland is the day before in New York: a window up to that day is not over there.
    spec = schedule("Pacific/Auckland", "00:30", maxRuns=1)
    window = CustomLookback(start_date=date(2026, 1, 1), end_date=date(2026, 1, 16))
    after = datetime(2026, 1, 15, 8, tzinfo=UTC)
    assert first_out_of_reach(spec, window, "Pacific/Auckland", after) is None
    found = first_out_of_reach(spec, window, "America/New_York", after)
    assert found is not None
    assert found.as_of == date(2026, 1, 15)


def test_every_limit_that_is_broken_is_named_by_its_field() -> None:
    week = RelativeLookback(value=7, unit="days")
    daily = schedule("UTC", "06:00").config
    assert limit_problems(daily, week, "UTC", START) == []
    strict = limit_problems(daily, FOURTEEN_MONTHS, "UTC", START, minimum_interval=timedelta(days=2))
    assert [problem.pointer for problem in strict] == ["/schedule_config/time", "/lookback_config"]
    assert "48 h" in strict[0].message
    inside = limit_problems(
        daily, FOURTEEN_MONTHS, "UTC", START, lookback_at="/parameters/lookback_config", schedule_at="/schedule"
    )
    assert [problem.pointer for problem in inside] == ["/parameters/lookback_config"]
    assert "2026-01-15" in inside[0].message


def test_a_schedule_that_leaves_no_run_is_refused_by_what_ends_it() -> None:
    week = RelativeLookback(value=7, unit="days")
    over = schedule("UTC", "06:00", endDate="2026-01-14").config
    assert [problem.pointer for problem in limit_problems(over, week, "UTC", START)] == ["/schedule_config/endDate"]
    twice = schedule("UTC", "06:00", maxRuns=2).config
    assert limit_problems(twice, week, "UTC", START, runs_done=1) == []
    done = limit_problems(twice, week, "UTC", START, runs_done=2)
    assert [problem.pointer for problem in done] == ["/schedule_config/maxRuns"]
