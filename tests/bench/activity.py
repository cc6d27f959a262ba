"""How long a page of activity and its summary take at a million events, each filter at the log's beginning, in
its middle and at its end: all round trips of the page, as the service's own role, without HTTP.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from db.pool import Pool, open_pool
from service.audit.pages import read_page
from service.audit.queries import Filters
from service.audit.summary import read_summary
from tests.bench.lines import alone
from tests.bench.place import Outcome, Place
from tests.long_log import BIG, SMALL, fill_log
from tests.postgres import Database

EVENTS = 1_000_000
LIMIT = 50
TARGET_MS = 20.0
ROUNDS = 100


class Measured(msgspec.Struct, frozen=True):
    """Milliseconds over the rounds, and of processor time, ours and the server's, which others on the machine do not
    lengthen; `items` is how many each page had."""

    name: str
    place: str
    p50: float
    p99: float
    processor: float
    items: int


async def filters_of(connection: asyncpg.Connection[Any]) -> dict[str, Filters]:
    """Each filter that the route offers, for a team with half of all events and one with a four-hundredth."""
    row = await connection.fetchrow(
        "SELECT user_id, workflow_id FROM report_builder_audit WHERE team_id = $1 ORDER BY position DESC LIMIT 1", BIG
    )
    assert row is not None
    user: UUID = row["user_id"]
    workflow: str = row["workflow_id"]
    rare_user: UUID = await connection.fetchval(
        "SELECT user_id FROM report_builder_audit WHERE team_id = $1 LIMIT 1", SMALL
    )
    stream: str = await connection.fetchval(
        "SELECT stream FROM report_builder_audit WHERE position > $1 AND event_type = 'collection.created'"
        " ORDER BY position LIMIT 1",
        EVENTS // 2,
    )
    week = {"since": datetime(2026, 1, 12, tzinfo=UTC), "until": datetime(2026, 1, 19, tzinfo=UTC)}
    big = Filters(team_id=BIG)

    def also(base: Filters, **more: object) -> Filters:
        return msgspec.structs.replace(base, **more)

    return {
        "team": big,
        "small team": Filters(team_id=SMALL),
        "all teams": Filters(),
        "user": also(big, user_id=user),
        "user of a small team": Filters(team_id=SMALL, user_id=rare_user),
        "workflow": also(big, workflow_id=workflow),
        "stream": Filters(stream=stream),
        "entity report": also(big, entity="report"),
        "entity segment": also(big, entity="segment"),
        "type segment.": also(big, event_type="segment."),
        "type report.submitted": also(big, event_type="report.submitted"),
        "rare type": also(big, event_type="workflow.created"),
        "rare type, all teams": Filters(event_type="workflow.created"),
        "type that never was": also(big, event_type="instance.added"),
        "step review": also(big, step="review"),
        "step submit, small team": Filters(team_id=SMALL, step="submit"),
        "a week": also(big, **week),
        "a week, step submit": also(big, step="submit", **week),
        "user and step": also(big, user_id=user, step="submit"),
        "user and workflow": also(big, user_id=user, workflow_id=workflow),
        "user, workflow and step": also(big, user_id=user, workflow_id=workflow, step="submit"),
        "user of another team": also(big, user_id=rare_user),
    }


async def measure(database: Database, rounds: int = ROUNDS) -> list[Measured]:
    """Fills the database's log, then measures; says on standard error what it is doing."""
    started = time.perf_counter()
    await fill_log(database, EVENTS)
    print(f"{EVENTS:,} events in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    pool = await open_pool(database.service_url, size=1)
    try:
        async with pool.acquire() as connection:
            filters = await filters_of(connection)  # type: ignore[arg-type]
        results = [await _measure_nothing(pool, rounds)]
        for name, each in filters.items():
            for place, cursor in (await _places(pool, each)).items():
                results.append(await _measure_page(pool, name, place, each, cursor, rounds))
                print(f"{name}, {place}: p99 {results[-1].p99:.1f} ms", file=sys.stderr, flush=True)
        for team in (BIG, SMALL, None):
            results.append(await _measure_summary(pool, team, rounds))
    finally:
        await pool.close()
    return results


async def _places(pool: Pool, filters: Filters) -> dict[str, int | None]:
    """The cursors of the first page, of one in the middle of the log, and of the last page with items."""
    oldest = await read_page(pool, filters, "oldest", None, LIMIT)
    last = oldest.rows[-1]["position"] + 1 if oldest.rows else 1
    return {"first": None, "middle": EVENTS // 2, "last": last}


async def _measure_page(
    pool: Pool, name: str, place: str, filters: Filters, cursor: int | None, rounds: int
) -> Measured:
    items = 0

    async def page() -> None:
        nonlocal items
        found = await read_page(pool, filters, "newest", cursor, LIMIT)
        items = len(found.rows)

    return Measured(name, place, *await _times(pool, page, rounds), items)


async def _measure_nothing(pool: Pool, rounds: int) -> Measured:
    """What the machine takes for as many round trips as a page has, whatever they ask."""

    async def trips() -> None:
        for _ in range(3):
            await pool.fetchval("SELECT 1")

    return Measured("three empty round trips", "", *await _times(pool, trips, rounds), 0)


async def _measure_summary(pool: Pool, team: str | None, rounds: int) -> Measured:
    reports = 0

    async def summary() -> None:
        nonlocal reports
        reports = (await read_summary(pool, team, date(2026, 1, 1), date(2026, 1, 31))).reports

    times = await _times(pool, summary, max(rounds // 5, 1))
    return Measured(f"30 days of {team or 'all teams'}", "summary", *times, reports)


async def _times(pool: Pool, work: Callable[[], Awaitable[None]], rounds: int) -> tuple[float, float, float]:
    """Median, 99th percentile and mean processor time in milliseconds; three rounds before are not counted."""
    for _ in range(3):
        await work()
    server = Path(f"/proc/{await pool.fetchval('SELECT pg_backend_pid()')}/schedstat")

    def processor() -> float:
        # The first number: nanoseconds on a processor.
        return int(server.read_text().split()[0]) / 1e6 + time.process_time() * 1000

    times = []
    used = processor()
    for _ in range(rounds):
        started = time.perf_counter()
        await work()
        times.append((time.perf_counter() - started) * 1000)
    used = processor() - used
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100], used / rounds


async def run(place: Place) -> Outcome:
    async with place.server.fresh_database() as database:
        results = await measure(database, 20 if place.quick else ROUNDS)
    pages = [each for each in results if each.place in ("first", "middle", "last")]
    slowest = max(pages, key=lambda page: page.p99)
    line = alone(
        f"activity at {EVENTS:,} events",
        f"p99 of the slowest of {len(pages)} pages",
        "ms",
        [slowest.p99],
        better="less",
        target=TARGET_MS,
    )
    return Outcome([line], table(results), results)


def table(results: list[Measured]) -> str:
    """For people."""
    lines = [
        f"Pages of {LIMIT} at {EVENTS:,} events, and summaries",
        "",
        f"{'milliseconds':38}{'place':>10}{'p50':>9}{'p99':>9}{'processor':>11}{'items':>8}",
    ]
    for each in results:
        lines.append(
            f"{each.name:38}{each.place:>10}{each.p50:9.1f}{each.p99:9.1f}{each.processor:11.1f}{each.items:8,}"
            + (f"  over {TARGET_MS:g} ms" if each.p99 > TARGET_MS and each.items else "")
        )
    return "\n".join(lines)
