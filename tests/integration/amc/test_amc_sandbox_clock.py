"""The sandbox's today, where a clock is kept elsewhere: its moving tables move along."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.amc.sandbox import SandboxOptions, TableFile, running_sandbox
from service.amc.sandbox import generated as generated_tables
from service.amc.sandbox.clock import SandboxClock
from service.server import serving

if TYPE_CHECKING:
    from tests.integration.amc.conftest import Bench, Connect

DAY = timedelta(days=1)


async def rows_of_yesterday(bench: Bench, sql: str, today: date, folder: Path) -> list[list[str]]:
    name = await bench.save(sql)
    return await bench.rows(await bench.run(bench.request(name, today - DAY)), folder)


async def test_shifted_and_generated_tables_follow_its_day(
    connect: Connect, adwords: TableFile, tmp_path: Path
) -> None:
    day = date(2026, 1, 10)
    options = SandboxOptions(tables=(adwords,), shift_dates=True, generated=True, today=day)
    async with running_sandbox(options) as handle:
        bench = await connect(handle)
        clock = handle.sandbox.clock
        files = "SELECT COUNT(*) AS n, MAX(date) AS last FROM adwords"
        made = "SELECT COUNT(*) AS n, SUM(clicks) AS clicks FROM sponsored_ads_traffic"
        assert await rows_of_yesterday(bench, files, day, tmp_path) == [["7", "2026-01-09"]]
        first = await rows_of_yesterday(bench, made, day, tmp_path)
        for other in (date(2026, 1, 11), date(2026, 9, 1), date(2025, 12, 24), day):
            clock.fixed = other
            last = other - DAY
            assert await rows_of_yesterday(bench, files, other, tmp_path) == [["7", last.isoformat()]], other
            (found,) = await rows_of_yesterday(bench, made, other, tmp_path)
            assert int(found[0]) > 0
        assert await rows_of_yesterday(bench, made, day, tmp_path) == first


def test_generated_tables_that_moved_are_those_made_for_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated_tables, "DAYS", 20)

    def content(*days: date) -> object:
        connection = duckdb.connect()
        connection.execute("CREATE SCHEMA source")
        generated_tables.create(connection, "source", days[0])
        for was, today in pairwise(days):
            generated_tables.extend(connection, "source", was, today)
        return [
            connection.execute(
                f"SELECT count(*), min(event_dt_utc), max(event_dt_utc), sum(hash(t::text)) FROM source.{name} t"
            ).fetchone()
            for name in generated_tables.TABLES
        ]

    day = date(2026, 1, 10)
    wanted = content(day)
    for begun in (day - DAY, day - 10 * DAY, day - 90 * DAY, day + DAY, day + 50 * DAY):
        assert content(begun, day) == wanted, begun


async def test_it_reads_the_clock_of_its_address_and_outlives_one_that_does_not_answer() -> None:
    shown = {"now": "2026-03-08T23:59:00Z", "speed": 0.001}
    status = 503

    async def show(request: Request) -> Response:
        return JSONResponse(shown, status)

    async with serving(Starlette(routes=[Route("/clock", show)]), "127.0.0.1", 0, grace=1) as url:
        clock = SandboxClock(f"{url}/clock")
        await clock.read()
        assert clock.today() == datetime.now(UTC).date()
        status = 200
        await clock.read()
        assert clock.today() == date(2026, 3, 8)
        shown = {"broken": True}
        await clock.read()
        assert clock.today() == date(2026, 3, 8)
    await clock.read()
    assert clock.today() == date(2026, 3, 8)


@pytest.mark.parametrize("fixed", [date(2026, 1, 1), None])
async def test_without_an_address_today_is_fixed_or_the_real_one(fixed: date | None) -> None:
    assert SandboxClock(None, fixed).today() == (fixed or datetime.now(UTC).date())
