"""What window a lookback means on a day, and whether AMC still has its data; the twin of the SQL functions
`calculate_lookback_dates` and `validate_lookback_limit`.

Every date is a calendar date in the report's zone; `as_of` is given, so a replay gives the old answer.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from typing import Literal

from events.configurations import LookbackConfig, RelativeLookback
from service.data_collections.windows import Window

RETENTION_DAYS = 425
"""AMC's 14 months, unless an instance has its own value."""
COMPLETE_AFTER_DAYS = 2
"""AMC promises a day's data within 48 hours."""
AMAZON_RETENTION_MONTHS = 13
"""What Amazon's own guides say; reports beyond it work for many accounts, and so are only warned about."""

LookbackWarning = Literal["data_may_be_incomplete", "incomplete_day", "beyond_amazon_retention"]


class LookbackError(ValueError):
    """The configuration has no window. `pointer` names the field within it, the message has the remedy."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}")
        self.pointer = pointer
        self.message = message


def lookback_dates(config: LookbackConfig, as_of: date) -> Window:
    """The window of a lookback as of a date.

    Raises LookbackError for a custom range that ends before it starts, and for a relative window that would
    begin before the year 1.
    """
    if isinstance(config, RelativeLookback):
        return _relative_window(config, as_of)
    start, end = config.start_date, config.end_date
    if end < start:
        raise LookbackError("/endDate", f"is before startDate {start}; give a later one or swap them")
    return Window(start, end)


def within_limit(config: LookbackConfig, as_of: date, retention_days: int = RETENTION_DAYS) -> bool:
    """Whether the window is not empty, does not end after `as_of`, and does not start more than
    `retention_days` before it; counted from the real `as_of`, whatever the data delay.

    Raises ValueError for a retention below one day.
    """
    _check_retention(retention_days)
    try:
        window = lookback_dates(config, as_of)
    except LookbackError:
        return False
    return window.end <= as_of and (as_of - window.start).days <= retention_days


def earliest_allowed(as_of: date, retention_days: int = RETENTION_DAYS) -> date:
    """The first date that a window may start on. Raises ValueError for a retention below one day."""
    _check_retention(retention_days)
    return date.fromordinal(max(as_of.toordinal() - retention_days, 1))


def lookback_warnings(window: Window, as_of: date) -> tuple[LookbackWarning, ...]:
    """Codes of what a person should know before running the window; none of them blocks."""
    codes: list[LookbackWarning] = []
    if (as_of - window.end).days < COMPLETE_AFTER_DAYS:
        codes.append("data_may_be_incomplete")
    if window.start <= as_of <= window.end:
        codes.append("incomplete_day")
    amazons_first = months_before(as_of, AMAZON_RETENTION_MONTHS)
    if amazons_first is not None and window.start < amazons_first:
        codes.append("beyond_amazon_retention")
    return tuple(codes)


def _relative_window(config: RelativeLookback, as_of: date) -> Window:
    after = _days_before(as_of, config.data_delay_days)
    if after is not None and config.align == "calendar":
        into_week = (after.isoweekday() - (config.week_start or 1)) % 7
        after = _days_before(after, into_week if config.unit == "weeks" else after.day - 1)
    start = after and (
        months_before(after, config.value)
        if config.unit == "months"
        else _days_before(after, config.value * (7 if config.unit == "weeks" else 1))
    )
    if after is None or start is None:
        message = f"{config.value} {config.unit} reach back before 0001-01-01; give a smaller number"
        raise LookbackError("/value", message)
    return Window(start, date.fromordinal(after.toordinal() - 1))


def _days_before(day: date, days: int) -> date | None:
    ordinal = day.toordinal() - days
    return date.fromordinal(ordinal) if ordinal >= 1 else None


def months_before(day: date, months: int) -> date | None:
    """The same day of an earlier month, or that month's last day where it is shorter, as PostgreSQL does."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    if year < 1:
        return None
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _check_retention(days: int) -> None:
    if days < 1:
        raise ValueError(f"retention_days must be at least 1, not {days}")
