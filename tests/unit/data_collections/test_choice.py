"""Which segments are run: by what is there, whether it is final, what failed, and what was named."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest

from events.types.collection import ReusedResult, SkipReason
from service.data_collections.choice import Existing, Past, Reprocess, skips
from service.data_collections.windows import Window

FINAL_AFTER = 14
NIL = UUID(int=0)


def day(number: int) -> Window:
    return Window(date(2026, 1, number), date(2026, 1, number))


def result(window: Window, age: int) -> Existing:
    """A result that was executed `age` days after the window's end."""
    return Existing(window, window.end + timedelta(days=age), ReusedResult(NIL, NIL, 1, 1, "c"))


# A final result, a provisional one, one that has failed since its provisional result, one that only failed, nothing.
ALL = [day(number) for number in range(1, 6)]
PAST = Past((result(day(1), 14), result(day(2), 13), result(day(3), 2)), frozenset({day(3), day(4)}))

CASES: list[tuple[Reprocess, list[SkipReason | None]]] = [
    ("missing", ["final", None, None, None, None]),
    ("failed", ["final", "has_result", None, None, "not_failed"]),
    ("all", [None, None, None, None, None]),
]


@pytest.mark.parametrize(("reprocess", "expected"), CASES)
def test_what_is_not_run_says_why(reprocess: Reprocess, expected: list[SkipReason | None]) -> None:
    found = skips(ALL, reprocess, PAST, FINAL_AFTER)
    assert [found[window].reason if window in found else None for window in ALL] == expected


def test_a_result_stands_for_what_is_not_run_wherever_there_is_one() -> None:
    found = skips(ALL, "failed", PAST, FINAL_AFTER)
    assert [found[window].result is not None for window in (day(1), day(2), day(5))] == [True, True, False]


@pytest.mark.parametrize("reprocess", ["missing", "failed", "all"])
def test_named_segments_run_whatever_is_there_and_no_others(reprocess: Reprocess) -> None:
    found = skips(ALL, reprocess, PAST, FINAL_AFTER, named={date(2026, 1, 1)})
    reasons = [found[window].reason if window in found else None for window in ALL]
    assert reasons == [None, "has_result", "has_result", "not_named", "not_named"]


def test_a_result_becomes_final_on_its_day_and_not_before() -> None:
    for age in range(20):
        past = Past((result(day(1), age),))
        assert (day(1) in skips([day(1)], "missing", past, FINAL_AFTER)) == (age >= FINAL_AFTER)
