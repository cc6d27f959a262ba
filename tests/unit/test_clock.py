"""The clock: the real one, and what one that is set shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service.clock import LATEST, Clock, ClockSetting

SET_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_real_clock_shows_the_real_time() -> None:
    clock = Clock()
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)
    assert (clock.speed, clock.settable, clock.at(SET_AT)) == (1, False, SET_AT)
    assert 9 < clock.seconds_until(clock.now() + timedelta(seconds=10)) <= 10
    assert clock.seconds_until(clock.now() - timedelta(days=1)) == 0


def test_a_clock_that_is_set_runs_from_there_at_its_speed() -> None:
    setting = ClockSetting(START, 86400, SET_AT)
    assert setting.at(SET_AT) == START
    assert setting.at(SET_AT + timedelta(seconds=2.5)) == START + timedelta(days=2.5)


def test_before_it_was_set_it_showed_what_it_was_set_to() -> None:
    assert ClockSetting(START, 10, SET_AT).at(SET_AT - timedelta(days=3)) == START


def test_a_clock_that_was_forgotten_stops_within_the_calendar() -> None:
    assert ClockSetting(START, 1e7, SET_AT).at(SET_AT + timedelta(days=3650)) == LATEST
