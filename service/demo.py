"""`report-builder demo`: the whole service on embedded parts, and a sample backfill through its own API.

The backfill is a client's like any other's. One that an earlier run did not finish is gone on with.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import duckdb
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from service.amc.sandbox.options import SandboxOptions, TableFile
from service.amc.sandbox.server import RunningSandbox, running_sandbox
from service.bootstrap import running
from service.results.tables import sql_text, tables
from service.settings import PREFIX, Settings

INSTANCE_ID = "amcsandbox1"
RETENTION_DAYS = 425
SHOWN_SEGMENTS = 60

SAMPLE_SQL = """SELECT campaign, event_date, SUM(impressions) AS impressions, SUM(clicks) AS clicks,
  SUM(spend) AS spend FROM sponsored_ads_traffic GROUP BY campaign, event_date"""


class DemoFailed(Exception):
    """The sample backfill did not come to a good end."""


class DemoOptions(msgspec.Struct, frozen=True):
    """What was asked on the command line."""

    once: bool = False
    data: Path | None = None
    segmentation: str = "weekly"
    port: int | None = None


class Sample(msgspec.Struct, frozen=True):
    """What the demo runs: SQL over a table, its numeric columns, and the window (null: 52 complete weeks)."""

    name: str
    sql_query: str
    columns: tuple[str, ...]
    lookback_config: dict[str, Any] | None = None
    table: TableFile | None = None


async def run_demo(settings: Settings, options: DemoOptions, stop: asyncio.Event) -> None:
    """Runs until `stop`, or with `once` until the backfill is complete. Raises DemoFailed."""
    console = Console()
    sample = _sample_of(options)
    folder = settings.data_dir if PREFIX + "DATA_DIR" in os.environ else Path("var/demo")
    folder.mkdir(parents=True, exist_ok=True)
    sandbox_options = SandboxOptions(
        generated=sample.table is None,
        tables=(sample.table,) if sample.table else (),
        shift_dates=True,
        state_dir=folder / "sandbox",
        clock_url=_clock_url(settings, options),
    )
    async with running_sandbox(sandbox_options) as sandbox:
        demo_settings = _settings(settings, folder.resolve(), sandbox, options)
        async with running(demo_settings) as program, aiohttp.ClientSession(program.api_url) as http:
            console.print(f"Report Builder serves on {program.api_url}, AMC's sandbox on {sandbox.base_url}")
            if program.sign_in_url:
                console.print(f"Sign in, once: {program.sign_in_url}", soft_wrap=True, highlight=False)
            client = Client(http)
            work = asyncio.create_task(_run_sample(client, console, sample, options))
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait((work, stopped, program.failed), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                raise DemoFailed("stopped before the backfill was complete; the next start goes on with it")
            collection_id = work.result()
            if not options.once:
                _print_next(console, program.api_url or "", collection_id)
                await asyncio.wait((stopped, program.failed), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()


def _settings(settings: Settings, folder: Path, sandbox: RunningSandbox, options: DemoOptions) -> Settings:
    """The operator's settings, pointed at the sandbox, which answers at once and often."""
    return msgspec.structs.replace(
        settings,
        data_dir=folder,
        port=options.port if options.port is not None else settings.port,
        amc_base_url=sandbox.base_url,
        amc_token_url=sandbox.token_url,
        amc_client_id="amzn1.application-oa2-client.demo",
        amc_client_secret="demo",  # noqa: S106 - the sandbox takes any
        amc_refresh_token="Atzr|demo",  # noqa: S106
        amc_requests_per_second=1000,
        amc_poll_delays=(0.0, 0.1, 0.1, 0.5),
        amc_timeout=10,
        lease_margin=15,
    )


def _clock_url(settings: Settings, options: DemoOptions) -> str | None:
    """Where the sandbox reads a clock that was set; null for the real one, and for a port that is not known yet."""
    port = options.port if options.port is not None else settings.port
    return f"http://127.0.0.1:{port}/api/clock" if settings.settable_clock and port else None


