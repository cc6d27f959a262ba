"""Schedules in plain English, and what the clocks do to their next runs."""

from __future__ import annotations

from typing import Any

import pytest

from service.schedules.occurrences import Occurrence, timetable
from service.schedules.words import Upcoming, sentences, upcoming
from tests.unit.schedules.samples import schedule, utc


def notes(lines: tuple[Upcoming, ...]) -> list[str | None]:
    return [line.note for line in lines]


def test_the_rules_of_a_schedule_read_as_sentences() -> None:
    spec = schedule("America/New_York", "02:30")
    assert sentences(spec, "America/New_York") == (
        "Runs every day at 02:30, America/New_York time.",
        "Where clocks go forward past 02:30, it runs later by as much, as 02:30 would at 03:30.",
        "Where clocks go back and 02:30 comes twice, it runs once, the first time.",
        "After an outage or a pause the newest missed run is made up, unless the next one is due already.",
        "While the run before is not done, the next one waits; at most one waits, the newest.",
    )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"frequency": "weekly", "daysOfWeek": [3, 1, 0]},
            "Runs every Monday, Wednesday and Sunday at 06:00, UTC time.",
        ),
        ({"frequency": "weekly", "daysOfWeek": [2]}, "Runs every Tuesday at 06:00, UTC time."),
        ({"frequency": "weekly", "daysOfWeek": [1, 2, 3, 4, 5, 6, 7]}, "Runs every day at 06:00, UTC time."),
        ({"frequency": "monthly", "dayOfMonth": 3}, "Runs every month on day 3 at 06:00, UTC time."),
        ({"frequency": "monthly", "dayOfMonth": 31}, "In a month without day 31 it runs on the last day."),
        (
            {"frequency": "monthly", "dayOfMonth": 30, "shortMonth": "skip"},
            "In a month without day 30 it does not run.",
        ),
        ({"timezone": "Asia/Tokyo"}, "The dates of its windows are those of the report's zone, UTC."),
        ({"startDate": "2026-03-01"}, "Its first day is 1 March 2026."),
        ({"endDate": "2026-12-31"}, "Its last day is 31 December 2026."),
        ({"maxRuns": 1}, "It ends after 1 run."),
        ({"maxRuns": 1200}, "It ends after 1,200 runs."),
        ({"gapPolicy": "skip"}, "Where clocks go forward past 06:00, it does not run that day."),
        ({"repeatPolicy": "last"}, "Where clocks go back and 06:00 comes twice, it runs once, the last time."),
        ({"catchup": "none"}, "Runs missed in an outage or a pause are not made up."),
        (
            {"catchup": "all"},
            "After an outage or a pause every missed run is made up, if it is of the last 7 days, or the newest.",
        ),
        (
            {"catchupWindowHours": 48},
            "After an outage or a pause the newest missed run is made up, if it is not older than 48 hours.",
        ),
        ({"overlap": "skip"}, "While the run before is not done, the next one is skipped."),
        ({"overlap": "allow"}, "A run starts even while the one before is not done."),
        (
            {"jitterSeconds": 300},
            "Each run starts up to 299 seconds later than its time; its window stays the same.",
        ),
        (
            {"refreshDays": [30, 3, 14]},
            "Each run also fetches again the segments that ended 3, 14 and 30 days before.",
        ),
        ({"refreshDays": [1]}, "Each run also fetches again the segments that ended 1 day before."),
    ],
)
def test_each_rule_has_its_sentence(more: dict[str, Any], sentence: str) -> None:
    assert sentence in sentences(schedule("UTC", "06:00", **more), "UTC")


def test_a_run_that_the_clocks_move_says_how() -> None:
    lines = upcoming(schedule("America/New_York", "02:30"), utc("2026-03-07T00:00"), 3)
    assert [line.local.isoformat() for line in lines] == [
        "2026-03-07T02:30:00-05:00",
        "2026-03-08T03:30:00-04:00",
        "2026-03-09T02:30:00-04:00",
    ]
    assert [line.abbreviation for line in lines] == ["EST", "EDT", "EDT"]
    assert [f"{line.utc:%H:%M}" for line in lines] == ["07:30", "07:30", "06:30"]
    assert notes(lines) == [None, "Clocks go forward that day: 02:30 does not exist, runs at 03:30.", None]


