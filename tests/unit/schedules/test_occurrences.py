"""When schedules run: named changes of the clocks, and what holds for every schedule."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from time import perf_counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.configurations import DailySchedule, MonthlySchedule, ScheduleConfig, UnknownZone, WeeklySchedule, zone
from service.schedules.occurrences import (
    DAY,
    Occurrence,
    Omission,
    ScheduleSpec,
    next_occurrence,
    occurrences,
    timetable,
)
from tests.unit.schedules.samples import MINUTE, changes, distinct_zones, naive, schedule, utc

# Zone, the local time asked for, when it runs in UTC and what the clocks show: of two equal times the first.
NAMED = [
    # Clocks go forward.
    ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:30", "2026-03-08T03:30"),
    ("America/New_York", "2026-03-08T02:00", "2026-03-08T07:00", "2026-03-08T03:00"),
    ("America/New_York", "2026-03-08T02:59", "2026-03-08T07:59", "2026-03-08T03:59"),
    ("America/New_York", "2026-03-08T03:00", "2026-03-08T07:00", "2026-03-08T03:00"),
    ("America/New_York", "2026-03-08T01:59", "2026-03-08T06:59", "2026-03-08T01:59"),
    ("Australia/Lord_Howe", "2025-10-05T02:15", "2025-10-04T15:45", "2025-10-05T02:45"),
    ("America/Asuncion", "2024-10-06T00:30", "2024-10-06T04:30", "2024-10-06T01:30"),
    ("Asia/Beirut", "2025-03-30T00:00", "2025-03-29T22:00", "2025-03-30T01:00"),
    ("America/Havana", "2025-03-09T00:30", "2025-03-09T05:30", "2025-03-09T01:30"),
    ("Africa/Cairo", "2024-04-26T00:15", "2024-04-25T22:15", "2024-04-26T01:15"),
    ("America/Santiago", "2025-09-07T00:30", "2025-09-07T04:30", "2025-09-07T01:30"),
    ("America/Sao_Paulo", "2018-11-04T00:00", "2018-11-04T03:00", "2018-11-04T01:00"),
    ("Africa/Casablanca", "2025-04-06T02:30", "2025-04-06T02:30", "2025-04-06T03:30"),
    ("Antarctica/Troll", "2025-03-30T01:30", "2025-03-30T01:30", "2025-03-30T03:30"),
    ("Europe/Dublin", "2025-03-30T01:30", "2025-03-30T01:30", "2025-03-30T02:30"),
    # The last hour of the day is the one that is missing: it runs after midnight, for the day before.
    ("America/Nuuk", "2024-03-30T23:30", "2024-03-31T01:30", "2024-03-31T00:30"),
    ("America/Nuuk", "2024-03-31T00:30", "2024-03-31T01:30", "2024-03-31T00:30"),
    # Clocks go back: the first.
    ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30", "2026-11-01T01:30"),
    ("America/New_York", "2026-11-01T02:00", "2026-11-01T07:00", "2026-11-01T02:00"),
    ("Australia/Lord_Howe", "2025-04-06T01:45", "2025-04-05T14:45", "2025-04-06T01:45"),
    ("America/Havana", "2025-11-02T00:30", "2025-11-02T04:30", "2025-11-02T00:30"),
    ("America/Sao_Paulo", "2019-02-16T23:30", "2019-02-17T01:30", "2019-02-16T23:30"),
    ("America/St_Johns", "2010-11-07T00:00", "2010-11-07T02:30", "2010-11-07T00:00"),
    ("America/Nuuk", "2025-10-25T23:30", "2025-10-26T00:30", "2025-10-25T23:30"),
    ("Africa/Casablanca", "2025-02-23T02:30", "2025-02-23T01:30", "2025-02-23T02:30"),
    ("Antarctica/Troll", "2025-10-26T02:00", "2025-10-26T00:00", "2025-10-26T02:00"),
    ("Europe/Dublin", "2025-10-26T01:30", "2025-10-26T00:30", "2025-10-26T01:30"),
]
LAST = [
    ("America/New_York", "2026-11-01T01:30", "2026-11-01T06:30"),
    ("America/New_York", "2026-11-01T01:59", "2026-11-01T06:59"),
    ("Australia/Lord_Howe", "2025-04-06T01:45", "2025-04-05T15:15"),
    ("America/Havana", "2025-11-02T00:30", "2025-11-02T05:30"),
    ("America/Sao_Paulo", "2019-02-16T23:30", "2019-02-17T02:30"),
    ("America/St_Johns", "2010-11-07T00:00", "2010-11-07T03:30"),
    ("America/Nuuk", "2025-10-25T23:30", "2025-10-26T01:30"),
    ("Africa/Casablanca", "2025-02-23T02:30", "2025-02-23T02:30"),
    ("Antarctica/Troll", "2025-10-26T02:00", "2025-10-26T02:00"),
    ("Europe/Dublin", "2025-10-26T01:30", "2025-10-26T01:30"),
]
GAPS = [case for case in NAMED if case[1] != case[3]]
SKIPPED = [("Pacific/Apia", date(2011, 12, 30)), ("Pacific/Kwajalein", date(1993, 8, 21))]


def on(spec: ScheduleSpec, nominal: datetime) -> Occurrence | None:
    """The run of that local date-time."""
    around = datetime.combine(nominal, time(12), UTC)
    span = around - 3 * DAY, around + 3 * DAY
    return next((run for run in occurrences(spec, *span) if run.nominal == nominal), None)


@pytest.mark.parametrize(("zone_name", "nominal", "instant", "local"), NAMED)
def test_a_local_time_runs_when_the_clocks_show_it_or_later_by_the_gap(
    zone_name: str, nominal: str, instant: str, local: str
) -> None:
    run = on(schedule(zone_name, nominal[-5:]), naive(nominal))
    assert run is not None
    assert (run.instant, run.local) == (utc(instant), naive(local))
    assert (run.change == "shifted") == (nominal != local)


@pytest.mark.parametrize(("zone_name", "nominal", "instant"), LAST)
def test_a_local_time_that_comes_twice_runs_once_the_first_or_the_last(
    zone_name: str, nominal: str, instant: str
) -> None:
    first = on(schedule(zone_name, nominal[-5:]), naive(nominal))
    last = on(schedule(zone_name, nominal[-5:], repeatPolicy="last"), naive(nominal))
    assert first is not None
    assert last is not None
    assert (first.change, last.change) == ("first", "last")
    assert first.instant < last.instant == utc(instant)


@pytest.mark.parametrize(("zone_name", "nominal"), [case[:2] for case in GAPS])
def test_with_skip_a_local_time_in_a_gap_does_not_run_and_says_so(zone_name: str, nominal: str) -> None:
    spec, wanted = schedule(zone_name, nominal[-5:], gapPolicy="skip"), naive(nominal)
    assert on(spec, wanted) is None
    entries = timetable(spec, datetime.combine(wanted, time(), UTC) - 2 * DAY)
    omission = next(entry for entry in entries if isinstance(entry, Omission))
    assert (omission.day, omission.reason) == (wanted.date(), "gap")


@pytest.mark.parametrize(("zone_name", "missing"), SKIPPED)
@pytest.mark.parametrize("at", ["00:00", "10:00", "23:59"])
def test_a_day_that_the_zone_skipped_has_no_run_and_its_neighbours_have_one(
    zone_name: str, missing: date, at: str
) -> None:
    middle = datetime.combine(missing, time(), UTC)
    runs = list(occurrences(schedule(zone_name, at), middle - 5 * DAY, middle + 5 * DAY))
    days = [run.day for run in runs]
    assert missing - DAY in days
    assert missing not in days
    assert missing + DAY in days
    assert len(set(days)) == len(days)
    assert {b.instant - a.instant for a, b in pairwise(runs)} == {DAY}
    assert all(run.change is None for run in runs)


def test_a_weekly_schedule_loses_the_week_whose_day_was_skipped() -> None:
    # 2011-12-30 was a Friday.
    spec = schedule("Pacific/Apia", "10:00", "weekly", daysOfWeek=[5])
    days = [run.day for run in occurrences(spec, utc("2011-12-20"), utc("2012-01-10"))]
    assert days == [date(2011, 12, 23), date(2012, 1, 6)]


def test_a_monthly_schedule_keeps_the_month_whose_day_was_skipped_on_the_day_before() -> None:
    span = utc("2011-11-01"), utc("2012-02-01")
    spec = schedule("Pacific/Apia", "10:00", "monthly", dayOfMonth=30)
    assert [str(run.day) for run in occurrences(spec, *span)] == ["2011-11-30", "2011-12-29", "2012-01-30"]
    skip = schedule("Pacific/Apia", "10:00", "monthly", dayOfMonth=30, shortMonth="skip")
    assert [str(run.day) for run in occurrences(skip, *span)] == ["2011-11-30", "2012-01-30"]
    until = schedule("Pacific/Apia", "10:00", "monthly", dayOfMonth=30, endDate="2011-12-29")
    assert [str(run.day) for run in occurrences(until, *span)] == ["2011-11-30", "2011-12-29"]


def test_a_shorter_month_runs_on_its_last_day_or_not_at_all() -> None:
    span = utc("2028-01-01"), utc("2028-07-01")
    spec = schedule("UTC", "06:00", "monthly", dayOfMonth=31)
    days = [f"{run.day:%m-%d}" for run in occurrences(spec, *span)]
    assert days == ["01-31", "02-29", "03-31", "04-30", "05-31", "06-30"]
    skip = schedule("UTC", "06:00", "monthly", dayOfMonth=31, shortMonth="skip")
    assert [f"{run.day:%m-%d}" for run in occurrences(skip, *span)] == ["01-31", "03-31", "05-31"]
    left_out = [entry for entry in islice(timetable(skip, span[0]), 6) if isinstance(entry, Omission)]
    assert [(f"{entry.day:%m-%d}", entry.reason) for entry in left_out] == [
        ("02-29", "short_month"),
        ("04-30", "short_month"),
        ("06-30", "short_month"),
    ]


def test_day_29_skips_february_outside_leap_years() -> None:
    spec = schedule("UTC", "06:00", "monthly", dayOfMonth=29, shortMonth="skip")
    run = next_occurrence(spec, utc("2026-01-30"))
    assert run is not None
    assert run.day == date(2026, 3, 29)


def test_sunday_may_be_written_as_0() -> None:
    span = utc("2026-03-01"), utc("2026-04-01")
    zero, seven = (schedule("UTC", "06:00", "weekly", daysOfWeek=[day]) for day in (0, 7))
    assert list(occurrences(zero, *span)) == list(occurrences(seven, *span))
    assert {run.day.isoweekday() for run in occurrences(zero, *span)} == {7}


def test_after_is_excluded_and_before_included() -> None:
    spec = schedule("UTC", "06:00")
    runs = occurrences(spec, utc("2026-03-01T06:00"), utc("2026-03-03T06:00"))
    assert [run.instant for run in runs] == [utc("2026-03-02T06:00"), utc("2026-03-03T06:00")]
    assert list(occurrences(spec, utc("2026-03-03T06:00"), utc("2026-03-03T06:00"))) == []
    assert list(occurrences(spec, utc("2026-03-03T06:00"), utc("2026-03-02T06:00"))) == []


def test_first_and_last_day_are_local_dates_and_both_run() -> None:
    # 23:30 in New York is the next day in UTC.
    spec = schedule("America/New_York", "23:30", startDate="2026-03-07", endDate="2026-03-09")
    runs = list(occurrences(spec, utc("2026-01-01"), utc("2027-01-01")))
    assert [str(run.day) for run in runs] == ["2026-03-07", "2026-03-08", "2026-03-09"]
    assert next_occurrence(spec, runs[-1].instant) is None
    assert next_occurrence(spec, runs[-1].instant - timedelta(microseconds=1)) == runs[-1]


def test_max_runs_counts_those_done_before() -> None:
    spec = schedule("UTC", "06:00", maxRuns=3)
    span = utc("2026-03-01"), utc("2026-04-01")
    assert [len(list(occurrences(spec, *span, runs_done=done))) for done in range(5)] == [3, 2, 1, 0, 0]
    assert next_occurrence(spec, span[0], runs_done=3) is None


@pytest.mark.parametrize(
    "more",
    [
        {"endDate": "2026-02-28"},
        {
            "frequency": "monthly",
            "dayOfMonth": 31,
            "shortMonth": "skip",
            "endDate": "2026-05-30",
            "startDate": "2026-04-01",
        },
        {"frequency": "weekly", "daysOfWeek": [1], "startDate": "2026-03-03", "endDate": "2026-03-08"},
        {"startDate": "9999-12-31"},
        {"gapPolicy": "skip", "startDate": "2026-03-08", "endDate": "2026-03-08"},
    ],
)
def test_a_schedule_that_has_ended_or_never_runs_has_no_next_run(more: dict[str, Any]) -> None:
    spec = schedule("America/New_York", "02:30", **more)
    assert next_occurrence(spec, utc("2026-03-02")) is None


def test_a_start_far_away_is_found_at_once() -> None:
    spec = schedule("America/New_York", "02:30", startDate="9999-01-01")
    began = perf_counter()
    run = next_occurrence(spec, utc("2026-03-02"))
    assert perf_counter() - began < 0.1
    assert run is not None
    assert run.nominal == naive("9999-01-01T02:30")


def test_a_whole_calendar_of_runs_comes_to_its_end() -> None:
    spec = schedule("Asia/Tokyo", "00:00", "monthly", dayOfMonth=31, startDate="0001-01-01", endDate="9999-12-31")
    runs = list(occurrences(spec, utc("9990-01-01"), datetime.max.replace(tzinfo=UTC)))
    assert runs[-1].nominal == naive("9999-11-30")


def test_a_schedule_without_a_zone_follows_the_reports() -> None:
    config = schedule("UTC", "06:00", timezone="Asia/Tokyo").config
    assert ScheduleSpec.of(config, "Europe/Paris").zone_name == "Asia/Tokyo"
    without = msgspec.structs.replace(config, timezone=None)
    assert ScheduleSpec.of(without, "Europe/Paris").zone_name == "Europe/Paris"


def test_an_instant_without_an_offset_and_an_unknown_zone_are_refused() -> None:
    spec = schedule("UTC", "06:00")
    with pytest.raises(ValueError, match="no offset"):
        next_occurrence(spec, naive("2026-03-01"))
    with pytest.raises(ValueError, match="no offset"):
        list(occurrences(spec, utc("2026-03-01"), naive("2026-04-01")))
    with pytest.raises(UnknownZone):
        next_occurrence(ScheduleSpec(spec.config, "Mars/Olympus"), utc("2026-03-01"))


def test_an_instant_may_come_in_any_zone() -> None:
    spec = schedule("Asia/Tokyo", "06:00")
    instant = utc("2026-03-01T05:00")
    assert next_occurrence(spec, instant.astimezone(zone("America/Lima"))) == next_occurrence(spec, instant)


@pytest.mark.parametrize(("zone_name", "nominal"), [case[:2] for case in NAMED])
def test_every_minute_up_to_a_run_names_the_same_next_run(zone_name: str, nominal: str) -> None:
    for repeat in ("first", "last"):
        spec = schedule(zone_name, nominal[-5:], repeatPolicy=repeat)
        middle = naive(nominal).replace(tzinfo=UTC)
        runs = list(occurrences(spec, middle - 2 * DAY, middle + 2 * DAY))
        for before, run in pairwise(runs):
            instant = before.instant
            while instant < run.instant:
                assert next_occurrence(spec, instant) == run
                instant += 7 * MINUTE
            assert next_occurrence(spec, run.instant - timedelta(seconds=1)) == run


def test_the_next_run_takes_less_than_a_millisecond_and_a_year_less_than_five() -> None:
    spec = schedule("America/New_York", "02:30")
    start = utc("2026-01-01")
    assert _fastest(lambda: next_occurrence(spec, start)) < 0.001
    assert _fastest(lambda: list(occurrences(spec, start, start + 365 * DAY))) < 0.005
    monthly = schedule("America/New_York", "02:30", "monthly", dayOfMonth=31, shortMonth="skip")
    assert _fastest(lambda: next_occurrence(monthly, utc("2026-03-31T12:00"))) < 0.001


def _fastest(work: Any) -> float:
    """Seconds of the fastest of many tries: what the machine does beside it does not count."""
    found = []
    for _ in range(40):
        began = perf_counter()
        work()
        found.append(perf_counter() - began)
    return min(found)


def _times() -> st.SearchStrategy[str]:
    return st.times().map(lambda moment: f"{moment:%H:%M}")


def configs() -> st.SearchStrategy[ScheduleConfig]:
    """Schedules of every frequency and policy."""
    shared = {
        "time": st.one_of(_times(), st.sampled_from(["00:00", "00:30", "01:30", "02:30", "23:30"])),
        "gap_policy": st.sampled_from(["shift", "skip"]),
        "repeat_policy": st.sampled_from(["first", "last"]),
        "short_month": st.sampled_from(["last_day", "skip"]),
    }
    days = st.lists(st.integers(0, 7), min_size=1).map(tuple)
    return st.one_of(
        st.builds(DailySchedule, **shared),
        st.builds(WeeklySchedule, days_of_week=days, **shared),
        st.builds(MonthlySchedule, day_of_month=st.integers(1, 31), **shared),
    )


@st.composite
def near_changes(draw: st.DrawFn) -> tuple[ScheduleSpec, datetime]:
    """A schedule in any zone, and an instant, mostly near a change of that zone's clocks."""
    zone_name = draw(st.sampled_from(distinct_zones()))
    near = draw(st.sampled_from(changes(zone_name) or (utc("2026-01-01"),)))
    shift = draw(st.timedeltas(timedelta(days=-40), timedelta(days=40)))
    return ScheduleSpec(draw(configs()), zone_name), near + shift


