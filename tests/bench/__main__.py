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

Without a name the first twelve run, one after the other. Unless it is quick, each of them runs a second time, after all
others: so a line has seen the machine at two times. Contenders take turns, round by round, on the same server; each is
checked to have done what it was asked. Exit code 1 if a target is missed, a figure is much worse than the one in
tests/bench/recorded.json, or anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import msgspec
import uvloop

from tests.bench.lines import Line, joined
from tests.bench.measuring import NotDurable, WrongRows, require_durability
from tests.bench.pgbench import PgbenchFailed, PgbenchMissing
from tests.bench.place import Place, Scenario
from tests.bench.profiles import Profiler
from tests.bench.report import Report, keep, told, unwanted
from tests.bench.rounds import say
from tests.bench.surroundings import Machine
from tests.bench.tasks import LibraryMissing
from tests.deployment import ROOT
from tests.postgres import start_server

ALL = (
    "append", "steps", "replay", "rebuild", "readers", "verification", "admission", "segments", "occurrences",
    "growth", "memory", "start",
)  # fmt: skip
BY_NAME = ("activity", "results", "ui", "scale")

ROUNDS, QUICK_ROUNDS = 4, 3
"""Interleaved rounds of one time: seven at least are wanted of the two."""

WRONG = (NotDurable, WrongRows, PgbenchMissing, PgbenchFailed, LibraryMissing)

LAST = ROOT / "var" / "bench" / "last.json"
"""Where the figures of the last run are kept."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join((*ALL, *BY_NAME)))
    parser.add_argument("--quick", action="store_true", help="fewer rounds, of less")
    parser.add_argument("--json", metavar="FILE", type=Path, default=LAST, help="for all figures")
    parser.add_argument("--profile", metavar="FOLDER", type=Path, help="profiles of processes and statements")
    parser.add_argument("--record", action="store_true", help="keep the ratios, to compare later runs with")
    options = parser.parse_args()
    if unknown := set(options.scenarios) - {*ALL, *BY_NAME}:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join((*ALL, *BY_NAME))}")
    if options.profile:
        options.profile.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way the server is stopped and the folder goes
    # Not in a private folder: as root the server runs as another user, who must be able to pass through.
    folder = Path(tempfile.mkdtemp(prefix="report-builder-bench-", dir="/var/tmp"))
    try:
        server, postgres = start_server(folder / "data", durable=True)
        try:
            postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
            place = Place(
                server,
                postmaster,
                folder,
                options.quick,
                QUICK_ROUNDS if options.quick else ROUNDS,
                Profiler(options.profile),
            )
            report = uvloop.run(measure(place, options.scenarios or ALL))
        finally:
            asyncio.run(postgres.stop())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(told(report))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    if options.record:
        keep(report, full=set(ALL) <= set(report.scenarios))
    return 1 if unwanted(report) else 0


async def measure(place: Place, names: Sequence[str]) -> Report:
    """Runs the scenarios; one that goes wrong does not keep the others from running, but has no second time."""
    begun, machine = time.monotonic(), Machine()
    lines: dict[str, dict[str, Line]] = {name: {} for name in names}
    figures: dict[str, list[object]] = {}
    wrong: dict[str, str] = {}
    again = [name for name in names if name in ALL and not place.quick]
    for number, name in enumerate((*names, *again)):
        if name in wrong:
            continue
        machine.measure()
        at = time.monotonic()
        run: Scenario = import_module(f"tests.bench.{name}").run
        try:
            await require_durability(place.server)
            folder = place.folder / str(number)
            folder.mkdir()
            rounds = place.rounds if name in ALL else 2 * place.rounds
            outcome = await run(msgspec.structs.replace(place, folder=folder, rounds=rounds))
        except WRONG as error:
            wrong[name] = str(error)
        except Exception as error:
            traceback.print_exc()
            wrong[name] = f"{type(error).__name__}, see above"
        else:
            before = lines[name]
            lines[name] = {
                line.name: joined(before[line.name], line) if line.name in before else line for line in outcome.lines
            }
            if outcome.figures is not None:
                figures.setdefault(name, []).append(outcome.figures)
            if outcome.text:
                print(f"{outcome.text}\n", flush=True)
        say(f"{name} took {time.monotonic() - at:.0f} s" + (f" and went wrong: {wrong[name]}" if name in wrong else ""))
    machine.measure()
    return Report(
        at=datetime.now(UTC),
        seconds=time.monotonic() - begun,
        scenarios=tuple(names),
        quick=place.quick,
        surroundings=await machine.surroundings(place.server),
        lines=[line for of_one in lines.values() for line in of_one.values()],
        figures=figures,
        wrong=wrong,
    )


if __name__ == "__main__":
    sys.exit(main())
