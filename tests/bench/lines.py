"""What a benchmark finds: lines of one table, each a figure over its rounds, what it is held against, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import Literal

import msgspec

NOTICED = 1.5
"""A figure that is so many times worse than the recorded one is told. Between runs of the same code on one machine the
medians of ratios have differed by less (docs/performance.md); a slow-down of two is past it."""


class Spread(msgspec.Struct, frozen=True):
    """A median with its quartiles."""

    median: float
    low: float
    high: float


def spread(samples: Sequence[float]) -> Spread:
    """`samples` has one figure for each round, one at least."""
    if len(samples) == 1:
        return Spread(samples[0], samples[0], samples[0])
    low, _, high = quantiles(samples, n=4, method="inclusive")
    return Spread(median(samples), low, high)


class Line(msgspec.Struct, frozen=True):
    """One line of the table. `ours` is in `unit`. Beside another it is `ratio` that counts, ours to theirs, the spread
    of each round's own, since what runs in one round has met the same machine; alone it is `ours`.

    `better` says which way is good; `target` is the least that is wanted, or the most, None where nothing is. `samples`
    and `their_samples` have a figure for each round."""

    scenario: str
    measure: str
    unit: str
    better: Literal["more", "less"]
    samples: Sequence[float]
    ours: Spread
    target: float | None = None
    beside: str | None = None
    their_samples: Sequence[float] = ()
    theirs: Spread | None = None
    ratio: Spread | None = None

    @property
    def name(self) -> str:
        """What tells this line from all others."""
        return f"{self.scenario}: {self.measure}" + (f" beside {self.beside}" if self.beside else "")

    @property
    def judged(self) -> Spread:
        """What the target is for."""
        return self.ratio or self.ours

    @property
    def missed(self) -> bool:
        if self.target is None:
            return False
        return self.judged.median < self.target if self.better == "more" else self.judged.median > self.target


def alone(
    scenario: str,
    measure: str,
    unit: str,
    samples: Sequence[float],
    *,
    better: Literal["more", "less"],
    target: float | None = None,
) -> Line:
    """A line that is held against a number alone."""
    return Line(scenario, measure, unit, better, samples, spread(samples), target)


def beside(
    scenario: str,
    measure: str,
    unit: str,
    ours: Sequence[float],
    other: str,
    theirs: Sequence[float],
    *,
    better: Literal["more", "less"],
    target: float | None = None,
) -> Line:
    """A line that is held against somebody else's figures of the same rounds."""
    ratios = [mine / their for mine, their in zip(ours, theirs, strict=True)]
    return Line(
        scenario, measure, unit, better, ours, spread(ours), target, other, theirs, spread(theirs), spread(ratios)
    )


def joined(first: Line, second: Line) -> Line:
    """The same line over the rounds of both."""
    of = first.scenario, first.measure, first.unit
    samples, theirs = [*first.samples, *second.samples], [*first.their_samples, *second.their_samples]
    if first.beside is None:
        return alone(*of, samples, better=first.better, target=first.target)
    return beside(*of, samples, first.beside, theirs, better=first.better, target=first.target)


def worse_than(recorded: Spread, line: Line) -> float:
    """How many times worse the line is than it was recorded; below 1 where it is better."""
    then, now = recorded.median, line.judged.median
    worse, good = (then, now) if line.better == "more" else (now, then)
    return worse / good if good else float("inf")


def number(value: float) -> str:
    """With as many digits as say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cells(line: Line) -> list[str]:
    judged = line.judged
    sign = "≥" if line.better == "more" else "≤"
    times = " ×" if line.ratio else f" {line.unit}"
    return [
        f"{line.scenario}, {line.measure}",
        f"{number(line.ours.median)} {line.unit}",
        line.beside or "",
        f"{number(line.theirs.median)} {line.unit}" if line.theirs else "",
        f"{number(judged.median)}{times}",
        f"{number(judged.low)} to {number(judged.high)}",
        str(len(line.samples)),
        "" if line.target is None else f"{sign} {number(line.target)}{times}",
        "" if line.target is None else "missed" if line.missed else "reached",
    ]


HEADINGS = ["", "ours", "beside", "theirs", "counts", "quartiles", "rounds", "target", ""]


def table(lines: Sequence[Line]) -> str:
    """For people."""
    return _aligned([HEADINGS, *map(_cells, lines)], lambda cells: "  ".join(cells).rstrip())


def markdown(lines: Sequence[Line]) -> str:
    """The same for docs/performance.md."""
    rule = ["---"] * len(HEADINGS)
    return _aligned([HEADINGS, rule, *map(_cells, lines)], lambda cells: f"| {' | '.join(cells)} |")


def _aligned(rows: Sequence[Sequence[str]], written: Callable[[Sequence[str]], str]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(written([cell.ljust(width) for cell, width in zip(row, widths, strict=True)]) for row in rows)
