"""Names of runs, and the day that they count from."""

from __future__ import annotations

from uuid import UUID

import pytest

from service.schedules.occurrences import DAY, next_occurrence, occurrences
from service.schedules.runs import as_of, run_id, run_key
from tests.unit.schedules.samples import distinct_zones, naive, sampled_changes, schedule, utc

SCHEDULE = UUID("0198f4c2-7d1e-7b43-9c51-6a0f3f2f6a11")


def test_a_run_has_the_same_name_wherever_it_is_computed() -> None:
    nominal = naive("2026-03-08T02:30")
    assert run_key(SCHEDULE, nominal) == "0198f4c2-7d1e-7b43-9c51-6a0f3f2f6a11/2026-03-08T02:30"
    # Written out: were it to change, runs that are recorded would run again.
    assert run_id(SCHEDULE, nominal) == UUID("4f2564e2-46f9-5509-a8ca-2b85e0fef652")
    assert run_id(SCHEDULE, nominal).version == 5


def test_no_two_runs_share_a_name() -> None:
    other = UUID(int=SCHEDULE.int + 1)
    runs = list(occurrences(schedule("UTC", "06:00"), utc("2026-01-01"), utc("2027-01-01")))
    names = {run_id(each, run.nominal) for run in runs for each in (SCHEDULE, other)}
    assert len(names) == 2 * len(runs)


def test_the_name_stays_while_policies_change() -> None:
    runs = [
        next_occurrence(schedule("America/New_York", "01:30", **policies), utc("2026-11-01T00:00"))
        for policies in ({}, {"repeatPolicy": "last"}, {"overlap": "skip", "jitterSeconds": 9})
    ]
    assert len({run_id(SCHEDULE, run.nominal) for run in runs if run}) == 1


@pytest.mark.parametrize(
    ("zone_name", "time", "report_zone", "after", "day"),
    [
        ("America/New_York", "06:00", "America/New_York", "2026-03-01T00:00", "2026-03-01"),
        # 23:30 in New York is the next day in Tokyo, 00:30 in Tokyo is the day before in New York.
        ("America/New_York", "23:30", "Asia/Tokyo", "2026-03-01T12:00", "2026-03-02"),
        ("Asia/Tokyo", "00:30", "America/New_York", "2026-03-01T12:00", "2026-03-01"),
        # Shifted past midnight: it counts for the day that it was asked for.
        ("America/Nuuk", "23:30", "America/Nuuk", "2024-03-30T12:00", "2024-03-30"),
        ("America/Nuuk", "23:30", "UTC", "2024-03-30T12:00", "2024-03-31"),
    ],
)
def test_a_run_counts_from_its_date_in_the_reports_zone(
    zone_name: str, time: str, report_zone: str, after: str, day: str
) -> None:
    spec = schedule(zone_name, time)
    run = next_occurrence(spec, utc(after))
    assert run is not None
    assert str(as_of(spec, run, report_zone)) == day


def test_in_the_schedules_own_zone_every_run_counts_from_its_own_day() -> None:
    for zone_name in distinct_zones():
        for change in sampled_changes(zone_name):
            for time in ("00:00", "00:30", "23:30"):
                spec = schedule(zone_name, time)
                for run in occurrences(spec, change - DAY, change + DAY):
                    assert as_of(spec, run, zone_name) == run.day, (spec, run)
