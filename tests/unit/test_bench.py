"""The verdicts of the benchmarks: what is missed, and what is much worse than it was recorded."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.bench.lines import Spread, alone, beside, joined, spread, table, worse_than
from tests.bench.report import noticed


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    # The machine was slow in the second round, for both.
    line = beside("append", "events", "/s", [300, 30, 310], "pgbench", [100, 10, 100], better="more", target=3)
    assert line.ratio is not None
    assert line.ratio.median == 3.0
    assert not line.missed
    assert line.name == "append: events beside pgbench"


def test_what_was_measured_at_two_times_is_one_line_of_all_its_rounds() -> None:
    first = beside("append", "events", "/s", [300], "pgbench", [100], better="more", target=3)
    second = beside("append", "events", "/s", [200, 100], "pgbench", [100, 100], better="more", target=3)
    whole = beside("append", "events", "/s", [300, 200, 100], "pgbench", [100, 100, 100], better="more", target=3)
    assert joined(first, second) == whole
    once, twice = (alone("start", "to ready", "s", samples, better="less") for samples in ([2.0], [2.0, 2.0]))
    assert joined(once, once) == twice


@pytest.mark.parametrize(
    ("better", "target", "missed"), [("more", 2.1, True), ("more", 2, False), ("less", 2, False), ("less", 1.9, True)]
)
def test_a_target_is_the_least_of_what_is_better_more_and_the_most_of_what_is_better_less(
    better: Literal["more", "less"], target: float, missed: bool
) -> None:
    line = alone("readers", "p99", "ms", [1, 2, 3], better=better, target=target)
    assert line.missed is missed
    assert ("missed" if missed else "reached") in table([line])


def test_without_a_target_nothing_is_missed() -> None:
    assert not alone("readers", "p99", "ms", [1.0], better="less").missed
    assert spread([1.0]) == Spread(1.0, 1.0, 1.0)


def test_a_ratio_that_halves_is_noticed_and_one_that_wavers_is_not() -> None:
    rate = beside("append", "events", "/s", [150, 150], "pgbench", [100, 100], better="more")
    time = beside("start", "to ready", "s", [2.0], "postgres alone", [1.0], better="less")
    assert noticed([rate, time], {rate.name: Spread(3, 3, 3), time.name: Spread(1, 1, 1)}) == [
        "append: events beside pgbench: 1.5 × now, 3 × as recorded, which is 2.0 times worse",
        "start: to ready beside postgres alone: 2 × now, 1 × as recorded, which is 2.0 times worse",
    ]
    assert noticed([rate, time], {rate.name: Spread(2, 2, 2), time.name: Spread(1.5, 1, 2)}) == []
    assert worse_than(Spread(1, 1, 1), rate) < 1


def test_what_is_held_against_nobody_is_not_compared_with_another_machine() -> None:
    line = alone("readers", "p99", "ms", [100.0], better="less")
    assert noticed([line], {line.name: Spread(1, 1, 1)}) == []
