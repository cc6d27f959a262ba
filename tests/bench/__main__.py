"""`python -m tests.bench [WHAT] [--quick] [--json]`, where WHAT is

append    how many single events a second become durable, ours beside others (this where nothing is named)
activity  how long pages of activity take at a million events
readers   how long an event takes to many live readers, and what that costs
rebuild   how many events a second the read models are built again from
results   how fast a result's CSV becomes Parquet, beside DuckDB's own COPY and SHA-256 of the same file
segments  how many segments a second go through RabbitMQ, beside task frameworks
ui        how a page with a year of live days answers, and how soon each page is first painted

All appenders run on the same embedded server, each round in a database of its own, one after the other and in another
order each round. Exit code 1 if a target is missed or a contender has recorded anything wrongly.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import msgspec
import uvloop

from tests.bench import activity, library, pgbench, pool, readers, rebuild, results, throughput, ui, writer
from tests.bench.measuring import CALLERS, Load, Result, WrongRows
from tests.bench.report import OURS, Report, report_of, table
from tests.bench.tasks import LibraryMissing
from tests.postgres import Database, Server, start_server

Measure = Callable[[Database, Load], Awaitable[Result]]

CONTENDERS: dict[str, Measure] = {
    OURS: writer.measure,
    f"pgbench, {pgbench.CLIENTS} clients, same row": pgbench.measure,
    f"asyncpg pool, {CALLERS} callers, same row": pool.measure,
    "eventsourcing, ordered log": library.measure,
    "eventsourcing, streams alone": library.measure_unordered,
}
TARGETS: dict[str, float | None] = dict(zip(CONTENDERS, (None, 1.5, 3.0, 25.0, None), strict=True))


class NotDurable(Exception):
    """The server, or a role on it, answers before the commit is on disk."""


class Place(msgspec.Struct, frozen=True):
    """What a benchmark stands on: a durable server, the process id of its postmaster, and a folder that goes with it.
    `quick` asks for less of everything."""

    server: Server
    postmaster: int
    folder: Path
    quick: bool


class Outcome(msgspec.Struct, frozen=True):
    """`figures` for machines and `text` for people, who read the same in it."""

    figures: object
    text: str
    missed: bool = False


async def measure_append(place: Place) -> Outcome:
    pgbench.find_pgbench()
    report = await run(place.server, *((3, Load(1, 2)) if place.quick else (5, Load(2, 4))))
    return Outcome(report, table(report), bool(report.missed))


async def measure_activity(place: Place) -> Outcome:
    pages = await activity.run(place.server, 20 if place.quick else activity.ROUNDS)
    return Outcome(pages, activity.table(pages), any(page.missed for page in pages))


async def measure_readers(place: Place) -> Outcome:
    crowds = await readers.run(place.server, place.folder / "service", 5 if place.quick else readers.SECONDS)
    return Outcome(crowds, readers.table(crowds))


async def measure_rebuild(place: Place) -> Outcome:
    events, rounds = (100_000, 1) if place.quick else (rebuild.EVENTS, 3)
    rebuilt = await rebuild.run(place.server, place.postmaster, rounds, events)
    return Outcome(rebuilt, rebuild.table(rebuilt), any(each.missed for each in rebuilt))


async def measure_results(place: Place) -> Outcome:
    measured = await asyncio.to_thread(results.run, 50 if place.quick else 250, 3)
    return Outcome(measured, results.table(measured))


async def measure_segments(place: Place) -> Outcome:
    rounds, count = (3, 100) if place.quick else (5, 400)
    lines = await throughput.run(place.server, place.postmaster, rounds, count)
    return Outcome(lines, throughput.table(lines, rounds, count))


async def measure_ui(place: Place) -> Outcome:
    measured = await ui.run(place.server, place.folder / "service", 1 if place.quick else ui.ROUNDS)
    return Outcome(measured, ui.table(measured), measured.missed)


BENCHMARKS: dict[str, Callable[[Place], Awaitable[Outcome]]] = {
    "append": measure_append,
    "activity": measure_activity,
    "readers": measure_readers,
    "rebuild": measure_rebuild,
    "results": measure_results,
    "segments": measure_segments,
    "ui": measure_ui,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=BENCHMARKS, default="append")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, of less")
    parser.add_argument("--json", action="store_true", help="the figures as JSON instead of a table")
    options = parser.parse_args()
    # Not in a private folder: as root the server runs as another user, who must be able to pass through.
    folder = Path(tempfile.mkdtemp(prefix="report-builder-bench-", dir="/var/tmp"))
    try:
        server, postgres = start_server(folder / "data", durable=True)
        try:
            postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
            place = Place(server, postmaster, folder, options.quick)
            outcome = uvloop.run(_awaited(BENCHMARKS[options.what](place)))
        finally:
            asyncio.run(postgres.stop())
    except (NotDurable, WrongRows, pgbench.PgbenchMissing, pgbench.PgbenchFailed, LibraryMissing) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(msgspec.json.format(msgspec.json.encode(outcome.figures)).decode() if options.json else outcome.text)
    return 1 if outcome.missed else 0


async def _awaited(outcome: Awaitable[Outcome]) -> Outcome:
    return await outcome


async def run(server: Server, rounds: int, load: Load) -> Report:
    """Says on standard error what it is doing."""
    results: dict[str, list[Result]] = {name: [] for name in CONTENDERS}
    names = list(CONTENDERS)
    for number in range(rounds):
        async with server.fresh_database() as database:
            await require_durability(database.admin_url)
            await require_durability(database.service_url)
            for name in names:
                await server.run("CHECKPOINT")  # so that nobody pays for another's pages
                result = await CONTENDERS[name](database, load)
                results[name].append(result)
                print(f"round {number + 1}/{rounds}  {name}: {result.rate:,.0f}/s", file=sys.stderr, flush=True)
        names = names[1:] + names[:1]
    return report_of(results, TARGETS, load.measured)


async def require_durability(url: str) -> None:
    """Raises NotDurable unless a commit waits for the disk."""
    connection = await asyncpg.connect(url)
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            if (value := await connection.fetchval(f"SHOW {setting}")) != "on":
                raise NotDurable(f"{setting} is {value}: these figures would say nothing about durable appends")
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
