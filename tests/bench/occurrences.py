"""How fast the next run of a schedule is found, beside three libraries that know schedules too.

Asked is what all of them can say: every day, some days of the week, or a day that each month has, at a time of day in a
zone. None of the times is one that the clocks skip or show twice, of which each library has its own opinion. That all
answers are the same, one by one and for years on end, is checked before anything is measured.

All are asked in UTC and answer in UTC. Zones are theirs in different ways: croniter and cronsim take the instant's own;
dateutil's rules know of no clocks that change, so they are asked for local times, and the zone is put on what they
answer. All use the same zone, which is read once.

From cold: a schedule as it is stored and an instant become the next run, as for a scheduler. In a row: a schedule is
read once, and its runs are told from one instant on. Rates are by processor time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from croniter import croniter
from cronsim import CronSim
from dateutil.rrule import DAILY, MONTHLY, WEEKLY, rrule

from events.configurations import ScheduleConfig, zone
from service.schedules.limits import FOREVER
from service.schedules.occurrences import ScheduleSpec, occurrences
from tests.bench.lines import Line, beside
from tests.bench.measuring import WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.rounds import in_turns

START, YEARS = datetime(2020, 1, 1, tzinfo=UTC), 15
RUNS_OF_A_YEAR = {"daily": 365, "weekly": 156, "monthly": 12}
INSTANTS = 25
"""For each schedule, from cold."""
ROW = 100
SECONDS, QUICK_SECONDS = 0.12, 0.05
"""Of processor time, at least, for each contender in each round."""

OURS = "Report Builder"
ZONES = ("America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Sydney")


class Asked(msgspec.Struct, frozen=True):
    """One schedule, as each of them is told it: ours as it is stored, a line of cron, dateutil's rule."""

    zone_name: str
    frequency: str
    stored: bytes
    cron: str
    rule: Mapping[str, Any]

    @classmethod
    def of(cls, zone_name: str, cron: str, rule: Mapping[str, Any], **body: object) -> Asked:
        stored = msgspec.json.encode({"timezone": zone_name, **body})
        return cls(zone_name, str(body["frequency"]), stored, cron, rule)

    @property
    def zone(self) -> ZoneInfo:
        return zone(self.zone_name)


DAYS_OF_WEEK = (1, 3, 5)
ASKED = [
    each
    for name in ZONES
    for each in (
        Asked.of(name, "0 9 * * *", {"freq": DAILY, "byhour": 9, "byminute": 0}, frequency="daily", time="09:00"),
        Asked.of(
            name,
            "30 14 * * 1,3,5",
            {"freq": WEEKLY, "byweekday": tuple(day - 1 for day in DAYS_OF_WEEK), "byhour": 14, "byminute": 30},
            frequency="weekly",
            time="14:30",
            daysOfWeek=DAYS_OF_WEEK,
        ),
        Asked.of(
            name,
            "15 6 15 * *",
            {"freq": MONTHLY, "bymonthday": 15, "byhour": 6, "byminute": 15},
            frequency="monthly",
            time="06:15",
            dayOfMonth=15,
        ),
    )
]


Runs = Callable[[Asked, datetime], Iterator[datetime]]
"""The runs later than an instant, one after the other: instants in UTC."""


def _ours(asked: Asked, after: datetime) -> Iterator[datetime]:
    spec = ScheduleSpec.of(msgspec.json.decode(asked.stored, type=ScheduleConfig), "UTC")
    return (run.instant for run in occurrences(spec, after, FOREVER))


def _croniter(asked: Asked, after: datetime) -> Iterator[datetime]:
    runs = croniter(asked.cron, after.astimezone(asked.zone), ret_type=datetime)
    while True:
        yield runs.get_next().astimezone(UTC)


def _cronsim(asked: Asked, after: datetime) -> Iterator[datetime]:
    return (run.astimezone(UTC) for run in CronSim(asked.cron, after.astimezone(asked.zone)))


def _rrule(asked: Asked, after: datetime) -> Iterator[datetime]:
    local = after.astimezone(asked.zone).replace(tzinfo=None)
    rule = rrule(**asked.rule, bysecond=0, dtstart=local)
    return (run.replace(tzinfo=asked.zone).astimezone(UTC) for run in rule.xafter(local))


CONTENDERS: dict[str, Runs] = {OURS: _ours, "croniter": _croniter, "cronsim": _cronsim, "dateutil": _rrule}


async def run(place: Place) -> Outcome:
    random = Random(1)
    instants = [START + timedelta(seconds=random.randrange(YEARS * 365 * 86_400)) for _ in range(INSTANTS)]
    _check(instants, 1 if place.quick else YEARS)
    seconds = QUICK_SECONDS if place.quick else SECONDS

    async def lines(measure: str, work: Callable[[Runs], int]) -> list[Line]:
        async def rate(runs: Runs) -> float:
            return await asyncio.to_thread(_rate, partial(work, runs), seconds)

        found = await in_turns(
            f"occurrences, {measure}",
            {name: partial(rate, runs) for name, runs in CONTENDERS.items()},
            place.rounds,
            lambda rate: f"{rate:,.0f}/s",
        )
        return [
            beside("occurrences", measure, "/s", found[OURS], name, found[name], better="more", target=1.0)
            for name in CONTENDERS
            if name != OURS
        ]

    return Outcome([
        *await lines("next from cold", lambda runs: sum(1 for _ in _cold(runs, instants))),
        *await lines("many in a row", lambda runs: sum(len(row) for row in _rows(runs, ROW))),
    ])  # fmt: skip


def _cold(runs: Runs, instants: Sequence[datetime]) -> Iterator[datetime]:
    return (next(runs(each, instant)) for each in ASKED for instant in instants)


def _rows(runs: Runs, length: int) -> Iterator[list[datetime]]:
    return (list(islice(runs(each, START), length)) for each in ASKED)


def _rate(work: Callable[[], int], seconds: float) -> float:
    """Answers per second of processor time, which others on the machine do not lengthen."""
    answers, begun = 0, time.thread_time()
    while (used := time.thread_time() - begun) < seconds:
        answers += work()
    return answers / used


def _check(instants: Sequence[datetime], years: int) -> None:
    """Raises WrongRows where one of them answers another instant."""
    for name, runs in CONTENDERS.items():
        if list(_cold(runs, instants)) != list(_cold(_ours, instants)):
            raise WrongRows(f"{name} does not find the same next runs as {OURS}")
        for each in ASKED:
            length = RUNS_OF_A_YEAR[each.frequency] * years
            if list(islice(runs(each, START), length)) != list(islice(_ours(each, START), length)):
                raise WrongRows(f"{name} does not find the same runs as {OURS}: {each.cron} in {each.zone_name}")
