"""The next runs of a schedule with the windows that they will fetch. Pure."""

from __future__ import annotations

from datetime import date, datetime
from itertools import islice

import msgspec

from events.configurations import LookbackConfig
from events.types.schedule import LocalTime
from service.data_collections.lookback import LookbackError, lookback_dates
from service.data_collections.windows import Window
from service.schedules.limits import FOREVER
from service.schedules.occurrences import ScheduleSpec, occurrences
from service.schedules.runs import as_of


class RunWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A run to come: `nominal` is the local date-time asked for, `instant` when that is; its window is dates of
    the report's zone, both included, and null where its lookback has none then."""

    nominal: LocalTime
    instant: datetime
    as_of: date
    window_start: date | None
    window_end: date | None


def next_windows(
    spec: ScheduleSpec, lookback: LookbackConfig, report_zone: str, after: datetime, count: int, runs_done: int = 0
) -> list[RunWindow]:
    """The next `count` runs later than `after`, or as many as are left."""
    found = []
    for occurrence in islice(occurrences(spec, after, FOREVER, runs_done), count):
        day = as_of(spec, occurrence, report_zone)
        try:
            window: Window | None = lookback_dates(lookback, day)
        except LookbackError:
            window = None
        found.append(
            RunWindow(
                nominal=occurrence.nominal,
                instant=occurrence.instant,
                as_of=day,
                window_start=window.start if window else None,
                window_end=window.end if window else None,
            )
        )
    return found
