"""`python -m tests.bench [append] [--quick] [--json]`: how many single events a second become durable, ours
beside others. `python -m tests.bench activity`: how long pages of activity take at a million events.
`python -m tests.bench segments`: how many segments a second go through RabbitMQ, beside task frameworks.
`python -m tests.bench rebuild`: how many events a second the read models are built again from.
`python -m tests.bench readers`: how long an event takes to many live readers, and what that costs.
`python -m tests.bench results`: how fast a result's CSV becomes Parquet, beside DuckDB's own COPY and SHA-256 of the
same file.

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

from tests.bench import activity, library, pgbench, pool, readers, rebuild, results, throughput, writer
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=("append", "activity", "segments", "readers", "rebuild", "results"),
        default="append",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="3 rounds of 2 s each instead of 5 of 4 s; 20 pages of each; 3 rounds of 100 segments instead of 5 of 400;"
        " a round of 100,000 events instead of 3 of a million",
    )
    parser.add_argument("--json", action="store_true", help="the figures as JSON instead of a table")
    options = parser.parse_args()
    if options.what == "results":
        measured = results.run(50 if options.quick else 250, 3)
        _print(measured, results.table(measured), as_json=options.json)
        return 0
    rounds, load = (3, Load(1, 2)) if options.quick else (5, Load(2, 4))
    # Not in a private folder: as root the server runs as another user, who must be able to pass through.
    folder = Path(tempfile.mkdtemp(prefix="report-builder-bench-", dir="/var/tmp"))
    try:
        if options.what == "append":
            pgbench.find_pgbench()
        server, postgres = start_server(folder / "data", durable=True)
        try:
            if options.what == "segments":
                rounds, count = (3, 100) if options.quick else (5, 400)
                postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
                lines = uvloop.run(throughput.run(server, postmaster, rounds, count))
            elif options.what == "rebuild":
                postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
                events, rounds = (100_000, 1) if options.quick else (rebuild.EVENTS, 3)
                rebuilt = uvloop.run(rebuild.run(server, postmaster, rounds, events))
            elif options.what == "readers":
                crowds = uvloop.run(readers.run(server, folder / "service", 5 if options.quick else readers.SECONDS))
            elif options.what == "activity":
                pages = uvloop.run(activity.run(server, 20 if options.quick else activity.ROUNDS))
            else:
                report = uvloop.run(run(server, rounds, load))
        finally:
            asyncio.run(postgres.stop())
    except (NotDurable, WrongRows, pgbench.PgbenchMissing, pgbench.PgbenchFailed, LibraryMissing) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.what == "segments":
        _print(lines, throughput.table(lines, rounds, count), as_json=options.json)
        return 0
    if options.what == "rebuild":
        _print(rebuilt, rebuild.table(rebuilt), as_json=options.json)
        return 1 if any(each.missed for each in rebuilt) else 0
    if options.what == "readers":
        _print(crowds, readers.table(crowds), as_json=options.json)
        return 0
    if options.what == "activity":
        _print(pages, activity.table(pages), as_json=options.json)
        return 1 if any(page.missed for page in pages) else 0
    _print(report, table(report), as_json=options.json)
    return 1 if report.missed else 0


def _print(figures: object, text: str, *, as_json: bool) -> None:
    print(msgspec.json.format(msgspec.json.encode(figures)).decode() if as_json else text)


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
