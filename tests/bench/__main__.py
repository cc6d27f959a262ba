"""`python -m tests.bench [SCENARIO …] [--quick] [--json FILE] [--profile FOLDER] [--record]`, where SCENARIO is

append       single events and batches made durable, beside pgbench, a pool of connections and a library
steps        steps posted over HTTP, beside handlers that only decode, and that only insert
replay       the log read back into structs, beside COPY and a library
rebuild      the read models built again, beside the same fold in memory
readers      how long an event takes to live readers
verification an export verified offline, beside SHA-256 of the same bytes
admission    a tick of admission with many segments planned, beside the statement's least work
segments     segments through RabbitMQ, beside task frameworks
occurrences  the next run of a schedule, beside three libraries
growth       append, replay, activity and progress as the log grows
memory       what the API, a worker and a rebuild hold at most
start        from nothing to ready, beside PostgreSQL alone

and by name alone, as they are about other things or take long:

activity     how long pages of activity take at a million events, each filter at each place
results      how fast a result's CSV becomes Parquet
ui           how a page with a year of live days answers, and how soon each page is first painted
scale        growth and rebuild at ten million events

Without a name the first twelve run, one after the other. Contenders take turns, round by round, on the same server;
each is checked to have done what it was asked. Exit code 1 if a target is missed, a figure is much worse than the one
in tests/bench/recorded.json, or anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import msgspec
import uvloop

from tests.bench.lines import Line, Spread, markdown, noticed, table
from tests.bench.measuring import NotDurable, WrongRows, require_durability
from tests.bench.pgbench import PgbenchFailed, PgbenchMissing
from tests.bench.place import Outcome, Place, Scenario
from tests.bench.profiles import Profiler
from tests.bench.rounds import say
from tests.bench.surroundings import Machine, Surroundings
from tests.bench.tasks import LibraryMissing
from tests.deployment import ROOT
from tests.postgres import start_server

ALL = (
    "append", "steps", "replay", "rebuild", "readers", "verification", "admission", "segments", "occurrences",
    "growth", "memory", "start",
)  # fmt: skip
BY_NAME = ("activity", "results", "ui", "scale")

RECORDED = Path(__file__).with_name("recorded.json")
TABLE = ROOT / "docs" / "performance-table.md"
"""The last full table, which docs/performance.md explains."""

WRONG = (NotDurable, WrongRows, PgbenchMissing, PgbenchFailed, LibraryMissing)


class Report(msgspec.Struct, frozen=True):
    """A whole run. `wrong` names the scenarios that did not come to their end, with the reason."""

    at: datetime
    seconds: float
    surroundings: Surroundings
    lines: list[Line]
    figures: dict[str, object]
    wrong: dict[str, str]


class Recorded(msgspec.Struct, frozen=True):
    """What later runs are compared with: by the name of its line, what counted."""

    at: datetime
    commit: str
    lines: dict[str, Spread]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join((*ALL, *BY_NAME)))
    parser.add_argument("--quick", action="store_true", help="fewer rounds, of less")
    parser.add_argument("--json", metavar="FILE", type=Path, help="everything, with what it was measured on")
    parser.add_argument("--profile", metavar="FOLDER", type=Path, help="profiles of processes and statements")
    parser.add_argument("--record", action="store_true", help="keep the ratios, for later runs to be compared with")
    options = parser.parse_args()
    if unknown := set(options.scenarios) - {*ALL, *BY_NAME}:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join((*ALL, *BY_NAME))}")
    if options.profile:
        options.profile.mkdir(parents=True, exist_ok=True)
    # Not in a private folder: as root the server runs as another user, who must be able to pass through.
    folder = Path(tempfile.mkdtemp(prefix="report-builder-bench-", dir="/var/tmp"))
    try:
        server, postgres = start_server(folder / "data", durable=True)
        try:
            postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
            place = Place(server, postmaster, folder, options.quick, Profiler(options.profile))
            report = uvloop.run(measure(place, options.scenarios or ALL))
        finally:
            asyncio.run(postgres.stop())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tell(report, options.json, record=options.record)


async def measure(place: Place, names: Sequence[str]) -> Report:
    """Runs the scenarios; one that goes wrong does not keep the others from running."""
    begun, machine = time.monotonic(), Machine()
    lines: list[Line] = []
    figures: dict[str, object] = {}
    wrong: dict[str, str] = {}
    for name in names:
        machine.measure()
        at = time.monotonic()
        run: Scenario = import_module(f"tests.bench.{name}").run
        try:
            await require_durability(place.server)
            outcome: Outcome = await run(place)
        except WRONG as error:
            wrong[name] = str(error)
            say(f"{name}: {error}")
            continue
        lines += outcome.lines
        if outcome.figures is not None:
            figures[name] = outcome.figures
        if outcome.text:
            print(f"{outcome.text}\n", flush=True)
        say(f"{name} took {time.monotonic() - at:.0f} s")
    machine.measure()
    surroundings = await machine.surroundings(place.server)
    return Report(datetime.now(UTC), time.monotonic() - begun, surroundings, lines, figures, wrong)


def tell(report: Report, json: Path | None, *, record: bool) -> int:
    """Prints what a person wants to read, writes what a program does; the exit code."""
    on = report.surroundings
    print(table(report.lines))
    print(
        f"\n{report.seconds / 60:.0f} min on {on.processors} × {on.processor}, {on.memory_gib} GiB, {on.system};"
        f" Python {on.python}, PostgreSQL {on.postgresql}, fsync {on.settings['fsync']}; commit {on.commit}."
        f"\nThe machine: the same work differed by {on.noise:.0%} between quartiles; {on.stolen:.0%} of its time went"
        " to others."
    )
    missed = [line.name for line in report.lines if line.missed]
    worse = noticed(report.lines, _recorded().lines if RECORDED.exists() else {})
    for title, sentences in (
        ("Missed", missed),
        ("Much worse than recorded", worse),
        ("Went wrong", [f"{name}: {reason}" for name, reason in report.wrong.items()]),
    ):
        if sentences:
            print(f"\n{title}:\n  " + "\n  ".join(sentences))
    if json:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    if record:
        keep(report)
    return 1 if missed or worse or report.wrong else 0


def keep(report: Report) -> None:
    """Replaces what is recorded of the lines that were measured, and the table of the documentation."""
    known = dict(_recorded().lines) if RECORDED.exists() else {}
    known.update({line.name: line.judged for line in report.lines if line.ratio})
    recorded = Recorded(report.at, report.surroundings.commit, dict(sorted(known.items())))
    RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(recorded)) + b"\n")
    TABLE.write_text(markdown(report.lines) + "\n")


def _recorded() -> Recorded:
    return msgspec.json.decode(RECORDED.read_bytes(), type=Recorded)


if __name__ == "__main__":
    sys.exit(main())
