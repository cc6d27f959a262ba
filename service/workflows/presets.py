"""Lookbacks to choose from, and what each means today. Pure.

Amazon promises a day's data within 48 hours, so every relative lookback that is offered here waits 2 days
(`dataDelayDays`), and the others end where those do.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import msgspec

from events.configurations import CustomLookback, LookbackConfig, RelativeLookback
from service.data_collections.lookback import (
    AMAZON_RETENTION_MONTHS,
    COMPLETE_AFTER_DAYS,
    LookbackWarning,
    earliest_allowed,
    lookback_dates,
    lookback_warnings,
    months_before,
)
from service.data_collections.windows import Window

DATA_DELAY_DAYS = COMPLETE_AFTER_DAYS


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """A lookback by its name, with the window that it means as of the day it was asked for.

    `moves`: a schedule's next run has a later window; without it each run would fetch the same dates. Where it
    is not `available`, `reason` says why; `lookback_config` and `window` are then null where it has none.
    """

    preset: str
    label: str
    moves: bool
    available: bool
    reason: str | None
    lookback_config: LookbackConfig | None
    window: Window | None
    warnings: tuple[LookbackWarning, ...]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The days that a window may have, dates in the report's zone.

    `earliest_date`: no window may start before. `amazon_earliest_date`: Amazon's guides say 13 months; windows
    that start before are run, with a warning. `last_complete_day`: yesterday, where relative windows without a
    delay end. `complete_data_until`: by Amazon's promise of 48 hours nothing is missing up to here.
    """

    as_of: date
    earliest_date: date
    amazon_earliest_date: date
    last_complete_day: date
    complete_data_until: date
    latest_date: date


def lookback_limits(as_of: date, retention_days: int) -> Limits:
    """The limits as of a day, for an instance that keeps so many days."""
    return Limits(
        as_of=as_of,
        earliest_date=earliest_allowed(as_of, retention_days),
        amazon_earliest_date=months_before(as_of, AMAZON_RETENTION_MONTHS) or date.min,
        last_complete_day=as_of - timedelta(days=1),
        complete_data_until=as_of - timedelta(days=COMPLETE_AFTER_DAYS),
        latest_date=as_of,
    )


def presets(as_of: date, retention_days: int) -> list[Preset]:
    """What to offer on a day, shortest first."""
    return [_preset(name, label, config, as_of, retention_days) for name, label, config in _lookbacks(as_of)]


def _lookbacks(as_of: date) -> Iterator[tuple[str, str, LookbackConfig | None]]:
    for days in (7, 14, 30, 60, 90):
        yield f"last_{days}_days", f"Last {days} days", _relative(days, "days")
    yield "last_week", "Last week, Monday to Sunday", _relative(1, "weeks", "calendar")
    yield "last_4_weeks", "Last 4 weeks, Monday to Sunday", _relative(4, "weeks", "calendar")
    yield "month_to_date", "This month so far", _month_to_date(as_of)
    yield "last_month", "Last month", _relative(1, "months", "calendar")
    yield "last_quarter", "Last quarter", _last_quarter(as_of)
    yield "last_3_months", "Last 3 months", _relative(3, "months", "calendar")
    yield "last_52_weeks", "Last 52 weeks, Monday to Sunday", _relative(52, "weeks", "calendar")
    yield "last_12_months", "Last 12 months", _relative(12, "months", "calendar")


def _relative(value: int, unit: str, align: str = "trailing") -> RelativeLookback:
    return RelativeLookback(value=value, unit=unit, align=align, data_delay_days=DATA_DELAY_DAYS)  # type: ignore[arg-type]


def _month_to_date(as_of: date) -> CustomLookback | None:
    """This month up to where relative windows end; None while no day of it has come so far."""
    first, last = as_of.replace(day=1), as_of - timedelta(days=DATA_DELAY_DAYS + 1)
    return CustomLookback(start_date=first, end_date=last) if last >= first else None


def _last_quarter(as_of: date) -> CustomLookback:
    """The last calendar quarter that is over when the delay is."""
    over = as_of - timedelta(days=DATA_DELAY_DAYS)
    this = over.replace(month=(over.month - 1) // 3 * 3 + 1, day=1)
    last = this - timedelta(days=1)
    return CustomLookback(start_date=last.replace(month=last.month - 2, day=1), end_date=last)


def _preset(name: str, label: str, config: LookbackConfig | None, as_of: date, retention_days: int) -> Preset:
    window = lookback_dates(config, as_of) if config else None
    reason = None
    if window is None:
        reason = "no day of this month has complete data yet"
    elif window.start < (earliest := earliest_allowed(as_of, retention_days)):
        reason = f"it starts on {window.start}, before {earliest}, the earliest day that the instance keeps"
    return Preset(
        preset=name,
        label=label,
        moves=isinstance(config, RelativeLookback),
        available=reason is None,
        reason=reason,
        lookback_config=config,
        window=window,
        warnings=lookback_warnings(window, as_of) if window else (),
    )
