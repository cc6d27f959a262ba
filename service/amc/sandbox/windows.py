"""Explicit windows: read as Amazon documents them, and turned into bounds for dates and for instants."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


class BadWindow(ValueError):
    """A window that the API refuses, with the reason."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A half-open window: as sent (local, without offset) and as UTC instants."""

    start_original: str
    end_original: str
    zone: str
    start: datetime
    end: datetime

    def dates(self) -> tuple[date, date]:
        """The local dates [first, end) that the window covers.

        A date has no time of day: a bound counts to its nearest midnight. So windows that adjoin share
        no date and lose none, also where a day without midnight made the caller send UTC instants.
        """
        return (
            _nearest_midnight(datetime.fromisoformat(self.start_original)),
            _nearest_midnight(datetime.fromisoformat(self.end_original)),
        )

    def extended(self, before: timedelta, after: timedelta) -> Window:
        """The window with both bounds moved outwards."""
        start = datetime.fromisoformat(self.start_original) - before
        end = datetime.fromisoformat(self.end_original) + after
        return read_window(start.isoformat(), end.isoformat(), self.zone)


def read_window(start: object, end: object, zone: object) -> Window:
    """The window of a create request. Raises BadWindow."""
    if zone in (None, ""):
        zone = "UTC"
    if start in (None, "") or end in (None, ""):
        raise BadWindow("timeWindowStart and timeWindowEnd are both required for EXPLICIT.")
    for name, bound in (("timeWindowStart", start), ("timeWindowEnd", end)):
        if not isinstance(bound, str) or not _FORM.fullmatch(bound):
            raise BadWindow(f"{name} must have the format yyyy-MM-dd'T'HH:mm:ss.")
    try:
        place = ZoneInfo(str(zone))
    except (KeyError, ValueError, OSError):
        raise BadWindow(f"timeWindowTimeZone {zone} is not a time zone.") from None
    try:
        first = datetime.fromisoformat(str(start)).replace(tzinfo=place).astimezone(UTC)
        last = datetime.fromisoformat(str(end)).replace(tzinfo=place).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadWindow("timeWindowStart or timeWindowEnd is not a time.") from None
    if last <= first:
        raise BadWindow("timeWindowEnd must be after timeWindowStart.")
    return Window(start_original=str(start), end_original=str(end), zone=str(zone), start=first, end=last)


def _nearest_midnight(bound: datetime) -> date:
    return (bound + timedelta(hours=12)).date()