class Client:
    """The API as a program uses it: JSON in, JSON out, errors with their detail."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http

    async def get(self, path: str, **query: Any) -> Any:
        async with self.http.get(path, params=query) as response:
            return await self._read(response)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        async with self.http.post(path, json=body) as response:
            return await self._read(response)

    async def _read(self, response: aiohttp.ClientResponse) -> Any:
        body = msgspec.json.decode(await response.read())
        if response.status >= 400:
            raise DemoFailed(f"{response.method} {response.url.path}: {body.get('detail')}")
        return body


async def _run_sample(client: Client, console: Console, sample: Sample, options: DemoOptions) -> str:
    """Submits the sample's backfill, or finds the unfinished one, and sees it to its end."""
    name = f"{sample.name}, {options.segmentation}"
    collection_id = await _unfinished(client, name)
    if collection_id:
        console.print(f"Going on with the backfill {collection_id} ({name}), which an earlier run began")
        position = 0
    else:
        console.print(f"Submitting a backfill: {name}")
        collection_id, position = await _submit(client, sample, name, options.segmentation)
    collection = await _follow(client, console, collection_id, position)
    progress = await client.get(f"/api/data-collections/{collection_id}/progress")
    rows = await client.get(f"/api/data-collections/{collection_id}/results", format="json")
    _print_segments(console, progress)
    _print_totals(console, sample, collection, rows)
    if collection["backfill_status"] != "completed":
        raise DemoFailed(f"the backfill ended {collection['backfill_status']}")
    if len(rows) != collection["row_count"]:
        raise DemoFailed(f"{collection['row_count']} rows were stored, {len(rows)} were read back")
    return collection_id


async def _unfinished(client: Client, name: str) -> str | None:
    for status in ("in_progress", "pending"):
        for item in (await client.get("/api/data-collections", status=status))["items"]:
            if item["name"] == name:
                return str(item["collection_id"])
    return None


async def _submit(client: Client, sample: Sample, name: str, segmentation: str) -> tuple[str, int]:
    """The four steps, as any client posts them; answers the collection and the position to wait for."""
    instances = (await client.get("/api/instances"))["items"]
    if INSTANCE_ID not in {item["instance_id"] for item in instances}:
        await client.post(
            "/api/instances",
            {"instance_id": INSTANCE_ID, "name": "Sandbox", "advertiser_id": "ENTITYSANDBOX1",
             "marketplace_id": "ATVPDKIKX0DER", "time_zone": "UTC"},
        )  # fmt: skip
    workflow = await client.post("/api/workflows", {"name": sample.name, "sql_query": sample.sql_query})
    report = await client.post("/api/reports", {"name": name})
    path = f"/api/reports/{report['report_id']}"
    await client.post(
        f"{path}/parameters",
        {"instance_id": INSTANCE_ID, "workflow_id": workflow["workflow_id"], "timezone": "UTC",
         "lookback_config": {"type": "relative", "value": 7, "unit": "days"}},
    )  # fmt: skip
    history = {"segmentation_config": {"type": segmentation}}
    if sample.lookback_config:
        history["lookback_config"] = sample.lookback_config
    await client.post(f"{path}/schedule", {"schedule_type": "backfill", "backfill_config": history})
    review = await client.post(f"{path}/review", {})
    submitted = await client.post(f"{path}/submit", {"digest": review["digest"]})
    return submitted["collection_id"], submitted["position"]


