"""Occurrences against an oracle that knows no rules: it walks the minutes and reads the clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
import pytest

from events.configurations import DailySchedule, zone
from service.schedules.occurrences import DAY, Occurrence, ScheduleSpec, occurrences
from tests.unit.schedules.samples import MINUTE, distinct_zones, every_zone, sampled_changes, schedule

REACH = timedelta(hours=36)
"""How far from a change the minutes are walked, so that the days around it are seen whole."""
POLICIES: tuple[tuple[Literal["shift", "skip"], Literal["first", "last"]], ...] = (
    ("shift", "first"),
    ("skip", "last"),
)
SKIPPED_DAYS = {"Pacific/Apia": [date(2011, 12, 30)], "Pacific/Fakaofo": [date(2011, 12, 30)]}


STEPS = [MINUTE * count for count in range(15)]


def _shown(instant: datetime, rules: ZoneInfo) -> datetime:
    return instant.astimezone(rules).replace(tzinfo=None, fold=0)


class Walk:
    """The clocks of a zone, minute by minute, around one change."""

    def __init__(self, zone_name: str, change: datetime) -> None:
        rules = zone(zone_name)
        self.zone_name = zone_name
        self.begin, self.end = change - REACH, change + REACH
        self.shown: dict[datetime, list[datetime]] = {}
        self.jumps: list[tuple[datetime, datetime, datetime]] = []
        """Gaps: their first local minute, the first after them, and its instant."""
        previous: datetime | None = None
        quarter = self.begin
        while quarter <= self.end:
            # Read every minute, unless a quarter of an hour begins and ends with the same clock: none goes to and fro.
            first, last = _shown(quarter, rules), _shown(quarter + 14 * MINUTE, rules)
            steady = last - first == 14 * MINUTE
            for step in STEPS:
                instant = quarter + step
                local = first + step if steady else _shown(instant, rules)
                self.shown.setdefault(local, []).append(instant)
                if previous is not None and local > previous:
                    self.jumps.append((previous, local, instant))
                previous = local + MINUTE
            quarter += 15 * MINUTE
        self.dates = {local.date() for local in self.shown}
        whole = (min(self.dates), max(self.dates))
        self.days = [day for day in _span(*whole) if day not in whole]

    def run(self, day: date, at: time, gap: str, repeat: str) -> datetime | None:
        """When a daily schedule runs on that day; None where it does not."""
        if day not in self.dates:
            return None
        nominal = datetime.combine(day, at)
        instants = self.shown.get(nominal)
        if instants:
            return instants[0 if repeat == "first" else -1]
        if gap == "skip":
            return None
        start, _, instant = next(jump for jump in self.jumps if jump[0] <= nominal < jump[1])
        return instant + (nominal - start)

    def times(self) -> set[time]:
        """Times of day that the change touches or nearly does, and some others."""
        touched = {local for local, instants in self.shown.items() if len(instants) > 1}
        edges = {edge for start, end, _ in self.jumps for edge in (start, start + (end - start) / 2, end)}
        if touched:
            edges |= {min(touched), max(touched), min(touched) + (max(touched) - min(touched)) / 2}
        near = {edge + MINUTE * step for edge in edges for step in (-1, 0, 1)}
        return {moment.time().replace(second=0) for moment in near} | {time(0), time(23, 59), time(12, 7)}


@pytest.mark.parametrize("part", range(8))
def test_daily_runs_are_those_that_the_clocks_show(part: int, record_property: Callable[[str, object], None]) -> None:
    cases = 0
    for zone_name in distinct_zones()[part::8]:
        for change in sampled_changes(zone_name):
            walk = Walk(zone_name, change)
            for at in walk.times():
                for gap, repeat in POLICIES:
                    cases += _compare(walk, at, gap, repeat)
    record_property("cases", cases)


def _compare(walk: Walk, at: time, gap: Literal["shift", "skip"], repeat: Literal["first", "last"]) -> int:
    config = DailySchedule(time=f"{at:%H:%M}", gap_policy=gap, repeat_policy=repeat)
    spec = ScheduleSpec(config, walk.zone_name)
    found = list(occurrences(spec, walk.begin, walk.end))
    assert all(a.instant < b.instant and a.nominal < b.nominal for a, b in pairwise(found)), spec
    wanted = {day: walk.run(day, at, gap, repeat) for day in walk.days}
    expected = {day: instant for day, instant in wanted.items() if instant is not None}
    inside = {run.day: run.instant for run in found if walk.days[0] <= run.day <= walk.days[-1]}
    assert inside == expected, spec
    return len(wanted)


@pytest.mark.parametrize("part", range(4))
def test_a_daily_schedule_runs_once_on_every_local_day_that_exists(part: int) -> None:
    times = ("00:00", "02:30", "23:45", "00:15", "01:30")
    for number, zone_name in enumerate(distinct_zones()[part::4]):
        spec = schedule(zone_name, times[number % len(times)])
        # Midnights, repeated and missing ones above all, are in the first and third.
        runs = list(occurrences(spec, datetime(2010, 1, 3, tzinfo=UTC), datetime(2020, 1, 3, tzinfo=UTC)))
        first, last = runs[0].day, runs[-1].day
        missing = [day for day in SKIPPED_DAYS.get(zone_name, []) if first <= day <= last]
        assert [run.day for run in runs] == [day for day in _span(first, last) if day not in missing], spec
        assert all(a.instant < b.instant for a, b in pairwise(runs)), spec


def test_each_run_shows_its_own_time_on_the_clocks_of_every_zone() -> None:
    for zone_name in every_zone():
        rules = zone(zone_name)
        spec = schedule(zone_name, "02:30")
        for run in occurrences(spec, datetime(2025, 12, 31, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)):
            shown = run.instant.astimezone(rules)
            assert shown.replace(tzinfo=None, fold=0) == run.local, spec
            assert (run.local == run.nominal) == (run.change != "shifted"), spec
            assert shown.fold == (run.change == "last"), spec


def test_neighbouring_spans_share_no_run_and_lose_none_around_every_change() -> None:
    for zone_name in distinct_zones():
        for change in sampled_changes(zone_name)[-2:]:
            local = change.astimezone(zone(zone_name))
            spec = schedule(zone_name, f"{local:%H:%M}")
            begin, end = change - timedelta(days=3), change + timedelta(days=3)
            whole = list(occurrences(spec, begin, end))
            assert list(_in_spans(spec, begin, end, timedelta(hours=5, minutes=20))) == whole, spec
            at_instants = [begin, *(run.instant for run in whole), end]
            pieces = [run for a, b in pairwise(at_instants) for run in occurrences(spec, a, b)]
            assert pieces == whole, spec


def test_policies_change_nothing_where_the_clocks_leave_the_time_alone() -> None:
    for zone_name in distinct_zones():
        spec = schedule(zone_name, "12:07")
        other = msgspec.structs.replace(spec.config, gap_policy="skip", repeat_policy="last")
        span = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
        assert list(occurrences(spec, *span)) == list(occurrences(ScheduleSpec(other, zone_name), *span))


def _in_spans(spec: ScheduleSpec, begin: datetime, end: datetime, step: timedelta) -> Iterator[Occurrence]:
    while begin < end:
        yield from occurrences(spec, begin, min(begin + step, end))
        begin += step


def _span(first: date, last: date) -> list[date]:
    return [first + DAY * count for count in range((last - first).days + 1)]
