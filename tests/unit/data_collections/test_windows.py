"""Windows towards AMC: local midnights where they exist once, UTC where they do not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.data_collections.windows import (
    AmcWindow,
    UnknownZone,
    Window,
    amc_window,
    first_instant,
    has_one_midnight,
    today,
    zone,
)

ZONES = [
    "UTC",
    "America/New_York",
    "America/Havana",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Tehran",
    "Africa/Cairo",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "Europe/London",
    "Australia/Lord_Howe",
]


def amc(start: str, end: str, zone_name: str) -> AmcWindow:
    return amc_window(Window(date.fromisoformat(start), date.fromisoformat(end)), zone_name)


def test_an_ordinary_window_is_local_without_offset_and_ends_on_the_day_after() -> None:
    assert amc("2025-03-03", "2025-03-09", "America/New_York") == AmcWindow(
        "2025-03-03T00:00:00", "2025-03-10T00:00:00", "America/New_York"
    )


def test_a_change_of_clocks_at_two_leaves_midnights_alone() -> None:
    assert amc("2025-03-09", "2025-03-09", "America/New_York").time_zone == "America/New_York"
    assert amc("2025-11-02", "2025-11-02", "America/New_York").time_zone == "America/New_York"


def test_a_midnight_in_a_gap_begins_the_day_at_the_end_of_the_gap() -> None:
    # Cairo, 2024-04-26: 00:00 became 01:00.
    assert amc("2024-04-26", "2024-04-26", "Africa/Cairo") == AmcWindow(
        "2024-04-25T22:00:00", "2024-04-26T21:00:00", "UTC"
    )


def test_a_window_that_ends_before_a_missing_midnight_is_in_utc_as_well() -> None:
    assert amc("2024-04-25", "2024-04-25", "Africa/Cairo") == AmcWindow(
        "2024-04-24T22:00:00", "2024-04-25T22:00:00", "UTC"
    )


def test_a_repeated_midnight_begins_the_day_at_its_first() -> None:
    # Havana, 2024-11-03: at 01:00 the clocks went back to 00:00.
    assert amc("2024-11-03", "2024-11-03", "America/Havana") == AmcWindow(
        "2024-11-03T04:00:00", "2024-11-04T05:00:00", "UTC"
    )


def test_a_gap_that_begins_before_midnight_ends_where_the_clocks_say_so() -> None:
    # Toronto, 1919-03-30: at 23:30 the clocks went forward to 00:30 on the 31st.
    assert first_instant(date(1919, 3, 31), "America/Toronto") == datetime(1919, 3, 31, 4, 30, tzinfo=UTC)


def test_an_hour_repeated_just_before_midnight_leaves_one_midnight() -> None:
    # Sao Paulo, 2018-02-18: at 00:00 the clocks went back to 23:00 of the 17th.
    assert has_one_midnight(date(2018, 2, 18), "America/Sao_Paulo")
    assert first_instant(date(2018, 2, 18), "America/Sao_Paulo") == datetime(2018, 2, 18, 3, tzinfo=UTC)


def test_a_day_that_the_zone_skipped_holds_no_time() -> None:
    skipped = amc("2011-12-30", "2011-12-30", "Pacific/Apia")
    assert skipped == AmcWindow("2011-12-30T10:00:00", "2011-12-30T10:00:00", "UTC")
    assert skipped.empty


def test_a_window_around_a_skipped_day_is_whole() -> None:
    around = amc("2011-12-29", "2011-12-31", "Pacific/Apia")
    assert around == AmcWindow("2011-12-29T00:00:00", "2012-01-01T00:00:00", "Pacific/Apia")
    assert amc("2011-12-29", "2011-12-29", "Pacific/Apia") == AmcWindow(
        "2011-12-29T10:00:00", "2011-12-30T10:00:00", "UTC"
    )


def test_today_is_the_zones_own_date() -> None:
    instant = datetime(2025, 3, 10, 3, 30, tzinfo=UTC)
    assert today("America/New_York", instant) == date(2025, 3, 9)
    assert today("Asia/Tokyo", instant) == date(2025, 3, 10)
    with pytest.raises(ValueError, match="offset"):
        today("UTC", datetime(2025, 3, 10))  # noqa: DTZ001


@pytest.mark.parametrize("name", ["Mars/Olympus", "america/new_york", "", "../../etc/passwd", "tzdata.zi"])
def test_an_unknown_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownZone, match="is not a zone"):
        zone(name)


def test_a_zone_comes_from_the_package_and_knows_its_name() -> None:
    new_york = zone("America/New_York")
    assert new_york is zone("America/New_York")
    assert new_york.key == str(new_york) == "America/New_York"


def test_a_reversed_window_and_the_calendars_end_are_refused() -> None:
    with pytest.raises(ValueError, match="swap them"):
        Window(date(2025, 1, 2), date(2025, 1, 1))
    with pytest.raises(ValueError, match="last day"):
        amc_window(Window(date.max, date.max), "UTC")
    with pytest.raises(ValueError, match="outside the years"):
        first_instant(date.min, "Asia/Tokyo")


@given(st.dates(date(1900, 1, 2), date(2037, 12, 1)), st.sampled_from(ZONES))
@settings(deadline=None, max_examples=300)
def test_a_days_first_instant_is_in_that_day_or_the_day_was_skipped(day: date, zone_name: str) -> None:
    instant, rules = first_instant(day, zone_name), zone(zone_name)
    assert instant.astimezone(rules).date() >= day
    assert (instant - timedelta(seconds=1)).astimezone(rules).date() < day
    following = first_instant(day + timedelta(days=1), zone_name)
    assert following > instant or instant.astimezone(rules).date() > day


@given(st.dates(date(1970, 1, 2), date(2037, 12, 1)), st.integers(0, 60), st.integers(0, 60), st.sampled_from(ZONES))
@settings(deadline=None, max_examples=300)
def test_neighbouring_windows_meet_without_gap_or_overlap(start: date, first: int, second: int, zone_name: str) -> None:
    middle = start + timedelta(days=first)
    earlier = amc_window(Window(start, middle), zone_name)
    later = amc_window(Window(middle + timedelta(days=1), middle + timedelta(days=second + 1)), zone_name)

    def instant(text: str, name: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=zone(name)).astimezone(UTC)

    assert instant(earlier.end, earlier.time_zone) == instant(later.start, later.time_zone)