async def _follow(client: Client, console: Console, collection_id: str, position: int) -> dict[str, Any]:
    """A progress bar until every segment has come to its end."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("segments, {task.fields[rows]} rows"),
        TimeElapsedColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task("Backfill", rows=0)
        while True:
            collection = await client.get(f"/api/data-collections/{collection_id}", min_position=position)
            done = sum(collection[f"segments_{state}"] for state in ("completed", "failed", "cancelled", "skipped"))
            bar.update(task, total=collection["segments_total"], completed=done, rows=collection["row_count"])
            if collection["finished_at"]:
                return collection  # type: ignore[no-any-return]
            await asyncio.sleep(0.1)


def _sample_of(options: DemoOptions) -> Sample:
    """The generated sample, or one that sums each numeric column of the caller's file by day."""
    if options.data is None:
        return Sample("Sponsored ads by campaign and day", SAMPLE_SQL, ("impressions", "clicks", "spend"))
    # Opened by its name, so that DuckDB chooses the reader (CSV, gzipped or not, or Parquet).
    with tables() as database:
        try:
            database.execute(f"CREATE TEMPORARY VIEW data AS SELECT * FROM {sql_text(str(options.data))}")  # noqa: S608
            kinds = {row[0]: str(row[1]) for row in database.execute("DESCRIBE data").fetchall()}
        except duckdb.Error as error:
            raise DemoFailed(f"{options.data} cannot be read: {str(error).splitlines()[0]}") from None
        dates = [name for name, kind in kinds.items() if kind in ("DATE", "TIMESTAMP")]
        numbers = tuple(
            name
            for name, kind in kinds.items()
            if kind.startswith(("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL"))
            and not name.lower().endswith("id")
        )
        if not dates or not numbers:
            raise DemoFailed(f"{options.data} needs a date column and a numeric one; it has {kinds}")
        day = dates[0]
        limits = database.execute(f'SELECT min("{day}")::DATE, max("{day}")::DATE FROM data').fetchall()  # noqa: S608
    first, last = limits[0]
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    start, end = _shifted(first, last, yesterday)
    table = options.data.name.partition(".")[0].lower()
    sums = ", ".join(f'SUM("{name}") AS "{name}"' for name in numbers)
    return Sample(
        name=f"{table} by day",
        sql_query=f'SELECT "{day}", {sums} FROM "{table}" GROUP BY "{day}"',  # noqa: S608 - AMC's SQL, not ours
        columns=numbers,
        lookback_config={"type": "custom", "startDate": start.isoformat(), "endDate": end.isoformat()},
        table=TableFile(name=table, path=options.data, date_column=day),
    )


def _shifted(first: date, last: date, yesterday: date) -> tuple[date, date]:
    """The file's days as the sandbox shifts them, no further back than AMC keeps."""
    shift = yesterday - last
    return max(first + shift, yesterday + timedelta(days=1 - RETENTION_DAYS)), yesterday


def _print_segments(console: Console, progress: dict[str, Any]) -> None:
    segments = progress["segments"]
    table = Table("segment", "from", "to", "status", "attempts", "rows", "kB")
    for segment in segments[:SHOWN_SEGMENTS]:
        table.add_row(
            str(segment["segment_number"]),
            segment["week_start"],
            segment["week_end"],
            segment["status"],
            str(segment["attempts"]),
            str(segment["row_count"] if segment["row_count"] is not None else ""),
            f"{(segment['result_bytes'] or 0) / 1000:.1f}",
        )
    console.print(table)
    if len(segments) > SHOWN_SEGMENTS:
        console.print(f"… and {len(segments) - SHOWN_SEGMENTS} more segments")


def _print_totals(console: Console, sample: Sample, collection: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    table = Table("read back through the API", "total")
    table.add_row("segments", f"{collection['segments_completed']:,} of {collection['segments_total']:,}")
    table.add_row("rows", f"{len(rows):,}")
    for column in sample.columns:
        total = sum(row[column] or 0 for row in rows)
        table.add_row(column, f"{total:,}")
    console.print(table)


def _print_next(console: Console, url: str, collection_id: str) -> None:
    console.print(
        f"""
Open {url} in a browser, or try next, in another terminal:
  curl '{url}/api/data-collections/{collection_id}/progress'
  curl '{url}/api/data-collections/{collection_id}/results?format=csv'
  curl -N '{url}/api/events/stream'
The README has a whole session, from the four steps to the results. Ctrl-C ends it; nothing is lost.""",
        soft_wrap=True,
        highlight=False,
    )
