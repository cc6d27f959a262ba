"""Presets: each is a lookback with the window that it means, on every day of six years."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from events import codec
from events.configurations import LookbackConfig, RelativeLookback
from events.validation import decode
from service.data_collections.lookback import lookback_dates, within_limit
from service.data_collections.windows import Window
from service.workflows.presets import Preset, lookback_limits, presets

DAYS = [date(2023, 1, 1) + timedelta(days=offset) for offset in range(6 * 365 + 2)]


def by_name(as_of: date, retention: int = 425) -> dict[str, Preset]:
    return {preset.preset: preset for preset in presets(as_of, retention)}


def test_every_preset_means_what_its_lookback_means_and_is_complete() -> None:
    for as_of in DAYS:
        for preset in presets(as_of, 425):
            if preset.lookback_config is None:
                assert (preset.preset, preset.available) == ("month_to_date", False)
                assert as_of.day <= 3
                continue
            assert preset.window == lookback_dates(preset.lookback_config, as_of)
            assert preset.available == within_limit(preset.lookback_config, as_of, 425)
            assert (as_of - preset.window.end).days >= 3
            assert "data_may_be_incomplete" not in preset.warnings
            assert preset.moves == isinstance(preset.lookback_config, RelativeLookback)
            if isinstance(preset.lookback_config, RelativeLookback):
                assert preset.lookback_config.data_delay_days == 2


def test_the_last_quarter_is_a_calendar_quarter_and_the_month_to_date_begins_this_month() -> None:
    for as_of in DAYS:
        found = by_name(as_of)
        quarter, month = found["last_quarter"].window, found["month_to_date"].window
        assert quarter is not None
        assert (quarter.start.month % 3, quarter.start.day) == (1, 1)
        assert ((quarter.end + timedelta(days=1)).month % 3, (quarter.end + timedelta(days=1)).day) == (1, 1)
        assert 90 <= quarter.days <= 92
        assert (as_of - quarter.end).days <= 94
        if month is not None:
            assert month == Window(as_of.replace(day=1), as_of - timedelta(days=3))


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("last_7_days", "2025-03-06", "2025-03-12"),
        ("last_30_days", "2025-02-11", "2025-03-12"),
        ("last_week", "2025-03-03", "2025-03-09"),
        ("month_to_date", "2025-03-01", "2025-03-12"),
        ("last_month", "2025-02-01", "2025-02-28"),
        ("last_quarter", "2024-10-01", "2024-12-31"),
        ("last_12_months", "2024-03-01", "2025-02-28"),
    ],
)
def test_presets_as_of_a_saturday_in_march(name: str, start: str, end: str) -> None:
    assert by_name(date(2025, 3, 15))[name].window == Window(date.fromisoformat(start), date.fromisoformat(end))


def test_what_the_instance_does_not_keep_is_not_available_and_says_why() -> None:
    found = by_name(date(2025, 3, 15), 30)
    assert found["last_14_days"].available
    assert not found["last_30_days"].available
    assert found["last_30_days"].reason == (
        "it starts on 2025-02-11, before 2025-02-13, the earliest day that the instance keeps"
    )


def test_limits_are_counted_in_the_right_direction() -> None:
    limits = lookback_limits(date(2025, 3, 31), 425)
    assert (limits.earliest_date, limits.amazon_earliest_date) == (date(2024, 1, 31), date(2024, 2, 29))
    assert (limits.last_complete_day, limits.complete_data_until) == (date(2025, 3, 30), date(2025, 3, 29))
    assert limits.latest_date == date(2025, 3, 31)


def test_a_presets_lookback_can_be_sent_as_it_was_answered() -> None:
    for preset in presets(date(2025, 3, 15), 425):
        sent = codec.encode(preset.lookback_config)
        assert decode(LookbackConfig, sent.encode()) == preset.lookback_config
