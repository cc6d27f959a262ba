"""Cuts a window into calendar days, weeks or months; the twin of SQL's `calculate_segmentation_intervals`."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Literal, get_args

import msgspec

from service.data_collections.windows import Window

SegmentType = Literal["daily", "weekly", "monthly"]


class Segment(msgspec.Struct, frozen=True):
    """A piece of a window: the dates `[start, end]`, numbered from 1 with the oldest.

    `partial`: the window's own bounds cut it short of its calendar week or month.
    """

    number: int
    start: date
    end: date
    partial: bool


def segments(window: Window, type: SegmentType, week_start: int = 1) -> list[Segment]:
    """The window's segments, oldest first: contiguous, covering it exactly, aligned with the calendar.

    Weeks begin on ISO day `week_start`; the other types have no use for it. Alignment makes a week or a month
    the same segment in every window that holds all of it. Raises ValueError for an unknown type or ISO day.
    """
    if type not in get_args(SegmentType):
        raise ValueError(f'type must be "daily", "weekly" or "monthly", not {type!r}')
    if not 1 <= week_start <= 7:
        raise ValueError(f"week_start must be an ISO day from 1 (Monday) to 7 (Sunday), not {week_start}")
    result: list[Segment] = []
    start = window.start
    while True:
        days_before, days_after = _period_around(start, type, week_start)
        # Compared as counts of days: the period itself may reach beyond the calendar's last date.
        days_left = (window.end - start).days
        end = start + timedelta(days=min(days_after, days_left))
        result.append(Segment(len(result) + 1, start, end, days_before > 0 or days_after > days_left))
        if end == window.end:
            return result
        start = end + timedelta(days=1)


def _period_around(day: date, type: SegmentType, week_start: int) -> tuple[int, int]:
    """How many days of its calendar period lie before the day, and how many after it."""
    if type == "daily":
        return 0, 0
    if type == "weekly":
        before = (day.isoweekday() - week_start) % 7
        return before, 6 - before
    return day.day - 1, monthrange(day.year, day.month)[1] - day.day
