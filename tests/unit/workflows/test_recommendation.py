"""Recommended segmentations keep their rules, over every length of window."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.data_collections.plan import plan_segments
from service.data_collections.windows import Window
from service.workflows.inspect import Inspection
from service.workflows.recommendation import RunHistory, recommend_segmentation

PLAIN = Inspection()
DISTINCT = Inspection(distinct_counts=("reach",))
SLOW = Inspection(tables_that_time_out=("dsp_video_events_feed",))
BOTH = Inspection(distinct_counts=("reach",), tables_that_time_out=("dsp_video_events_feed",))


def window(days: int, first: date = date(2024, 1, 1)) -> Window:
    return Window(first, first + timedelta(days=days - 1))


def recommended(days: int, inspection: Inspection, history: RunHistory | None = None) -> tuple[str | None, str]:
    config, reason = recommend_segmentation(window(days), inspection, history)
    return config.type if config else None, reason


@pytest.mark.parametrize(
    ("days", "inspection", "history", "cut", "because"),
    [
        (1, PLAIN, None, None, "so short"),
        (31, PLAIN, None, None, "so short"),
        (32, PLAIN, None, "weekly", "run again alone"),
        (182, PLAIN, None, "weekly", "26 weekly segments"),
        (183, PLAIN, None, "monthly", "weeks would be 27"),
        (425, PLAIN, None, "monthly", "14 monthly segments"),
        (92, DISTINCT, None, None, "distinct counts (reach)"),
        (93, DISTINCT, None, "monthly", "do not add up"),
        (7, SLOW, None, None, "so short"),
        (8, SLOW, None, "weekly", "dsp_video_events_feed"),
        (425, SLOW, None, "weekly", "dsp_video_events_feed"),
        (425, BOTH, None, "weekly", "dsp_video_events_feed"),
        (425, PLAIN, RunHistory(timed_out=2, shortest_timed_out_days=5), "monthly", "weeks would be"),
        (425, PLAIN, RunHistory(timed_out=3, shortest_timed_out_days=30), "weekly", "the shortest over 30 days"),
        (425, PLAIN, RunHistory(timed_out=3, shortest_timed_out_days=7), "daily", "3 executions have timed out"),
        (5, PLAIN, RunHistory(timed_out=9, shortest_timed_out_days=1), "daily", "the shortest over 1 day"),
        (5, PLAIN, RunHistory(timed_out=9, shortest_timed_out_days=30), None, "so short"),
        (425, PLAIN, RunHistory(timed_out=9), "weekly", "9 executions have timed out"),
        (100, PLAIN, RunHistory(timed_out=9), "weekly", "run again alone"),
        (31, PLAIN, RunHistory(timed_out=9), "weekly", "9 executions have timed out"),
        (60, DISTINCT, RunHistory(timed_out=9), "monthly", "9 executions have timed out"),
    ],
)
def test_each_rule_and_its_bounds(
    days: int, inspection: Inspection, history: RunHistory | None, cut: str | None, because: str
) -> None:
    found, reason = recommended(days, inspection, history)
    assert found == cut
    assert because in reason
    assert reason.endswith(".")


@given(
    st.integers(1, 425),
    st.dates(date(2023, 1, 1), date(2026, 1, 1)),
    st.sampled_from([PLAIN, DISTINCT, SLOW, BOTH]),
    st.integers(0, 9),
    st.none() | st.integers(1, 400),
)
def test_no_execution_is_longer_than_what_is_known_to_time_out(
    days: int, first: date, inspection: Inspection, timed_out: int, shortest: int | None
) -> None:
    history = RunHistory(timed_out=timed_out, shortest_timed_out_days=shortest)
    config, reason = recommend_segmentation(window(days, first), inspection, history)
    planned = plan_segments(window(days, first), config)
    longest = max((segment.end - segment.start).days + 1 for segment in planned)
    if inspection.tables_that_time_out:
        assert longest <= 7
    if timed_out >= 3 and shortest is not None:
        assert longest < shortest or longest == 1
    assert (config is None) == (len(planned) == 1)
    assert reason.startswith("One execution" if config is None else f"{len(planned)} ")
