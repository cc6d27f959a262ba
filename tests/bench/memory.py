"""What processes hold at most, shared pages included: the API with a thousand live readers, and a worker that fetches a
result of a gigabyte. (That of a rebuild is measured at ten million events, by `make bench-scale`.)"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp

from tests.bench import readers
from tests.bench.lines import Line, alone
from tests.bench.measuring import WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.rounds import say
from tests.deployment import Api, Deployment, write_numbers
from tests.postgres import Database
from tests.rabbitmq import RabbitNode

READERS = 1000
READ = 5_000
API_MB = 300.0
WORKER_MB = 512.0

ROW_BYTES = 197
FILES = 5
SQL = """
SELECT n AS id, md5(CAST(n AS VARCHAR)) || md5(CAST(n % 9973 AS VARCHAR)) AS user_key,
       'looked for ' || md5(CAST(n * 3 AS VARCHAR)) || ' ' || md5(CAST(n * 7 AS VARCHAR)) AS search_term,
       DATE '2025-01-01' + CAST(n % 365 AS INTEGER) AS day,
       CASE WHEN n % 10 = 0 THEN NULL ELSE 'Campaign "' || CAST(n % 500 AS VARCHAR) || '", Fall' END AS campaign,
       CAST(n % 1000 AS DECIMAL(12, 4)) / 8 AS spend, n * 0.5 AS share
  FROM generate_series(1, {rows}) AS t(n)
"""


async def run(place: Place) -> Outcome:
    megabytes = 20 if place.quick else 1000
    async with place.server.fresh_database() as database:
        api = await _api(place, database)
    async with place.server.fresh_database() as database:
        worker = await _worker(place, database, megabytes)
    lines: list[Line] = [
        alone(f"memory, API with {READERS:,} readers", "at most", "MB", [api], better="less", target=API_MB),
        alone(f"memory, worker with {megabytes:,} MB", "at most", "MB", [worker], better="less", target=WORKER_MB),
    ]
    return Outcome(lines)


async def _api(place: Place, database: Database) -> float:
    async with readers.api(place, database, READERS) as (process, url):
        crowd = await readers.start("crowd", url, str(READERS), str(READ))
        assert crowd.stdout is not None
        await crowd.stdout.readline()  # all of them are there
        writer = await readers.start("writer", database.service_url, str(READ // 10), str(READ))
        await asyncio.gather(writer.wait(), crowd.communicate())
        if crowd.returncode:
            raise WrongRows("a reader has missed an event, or had one twice: see above")
        return _peak(process)


async def _worker(place: Place, database: Database, megabytes: int) -> float:
    rows = megabytes * 1_000_000 // ROW_BYTES
    folder = place.folder / "memory-worker"
    folder.mkdir()
    table = folder / "numbers.csv"
    first, _ = write_numbers(table, 3)
    with RabbitNode() as node:
        deployment = Deployment(folder, {
            "REPORT_BUILDER_DATABASE_URL": database.service_url, "REPORT_BUILDER_AMQP_URL": node.url,
        })  # fmt: skip
        try:
            deployment.start_sandbox(table, "--result-files", str(FILES))
            deployment.start("run", "--roles", "api,projector,admission")
            worker = deployment.start("run", "--roles", "worker")
            async with aiohttp.ClientSession() as http:
                api = Api(http, deployment)
                await api.ready()
                collection_id = await api.submit_backfill(first, first, sql=SQL.format(rows=rows))
                collection = await api.finished(collection_id, seconds=600)
            if collection["row_count"] != rows:
                raise WrongRows(f"of {rows} rows {collection['row_count']} are there")
            return _peak(worker.pid)
        finally:
            await asyncio.to_thread(deployment.stop)


def _peak(pid: int) -> float:
    """Megabytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    peak = int(found[1]) * 1024 / 1e6
    say(f"memory  process {pid}: {peak:,.0f} MB")
    return peak
