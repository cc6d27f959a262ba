"""Windows of whole days in a report's zone, and the form in which AMC is asked for them.

A day belongs to a zone, and some zones skip or repeat a midnight, or a whole day: where AMC would have to
guess which instant a local midnight is, it gets both bounds in UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from events.configurations import UnknownZone, zone

__all__ = [
    "AmcWindow",
    "UnknownZone",
    "Window",
    "amc_window",
    "first_instant",
    "has_one_midnight",
    "today",
    "zone",
]

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


class Window(msgspec.Struct, frozen=True, order=True):
    """Calendar dates `[start, end]`, both included. Raises ValueError where it would be empty."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"the window ends on {self.end}, before its start {self.start}; swap them")

    @property
    def days(self) -> int:
        """Its length in calendar dates."""
        return (self.end - self.start).days + 1


class AmcWindow(msgspec.Struct, frozen=True):
    """`timeWindowStart`, `timeWindowEnd` (exclusive) and `timeWindowTimeZone` as AMC gets them."""

    start: str
    end: str
    time_zone: str

    @property
    def empty(self) -> bool:
        """No time lies in it: its only days are ones that the zone skipped. There is nothing to ask AMC."""
        return self.start == self.end


def amc_window(window: Window, zone_name: str) -> AmcWindow:
    """The window towards AMC: local midnights in the zone, the end exclusive.

    Where either midnight does not exist exactly once in the zone, both bounds are in UTC, and so is the zone.
    Raises UnknownZone, and ValueError for a window at the very end of the calendar.
    """
    if window.end == date.max:
        raise ValueError(f"the window ends on {window.end}, the calendar's last day; end it earlier")
    after = window.end + DAY
    if has_one_midnight(window.start, zone_name) and has_one_midnight(after, zone_name):
        return AmcWindow(_written(_midnight(window.start)), _written(_midnight(after)), zone_name)
    start, end = first_instant(window.start, zone_name), first_instant(after, zone_name)
    return AmcWindow(_written(start), _written(end), "UTC")


def has_one_midnight(day: date, zone_name: str) -> bool:
    """Whether 00:00 of that day happens exactly once in the zone: not in a gap, not repeated."""
    before, after = _offsets(_midnight(day), zone(zone_name))
    return before == after


def first_instant(day: date, zone_name: str) -> datetime:
    """When the day begins, in UTC: its first midnight, or the end of the gap that swallowed midnight.

    A day that the zone skipped begins where the next one does.
    Raises UnknownZone, and ValueError where the instant lies outside the years 1 to 9999.
    """
    rules, midnight = zone(zone_name), _midnight(day)
    before, after = _offsets(midnight, rules)
    try:
        if before >= after:
            return (midnight - before).replace(tzinfo=UTC)
        # In a gap: the clocks are set forward somewhere after `early` and no later than `late`.
        early = (midnight - after).replace(tzinfo=UTC)
        late = (midnight - before).replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{day} in {zone_name} begins outside the years 1 to 9999") from None
    while late - early > SECOND:
        middle = early + (late - early) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(rules).replace(tzinfo=None) < midnight:
            early = middle
        else:
            late = middle
    return late


def today(zone_name: str, instant: datetime) -> date:
    """The zone's calendar date at an instant. Raises ValueError for an instant without an offset."""
    if instant.tzinfo is None:
        raise ValueError("the instant has no offset from UTC; give one with tzinfo")
    return instant.astimezone(zone(zone_name)).date()


def _offsets(local: datetime, rules: ZoneInfo) -> tuple[timedelta, timedelta]:
    """The zone's offsets just before and just after a change that touches this local time; else twice one."""
    local = local.replace(tzinfo=rules)
    before, after = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    if before is None or after is None:
        raise ValueError(f"zone {rules.key} gives no offset for {local.date()}")
    return before, after


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _written(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS`: AMC takes no offset and no `Z`."""
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")
