"""Lookback windows, the retention limit, and their warnings."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.configurations import CustomLookback, LookbackConfig, RelativeLookback
from events.validation import decode
from service.data_collections.lookback import (
    LookbackError,
    earliest_allowed,
    lookback_dates,
    lookback_warnings,
    within_limit,
)
from service.data_collections.windows import Window


def relative(value: int, unit: str, **fields: Any) -> RelativeLookback:
    config: RelativeLookback = decode(LookbackConfig, {"type": "relative", "value": value, "unit": unit, **fields})
    return config


def day(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("config", "as_of", "start", "end"),
    [
        (relative(7, "days"), "2025-03-10", "2025-03-03", "2025-03-09"),
        (relative(1, "days"), "2025-03-01", "2025-02-28", "2025-02-28"),
        (relative(2, "weeks"), "2025-03-10", "2025-02-24", "2025-03-09"),
        (relative(1, "months"), "2025-03-31", "2025-02-28", "2025-03-30"),
        (relative(1, "months"), "2024-03-30", "2024-02-29", "2024-03-29"),
        (relative(12, "months"), "2024-02-29", "2023-02-28", "2024-02-28"),
        (relative(1, "months", align="calendar"), "2025-03-15", "2025-02-01", "2025-02-28"),
        (relative(1, "months", align="calendar"), "2025-03-01", "2025-02-01", "2025-02-28"),
        (relative(14, "months", align="calendar"), "2025-01-31", "2023-11-01", "2024-12-31"),
        (relative(1, "weeks", align="calendar"), "2025-03-10", "2025-03-03", "2025-03-09"),
        (relative(1, "weeks", align="calendar"), "2025-03-09", "2025-02-24", "2025-03-02"),
        (relative(1, "weeks", align="calendar", weekStart=7), "2025-03-10", "2025-03-02", "2025-03-08"),
        (relative(1, "weeks", align="calendar", weekStart=7), "2025-03-08", "2025-02-23", "2025-03-01"),
        (relative(7, "days", dataDelayDays=2), "2025-03-10", "2025-03-01", "2025-03-07"),
        (relative(1, "months", dataDelayDays=1), "2025-04-01", "2025-02-28", "2025-03-30"),
        (relative(1, "months", align="calendar", dataDelayDays=2), "2025-03-02", "2025-01-01", "2025-01-31"),
    ],
)
def test_a_relative_window_is_what_the_semantics_say(config: LookbackConfig, as_of: str, start: str, end: str) -> None:
    assert lookback_dates(config, day(as_of)) == Window(day(start), day(end))


def test_a_custom_window_is_taken_as_given() -> None:
    config = CustomLookback(start_date=day("2025-01-01"), end_date=day("2025-01-31"))
    assert lookback_dates(config, day("2020-01-01")) == Window(day("2025-01-01"), day("2025-01-31"))


def test_a_reversed_custom_range_has_no_window_and_is_not_within_the_limit() -> None:
    config = CustomLookback(start_date=day("2025-01-02"), end_date=day("2025-01-01"))
    with pytest.raises(LookbackError, match="swap them") as error:
        lookback_dates(config, day("2025-02-01"))
    assert error.value.pointer == "/endDate"
    assert not within_limit(config, day("2025-02-01"))


@pytest.mark.parametrize("unit", ["days", "weeks", "months"])
def test_a_window_before_the_calendar_is_named_and_out_of_the_limit(unit: str) -> None:
    config = relative(10**9, unit)
    with pytest.raises(LookbackError, match="smaller number") as error:
        lookback_dates(config, day("2025-02-01"))
    assert error.value.pointer == "/value"
    assert not within_limit(config, day("2025-02-01"))


def test_the_limit_is_425_days_to_the_day() -> None:
    as_of = day("2025-03-10")
    assert earliest_allowed(as_of) == day("2024-01-10")
    assert within_limit(relative(425, "days"), as_of)
    assert not within_limit(relative(426, "days"), as_of)
    assert within_limit(relative(426, "days"), as_of, retention_days=426)


def test_fourteen_months_can_be_more_than_the_limit() -> None:
    assert not within_limit(relative(14, "months"), day("2025-09-10"))
    assert within_limit(relative(14, "months"), day("2025-04-10"))


def test_the_limit_counts_from_the_real_day_whatever_the_data_delay() -> None:
    as_of = day("2025-03-10")
    assert within_limit(relative(423, "days", dataDelayDays=2), as_of)
    assert not within_limit(relative(424, "days", dataDelayDays=2), as_of)


def test_a_short_window_years_ago_and_one_in_the_future_are_out_of_the_limit() -> None:
    as_of = day("2025-03-10")
    assert not within_limit(CustomLookback(start_date=day("2022-03-01"), end_date=day("2022-03-02")), as_of)
    assert within_limit(CustomLookback(start_date=as_of, end_date=as_of), as_of)
    assert not within_limit(CustomLookback(start_date=as_of, end_date=as_of + timedelta(days=1)), as_of)


@pytest.mark.parametrize("days", [0, -1])
def test_a_retention_below_one_day_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        within_limit(relative(1, "days"), day("2025-03-10"), days)
    with pytest.raises(ValueError, match="at least 1"):
        earliest_allowed(day("2025-03-10"), days)


@pytest.mark.parametrize(
    ("start", "end", "codes"),
    [
        ("2025-03-01", "2025-03-08", ()),
        ("2025-03-01", "2025-03-09", ("data_may_be_incomplete",)),
        ("2025-03-01", "2025-03-10", ("data_may_be_incomplete", "incomplete_day")),
        ("2024-02-10", "2024-02-20", ()),
        ("2024-02-09", "2024-02-20", ("beyond_amazon_retention",)),
    ],
)
def test_warnings_name_young_data_today_and_amazons_thirteen_months(
    start: str, end: str, codes: tuple[str, ...]
) -> None:
    assert lookback_warnings(Window(day(start), day(end)), day("2025-03-10")) == codes


@given(
    st.dates(date(1900, 1, 1), date(2200, 1, 1)),
    st.integers(1, 500),
    st.sampled_from(["days", "weeks", "months"]),
    st.integers(0, 30),
)
@settings(deadline=None)
def test_a_relative_window_is_never_empty_and_ends_on_the_last_complete_day(
    as_of: date, value: int, unit: str, delay: int
) -> None:
    window = lookback_dates(relative(value, unit, dataDelayDays=delay), as_of)
    assert window.end == as_of - timedelta(days=delay + 1)
    assert window.days >= value
    limit = (as_of - window.start).days
    config = relative(value, unit, dataDelayDays=delay)
    assert within_limit(config, as_of, limit)
    assert limit == 1 or not within_limit(config, as_of, limit - 1)