@settings(deadline=None, max_examples=150)
@given(near_changes(), st.floats(0, 1))
def test_each_instant_before_a_run_has_it_as_its_next(case: tuple[ScheduleSpec, datetime], share: float) -> None:
    spec, after = case
    for run in islice(occurrences(spec, after, after + 400 * DAY), 3):
        assert run.instant > after
        assert next_occurrence(spec, after) == run
        assert next_occurrence(spec, min(after + (run.instant - after) * share, run.instant - MINUTE / 60)) == run
        after = run.instant


@settings(deadline=None, max_examples=150)
@given(near_changes(), st.timedeltas(timedelta(minutes=1), timedelta(days=20)))
def test_a_fresh_start_at_each_tick_gives_what_one_long_look_gives(
    case: tuple[ScheduleSpec, datetime], tick: timedelta
) -> None:
    spec, begin = case
    count = min(60, timedelta(days=100) // tick)
    ticks = [begin + tick * number for number in range(count + 1)]
    pieces = [run for a, b in pairwise(ticks) for run in occurrences(spec, a, b)]
    assert pieces == list(occurrences(spec, begin, ticks[-1]))


@settings(deadline=None, max_examples=150)
@given(near_changes())
def test_weekly_and_monthly_runs_are_the_daily_ones_on_their_days(case: tuple[ScheduleSpec, datetime]) -> None:
    spec, begin = case
    config = spec.config
    shared = ("time", "gap_policy", "repeat_policy")
    daily = ScheduleSpec(DailySchedule(**{name: getattr(config, name) for name in shared}), spec.zone_name)
    end = begin + 100 * DAY
    wanted = [run for run in occurrences(daily, begin, end) if _names(config, run.day, spec.zone_name)]
    assert list(occurrences(spec, begin, end)) == wanted


def _names(config: ScheduleConfig, day: date, zone_name: str) -> bool:
    if isinstance(config, WeeklySchedule):
        return day.isoweekday() in config.days_of_week
    if isinstance(config, MonthlySchedule):
        missing = {missing for name, missing in SKIPPED if name == zone_name}
        missing |= {date(2011, 12, 30)} if zone_name == "Pacific/Fakaofo" else set()
        length = monthrange(day.year, day.month)[1]
        if config.short_month == "skip":
            return day.day == config.day_of_month
        month = [day.replace(day=number) for number in range(1, length + 1)]
        return day == max(d for d in month if d.day <= config.day_of_month and d not in missing)
    return True


@settings(deadline=None, max_examples=100)
@given(near_changes(), st.integers(-30, 60), st.integers(0, 60), st.integers(1, 20))
def test_limits_cut_the_runs_and_change_none(
    case: tuple[ScheduleSpec, datetime], begins: int, lasts: int, count: int
) -> None:
    spec, after = case
    start = after.date() + DAY * begins
    end = start + DAY * lasts
    span = after, after + 150 * DAY
    free = list(occurrences(spec, *span))
    dated = ScheduleSpec(msgspec.structs.replace(spec.config, start_date=start, end_date=end), spec.zone_name)
    assert list(occurrences(dated, *span)) == [run for run in free if start <= run.day <= end]
    counted = ScheduleSpec(msgspec.structs.replace(spec.config, max_runs=count), spec.zone_name)
    assert list(occurrences(counted, *span)) == free[:count]


@settings(deadline=None, max_examples=100)
@given(near_changes())
def test_nominal_times_are_the_one_asked_for_and_never_drift(case: tuple[ScheduleSpec, datetime]) -> None:
    spec, after = case
    runs = list(occurrences(spec, after, after + 400 * DAY))
    assert {f"{run.nominal:%H:%M}" for run in runs} <= {spec.config.time}
    assert all(a.nominal < b.nominal and a.instant < b.instant for a, b in pairwise(runs))
    assert all(run.local == run.nominal for run in runs if run.change != "shifted")
    entries = list(islice(timetable(spec, after), 40))
    assert all(a.day < b.day and a.instant <= b.instant for a, b in pairwise(entries))
