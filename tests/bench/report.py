"""A run of benchmarks: what people read of it, what later runs are compared with, and what keeps it from being good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from tests.bench.lines import NOTICED, Line, Spread, markdown, number, table, worse_than
from tests.bench.surroundings import Surroundings
from tests.deployment import ROOT

RECORDED = Path(__file__).with_name("recorded.json")
DOCUMENT = ROOT / "docs" / "performance.md"
"""Explains the last full table, which stands between these two lines of it."""
TABLE_BEGINS, TABLE_ENDS = '<!-- table, written by `make bench ARGS="--record"` -->', "<!-- end of the table -->"


class Report(msgspec.Struct, frozen=True):
    """A whole run. `wrong` names the scenarios that did not come to their end, with the reason."""

    at: datetime
    seconds: float
    scenarios: tuple[str, ...]
    quick: bool
    surroundings: Surroundings
    lines: list[Line]
    figures: dict[str, list[object]]
    wrong: dict[str, str]


class Recorded(msgspec.Struct, frozen=True):
    """What later runs are compared with: the ratio of each line that has one, by the line's name. Other figures say
    nothing of another machine, and little of another hour: `work_ms` is what the same work took then."""

    at: datetime
    commit: str
    work_ms: float
    lines: dict[str, Spread]


def told(report: Report) -> str:
    """For people, with what they would not want to miss at the end."""
    text = [table(report.lines), "", surroundings_of(report)]
    if recorded := _recorded():
        text.append(
            f"It took {report.surroundings.work_ms / recorded.work_ms:.2f} × what it took when ratios were recorded."
        )
    for title, sentences in unwanted(report).items():
        text += ["", f"{title}:", *(f"  {sentence}" for sentence in sentences)]
    return "\n".join(text)


def surroundings_of(report: Report) -> str:
    """On what it was measured."""
    on = report.surroundings
    return (
        f"{report.at:%Y-%m-%d}, commit {on.commit}, {report.seconds / 60:.0f} min: {on.processors} × {on.processor},"
        f" {on.memory_gib} GiB, {on.system}, Python {on.python}, PostgreSQL {on.postgresql}, fsync"
        f" {on.settings['fsync']}. The machine itself: {on.stolen:.0%} of its time went to others, and the same"
        f" work took {on.work_ms:.0f} ms, differing by {on.noise:.0%} between quartiles."
    )


def unwanted(report: Report) -> dict[str, list[str]]:
    """What makes the run fail, by kind; empty where nothing does."""
    recorded = _recorded()
    found = {
        "Missed": [line.name for line in report.lines if line.missed],
        "Much worse than recorded": noticed(report.lines, recorded.lines if recorded else {}),
        "Went wrong": [f"{name}: {reason}" for name, reason in report.wrong.items()],
    }
    return {kind: sentences for kind, sentences in found.items() if sentences}


def noticed(lines: Sequence[Line], recorded: Mapping[str, Spread]) -> list[str]:
    """A sentence for each ratio that is much worse than it was recorded."""
    sentences = []
    for line in lines:
        if line.ratio is None or (then := recorded.get(line.name)) is None:
            continue
        if (factor := worse_than(then, line)) > NOTICED:
            sentences.append(
                f"{line.name}: {number(line.ratio.median)} × now, {number(then.median)} × as recorded, which is"
                f" {factor:.1f} times worse"
            )
    return sentences


def keep(report: Report, *, full: bool) -> None:
    """Replaces what is recorded of the lines that were measured, and after a full run the table of the document."""
    before = None if full else _recorded()
    known = (before.lines if before else {}) | {line.name: line.ratio for line in report.lines if line.ratio}
    on = report.surroundings
    recorded = Recorded(report.at, on.commit, on.work_ms, dict(sorted(known.items())))
    RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(recorded)) + b"\n")
    if full and not report.quick and not report.wrong:
        begin, _, rest = DOCUMENT.read_text().partition(TABLE_BEGINS)
        end = rest.partition(TABLE_ENDS)[2]
        text = f"{TABLE_BEGINS}\n\n{markdown(report.lines)}\n\n{surroundings_of(report)}\n\n{TABLE_ENDS}"
        DOCUMENT.write_text(begin + text + end)


def _recorded() -> Recorded | None:
    return msgspec.json.decode(RECORDED.read_bytes(), type=Recorded) if RECORDED.exists() else None
