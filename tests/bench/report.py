"""From the rounds to figures, a table and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from tests.bench.measuring import Result

OURS = "AppendWriter"


class Contender(msgspec.Struct, frozen=True):
    """Events per second over the rounds; `ratio` is ours to theirs, the median of the rounds' own ratios,
    since what runs in one round has met the same machine. `target` is the least ratio wanted, None for none."""

    name: str
    median: float
    fastest: float
    slowest: float
    ratio: float
    target: float | None

    @property
    def missed(self) -> bool:
        return self.target is not None and self.ratio < self.target


class Report(msgspec.Struct, frozen=True):
    """`latency_ms` has ours alone: 50, 95 and 99 of 100 appends took at most so many milliseconds."""

    contenders: list[Contender]
    latency_ms: dict[str, float]
    rounds: int
    seconds: float
    missed: list[str]


def report_of(results: Mapping[str, Sequence[Result]], targets: Mapping[str, float | None], seconds: float) -> Report:
    """`results` has one result of each contender for each round; OURS is among them."""
    ours = [result.rate for result in results[OURS]]
    contenders = []
    for name, rounds in results.items():
        rates = [result.rate for result in rounds]
        contenders.append(
            Contender(
                name=name,
                median=median(rates),
                fastest=max(rates),
                slowest=min(rates),
                ratio=median(mine / theirs for mine, theirs in zip(ours, rates, strict=True)),
                target=targets.get(name),
            )
        )
    latencies = sorted(latency for result in results[OURS] for latency in result.latencies)
    return Report(
        contenders=contenders,
        latency_ms={f"p{p}": latencies[len(latencies) * p // 100] * 1000 for p in (50, 95, 99)},
        rounds=len(ours),
        seconds=seconds,
        missed=[contender.name for contender in contenders if contender.missed],
    )


def table(report: Report) -> str:
    """For people."""
    lines = [
        f"Durable appends of single events, medians of {report.rounds} interleaved rounds of {report.seconds:g} s",
        "",
        f"{'events/s':38}{'median':>9}{'min':>9}{'max':>9}{'ours is':>10}{'target':>9}",
    ]
    for each in report.contenders:
        ratio = "" if each.name == OURS else f"{each.ratio:.1f} ×"
        target = "" if each.target is None else f"{each.target:g} ×"
        lines.append(
            f"{each.name:38}{each.median:9,.0f}{each.slowest:9,.0f}{each.fastest:9,.0f}{ratio:>10}{target:>9}"
            + ("  MISSED" if each.missed else "")
        )
    latency = ", ".join(f"{name} {value:.1f} ms" for name, value in report.latency_ms.items())
    verdict = f"Targets missed: {'; '.join(report.missed)}" if report.missed else "All targets are met."
    return "\n".join([*lines, "", f"Latency of one append through {OURS}: {latency}", verdict])