def test_a_run_that_comes_twice_says_which_one_it_is() -> None:
    for policy, hour in (("first", "05:30"), ("last", "06:30")):
        spec = schedule("America/New_York", "01:30", repeatPolicy=policy)
        line = upcoming(spec, utc("2026-10-31T12:00"), 1)[0]
        assert line.note == f"Clocks go back that day: 01:30 exists twice, runs the {policy} time."
        assert f"{line.utc:%H:%M}" == hour


def test_a_run_that_keeps_its_local_time_says_that_its_utc_time_moved() -> None:
    lines = upcoming(schedule("America/New_York", "09:00"), utc("2026-03-07T00:00"), 3)
    assert notes(lines) == [None, "Clocks have gone forward by 1 hour: 09:00 is now 13:00 UTC.", None]
    lines = upcoming(schedule("Australia/Lord_Howe", "09:00"), utc("2025-04-04T00:00"), 3)
    assert notes(lines) == [None, "Clocks have gone back by 30 minutes: 09:00 is now 22:30 UTC.", None]


def test_a_run_shifted_past_midnight_says_which_day_it_counts_as() -> None:
    lines = upcoming(schedule("America/Nuuk", "23:30"), utc("2024-03-30T12:00"), 1)
    assert notes(lines) == [
        "Clocks go forward that day: 23:30 does not exist, runs at 00:30 on 31 March 2024, and counts as 30 March 2024."
    ]


@pytest.mark.parametrize(
    ("spec", "after", "note"),
    [
        (
            schedule("America/New_York", "02:30", gapPolicy="skip"),
            "2026-03-07T12:00",
            "Clocks go forward on 8 March 2026: 02:30 does not exist, no run.",
        ),
        (
            schedule("Pacific/Apia", "06:00"),
            "2011-12-30T00:00",
            "30 December 2011 does not exist in this zone, no run.",
        ),
        (
            schedule("UTC", "06:00", "monthly", dayOfMonth=30, shortMonth="skip"),
            "2026-02-01T00:00",
            "February 2026 has no day 30, no run.",
        ),
    ],
)
def test_a_date_without_a_run_is_listed_and_says_why(spec: Any, after: str, note: str) -> None:
    lines = upcoming(spec, utc(after), 2)
    assert [(line.runs, line.nominal is None) for line in lines] == [(False, True), (True, False), (True, False)]
    assert lines[0].note == note


def test_no_more_lines_than_runs_are_left() -> None:
    start = utc("2026-03-01T00:00")
    assert len(upcoming(schedule("UTC", "06:00", maxRuns=3), start, 5)) == 3
    assert len(upcoming(schedule("UTC", "06:00", maxRuns=3), start, 5, runs_done=2)) == 1
    assert upcoming(schedule("UTC", "06:00", maxRuns=3), start, 5, runs_done=3) == ()
    assert upcoming(schedule("UTC", "06:00", endDate="2026-02-01"), start, 5) == ()
    assert upcoming(schedule("UTC", "06:00"), start, 0) == ()


def test_the_lines_are_the_runs_of_the_timetable() -> None:
    spec = schedule("America/Havana", "00:30")
    start = utc("2025-03-01T00:00")
    lines = upcoming(spec, start, 30)
    runs = [entry for _, entry in zip(lines, timetable(spec, start), strict=False)]
    assert [line.nominal for line in lines] == [run.nominal for run in runs if isinstance(run, Occurrence)]
    assert [line.local.replace(tzinfo=None) for line in lines] == [
        run.local for run in runs if isinstance(run, Occurrence)
    ]
    assert all(line.local == line.utc for line in lines)
