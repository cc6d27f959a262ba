"""What the tests of schedules share: schedules in short, every zone, and when its clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from events.configurations import ScheduleConfig, zone
from events.validation import decode
from service.schedules.occurrences import ScheduleSpec

MINUTE = timedelta(minutes=1)
BEGIN, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
STEP = timedelta(days=5)
"""Clocks that are changed and changed back within less are not found."""


def schedule(zone_name: str, time: str, frequency: str = "daily", **more: Any) -> ScheduleSpec:
    """A schedule as a client would send it, in a zone."""
    return ScheduleSpec.of(decode(ScheduleConfig, {"frequency": frequency, "time": time, **more}), zone_name)


def utc(text: str) -> datetime:
    """An instant, written without its offset."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def naive(text: str) -> datetime:
    """A local date-time."""
    return datetime.fromisoformat(text)


@cache
def every_zone() -> tuple[str, ...]:
    """All names of the zone database."""
    return tuple(sorted(files("tzdata").joinpath("zones").read_text("utf-8").split()))


@cache
def distinct_zones() -> tuple[str, ...]:
    """The first name of each set of names that share their rules, byte for byte."""
    folder = files("tzdata").joinpath("zoneinfo")
    rules = {folder.joinpath(*name.split("/")).read_bytes(): name for name in reversed(every_zone())}
    return tuple(sorted(rules.values()))


@cache
def changes(zone_name: str) -> tuple[datetime, ...]:
    """The instants from 2000 to 2037 at which the zone's clocks are set, in UTC."""
    return tuple(_changes(zone(zone_name)))


def sampled_changes(zone_name: str) -> list[datetime]:
    """Of each kind of change (from which local time to which) the first and the last."""
    kinds: dict[tuple[object, ...], list[datetime]] = {}
    rules = zone(zone_name)
    for instant in changes(zone_name):
        before, after = (instant - MINUTE).astimezone(rules), instant.astimezone(rules)
        kind = before.time(), after.time(), (after.date() - before.date()).days
        kinds.setdefault(kind, []).append(instant)
    return sorted({instant for same in kinds.values() for instant in (same[0], same[-1])})


def _changes(rules: ZoneInfo) -> Iterator[datetime]:
    steps = [BEGIN + STEP * count for count in range((END - BEGIN) // STEP + 1)]
    offsets = [(step, step.astimezone(rules).utcoffset()) for step in steps]
    for (early, before), (late, after) in pairwise(offsets):
        if before == after:
            continue
        while late - early > MINUTE:
            middle = early + (late - early) // MINUTE // 2 * MINUTE
            if middle.astimezone(rules).utcoffset() == before:
                early = middle
            else:
                late = middle
        yield late
