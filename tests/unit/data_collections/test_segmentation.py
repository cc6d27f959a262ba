"""Segments: contiguous, aligned with the calendar, covering the window exactly."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.data_collections.segmentation import Segment, SegmentType, segments
from service.data_collections.windows import Window

DAY = timedelta(days=1)
WINDOWS = st.builds(
    lambda start, days: Window(start, start + timedelta(days=days)),
    st.dates(date(1, 1, 1), date(9990, 1, 1)),
    st.integers(0, 800),
)
TYPES = st.sampled_from(["daily", "weekly", "monthly"])


def spans(found: list[Segment]) -> list[tuple[str, str]]:
    return [(str(segment.start), str(segment.end)) for segment in found]


def test_weeks_are_clipped_at_both_ends_of_the_window() -> None:
    found = segments(Window(date(2025, 3, 5), date(2025, 3, 18)), "weekly")
    assert spans(found) == [
        ("2025-03-05", "2025-03-09"),
        ("2025-03-10", "2025-03-16"),
        ("2025-03-17", "2025-03-18"),
    ]
    assert [segment.partial for segment in found] == [True, False, True]
    assert [segment.number for segment in found] == [1, 2, 3]


def test_weeks_may_begin_on_any_day() -> None:
    found = segments(Window(date(2025, 3, 2), date(2025, 3, 15)), "weekly", 7)
    assert spans(found) == [("2025-03-02", "2025-03-08"), ("2025-03-09", "2025-03-15")]
    assert not any(segment.partial for segment in found)


def test_months_know_leap_years() -> None:
    found = segments(Window(date(2024, 1, 31), date(2024, 3, 1)), "monthly")
    assert spans(found) == [
        ("2024-01-31", "2024-01-31"),
        ("2024-02-01", "2024-02-29"),
        ("2024-03-01", "2024-03-01"),
    ]
    assert [segment.partial for segment in found] == [True, False, True]


def test_fifty_two_complete_weeks_are_fifty_two_whole_segments() -> None:
    found = segments(Window(date(2024, 3, 11), date(2025, 3, 9)), "weekly")
    assert len(found) == 52
    assert not any(segment.partial for segment in found)


def test_a_window_inside_one_week_is_one_partial_segment() -> None:
    found = segments(Window(date(2025, 3, 11), date(2025, 3, 12)), "weekly")
    assert found == [Segment(1, date(2025, 3, 11), date(2025, 3, 12), True)]


@pytest.mark.parametrize("type", ["daily", "weekly", "monthly"])
def test_the_calendars_first_and_last_days_have_segments(type: SegmentType) -> None:
    assert segments(Window(date.max - 9 * DAY, date.max), type)[-1].end == date.max
    assert segments(Window(date.min, date.min + 9 * DAY), type)[0].start == date.min


def test_unknown_types_and_days_are_refused() -> None:
    window = Window(date(2025, 3, 11), date(2025, 3, 12))
    with pytest.raises(ValueError, match="daily"):
        segments(window, "hourly")  # type: ignore[arg-type]
    for week_start in (0, 8):
        with pytest.raises(ValueError, match="ISO day"):
            segments(window, "daily", week_start)


@given(WINDOWS, TYPES, st.integers(1, 7))
@settings(deadline=None)
def test_segments_cover_the_window_exactly_in_order_and_without_overlap(
    window: Window, type: SegmentType, week_start: int
) -> None:
    found = segments(window, type, week_start)
    assert [segment.number for segment in found] == list(range(1, len(found) + 1))
    assert (found[0].start, found[-1].end) == (window.start, window.end)
    assert all(later.start == earlier.end + DAY for earlier, later in pairwise(found))
    assert all(segment.start <= segment.end for segment in found)


@given(WINDOWS, TYPES, st.integers(1, 7))
@settings(deadline=None)
def test_segments_are_aligned_and_only_those_at_the_ends_are_partial(
    window: Window, type: SegmentType, week_start: int
) -> None:
    found = segments(window, type, week_start)
    assert not any(segment.partial for segment in found[1:-1])
    for segment in found[1:]:
        if type == "weekly":
            assert segment.start.isoweekday() == week_start
        if type == "monthly":
            assert segment.start.day == 1
    for segment in found:
        days = (segment.end - segment.start).days + 1
        if type == "daily":
            assert (days, segment.partial) == (1, False)
        elif type == "weekly":
            assert segment.partial == (days < 7)
        else:
            assert segment.start.month == segment.end.month
            assert segment.partial == (segment.start.day != 1 or (segment.end + DAY).day != 1)


@given(WINDOWS, TYPES, st.integers(1, 7), st.integers(0, 100))
@settings(deadline=None)
def test_a_whole_week_or_month_is_the_same_segment_in_every_window(
    window: Window, type: SegmentType, week_start: int, days: int
) -> None:
    wider = Window(window.start, window.end + timedelta(days=days))
    whole = {(s.start, s.end) for s in segments(window, type, week_start) if not s.partial}
    assert whole <= {(s.start, s.end) for s in segments(wider, type, week_start) if not s.partial}
