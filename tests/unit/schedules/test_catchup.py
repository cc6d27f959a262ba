"""After an outage or a pause: what runs, what was missed, and why."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.schedules.catchup import CatchUp, missed_runs
from service.schedules.jitter import jitter
from service.schedules.occurrences import ScheduleSpec, occurrences
from tests.unit.schedules.samples import naive, schedule, utc

SCHEDULE = UUID("0198f4c2-7d1e-7b43-9c51-6a0f3f2f6a11")
HANDLED = utc("2026-03-01T06:00")


def daily(**more: Any) -> ScheduleSpec:
    return schedule("UTC", "06:00", **more)


def at(spec: ScheduleSpec, now: str, runs_done: int = 0) -> CatchUp:
    return missed_runs(spec, SCHEDULE, HANDLED, utc(now), runs_done)


def run_days(found: CatchUp) -> list[str]:
    """Days of the runs; those that are made up with a star."""
    return [f"{run.occurrence.day:%m-%d}{'*' * run.caught_up}" for run in found.runs]


def missed_days(found: CatchUp) -> list[str]:
    return [f"{run.occurrence.day:%m-%d} {run.reason}" for run in found.missed]


def test_nothing_is_due_before_the_next_run() -> None:
    found = at(daily(), "2026-03-02T05:59:59")
    assert (found.runs, found.missed, found.handled) == ((), (), HANDLED)
    assert found.next_due == utc("2026-03-02T06:00")


@pytest.mark.parametrize("policy", ["latest", "all", "none"])
@pytest.mark.parametrize("now", ["2026-03-02T06:00", "2026-03-02T06:00:01", "2026-03-02T06:05"])
def test_a_run_that_is_a_little_late_was_not_missed(policy: str, now: str) -> None:
    found = at(daily(catchup=policy), now)
    assert (run_days(found), missed_days(found)) == (["03-02"], [])
    assert (found.handled, found.next_due) == (utc("2026-03-02T06:00"), utc("2026-03-03T06:00"))


def test_latest_runs_the_newest_and_names_it_as_what_the_others_gave_way_to() -> None:
    found = at(daily(), "2026-03-05T11:00")
    assert run_days(found) == ["03-05*"]
    assert missed_days(found) == ["03-02 superseded", "03-03 superseded", "03-04 superseded"]


def test_latest_makes_up_none_where_the_next_run_is_due_as_well() -> None:
    found = at(daily(), "2026-03-05T06:00:30")
    assert run_days(found) == ["03-05"]
    assert missed_days(found) == ["03-02 superseded", "03-03 superseded", "03-04 superseded"]


def test_none_makes_up_none_and_still_runs_what_is_due() -> None:
    assert run_days(at(daily(catchup="none"), "2026-03-04T06:00:30")) == ["03-04"]
    found = at(daily(catchup="none"), "2026-03-04T11:00")
    assert run_days(found) == []
    assert missed_days(found) == ["03-02 catch_up_off", "03-03 catch_up_off", "03-04 catch_up_off"]
    assert found.handled == utc("2026-03-04T06:00")


def test_all_makes_up_the_last_seven_days() -> None:
    found = at(daily(catchup="all"), "2026-03-12T05:00")
    assert run_days(found) == ["03-05*", "03-06*", "03-07*", "03-08*", "03-09*", "03-10*", "03-11*"]
    assert missed_days(found) == ["03-02 too_old", "03-03 too_old", "03-04 too_old"]
    assert len(at(daily(catchup="all"), "2026-03-12T06:00").runs) == 8


def test_all_reaches_back_one_period_where_that_is_longer() -> None:
    monthly = schedule("UTC", "06:00", "monthly", dayOfMonth=31, catchup="all")
    found = at(monthly, "2026-05-30T12:00")
    assert run_days(found) == ["04-30*"]
    assert missed_days(found) == ["03-31 too_old"]
    due_now = at(monthly, "2026-05-31T06:01")
    assert (run_days(due_now), missed_days(due_now)) == (["05-31"], ["03-31 too_old", "04-30 too_old"])


def test_a_catch_up_window_replaces_the_bounds_of_latest_and_all() -> None:
    latest = daily(catchupWindowHours=5)
    assert run_days(at(latest, "2026-03-04T11:00")) == ["03-04*"]
    too_late = at(latest, "2026-03-04T11:01")
    assert run_days(too_late) == []
    assert missed_days(too_late) == ["03-02 too_old", "03-03 too_old", "03-04 too_old"]
    # Also the bound that the next run is not due yet.
    assert run_days(at(daily(catchupWindowHours=30), "2026-03-04T06:01")) == ["03-03*", "03-04"]
    every = daily(catchup="all", catchupWindowHours=24 * 30)
    assert len(at(every, "2026-03-25T11:00").runs) == 24
    assert run_days(at(daily(catchup="all", catchupWindowHours=48), "2026-03-06T05:00")) == ["03-04*", "03-05*"]
    assert run_days(at(daily(catchup="none", catchupWindowHours=48), "2026-03-04T11:00")) == []
    assert run_days(at(daily(catchupWindowHours=2**31 - 1), "2026-03-04T11:00")) == ["03-04*"]


def test_max_runs_ends_a_schedule_also_while_it_catches_up() -> None:
    found = at(daily(catchup="all", maxRuns=5), "2026-03-06T11:00", runs_done=3)
    assert (run_days(found), missed_days(found)) == (["03-02*", "03-03*"], [])
    assert (found.handled, found.next_due) == (utc("2026-03-03T06:00"), None)
    # Runs that were missed are no runs: the newest may still be the last one.
    last = at(daily(maxRuns=5), "2026-03-06T11:00", runs_done=4)
    assert run_days(last) == ["03-06*"]
    assert last.next_due is None
    ended = at(daily(maxRuns=5), "2026-03-06T11:00", runs_done=5)
    assert (ended.runs, ended.missed, ended.next_due) == ((), (), None)


def test_after_its_last_day_a_schedule_has_nothing_due() -> None:
    found = at(daily(endDate="2026-03-02"), "2026-03-02T06:00")
    assert (run_days(found), found.next_due) == (["03-02"], None)
    late = at(daily(endDate="2026-03-02"), "2026-04-02T06:00")
    assert (run_days(late), missed_days(late)) == (["03-02*"], [])


def test_a_run_is_due_after_its_jitter_and_late_from_then_on() -> None:
    spec = daily(catchup="none", jitterSeconds=3600)
    wait = timedelta(seconds=jitter(SCHEDULE, naive("2026-03-02T06:00"), 3600, timedelta(days=1)))
    due = utc("2026-03-02T06:00") + wait
    before = missed_runs(spec, SCHEDULE, HANDLED, due - timedelta(seconds=1))
    assert (before.runs, before.missed, before.next_due) == ((), (), due)
    found = missed_runs(spec, SCHEDULE, HANDLED, due + timedelta(minutes=5))
    assert [run.due for run in found.runs] == [due]
    assert missed_runs(spec, SCHEDULE, HANDLED, due + timedelta(minutes=5, seconds=1)).runs == ()


def test_how_late_is_late_can_be_given() -> None:
    now = utc("2026-03-02T18:00")
    found = missed_runs(daily(catchup="none"), SCHEDULE, HANDLED, now, on_time=timedelta(hours=12))
    assert run_days(found) == ["03-02"]


ZONES = ["UTC", "America/New_York", "America/Havana", "America/Nuuk", "Australia/Lord_Howe"]
SPECS = st.builds(
    lambda zone, time, policy, window, jitter, runs: schedule(
        zone, time, catchup=policy, catchupWindowHours=window, jitterSeconds=jitter, maxRuns=runs
    ),
    st.sampled_from(ZONES),
    st.sampled_from(["00:00", "01:30", "02:30", "23:30", "09:00"]),
    st.sampled_from(["latest", "all", "none"]),
    st.none() | st.integers(1, 300),
    st.sampled_from([0, 300, 7200, 10**6]),
    st.none() | st.integers(1, 12),
)
MOMENTS = st.datetimes(datetime(2025, 2, 1), datetime(2026, 12, 1))  # noqa: DTZ001 - the zone is given below


@settings(deadline=None, max_examples=200)
@given(SPECS, MOMENTS, st.lists(st.timedeltas(timedelta(seconds=1), timedelta(days=30)), max_size=8))
def test_through_any_looks_each_occurrence_is_decided_once_and_in_order(
    spec: ScheduleSpec, start: datetime, looks: list[timedelta]
) -> None:
    start = utc(start.isoformat())
    handled, now, decided, done = start, start, [], 0
    for pause in looks:
        now += pause
        found = missed_runs(spec, SCHEDULE, handled, now, done)
        both = [run.occurrence for run in found.runs] + [run.occurrence for run in found.missed]
        decided += sorted(both, key=lambda run: run.instant)
        handled, done = found.handled, done + len(found.runs)
        assert found.next_due is None or found.next_due > now
        assert all(a.due < b.due for a, b in pairwise(found.runs))
        assert missed_runs(spec, SCHEDULE, handled, now, done).runs == ()
    free = schedule(spec.zone_name, spec.config.time)
    expected = [run for run in occurrences(free, start, now) if run.instant <= handled]
    assert decided == expected
    assert done <= (spec.config.max_runs or done)


@settings(deadline=None, max_examples=100)
@given(SPECS, MOMENTS)
def test_who_looks_at_every_due_moment_misses_nothing(spec: ScheduleSpec, start: datetime) -> None:
    handled = now = utc(start.isoformat())
    done = 0
    for _ in range(12):
        found = missed_runs(spec, SCHEDULE, handled, now, done)
        assert found.missed == ()
        assert len(found.runs) <= 1
        handled, done = found.handled, done + len(found.runs)
        if found.next_due is None:
            break
        now = found.next_due
