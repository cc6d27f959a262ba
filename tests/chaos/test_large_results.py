"""A large result on a worker with little memory: 1 GB in the long form, 100 MB in the short one.

The worker is a process of its own, which the kernel gives no more than 512 MB for data. What it has held at most, its
libraries' pages included, is measured, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import duckdb
import pytest

from tests.deployment import Api, Deployment, write_numbers
from tests.rabbitmq import RabbitNode
from tests.s3 import S3Server

LONG = os.environ.get("TEST_LENGTH") == "long"
ROWS = 5_200_000 if LONG else 520_000  # of about 197 bytes
MEMORY = 512 * 1024 * 1024
PATIENCE = 900 if LONG else 120
FILES = 5
SQL = f"""
SELECT n AS id, md5(CAST(n AS VARCHAR)) || md5(CAST(n % 9973 AS VARCHAR)) AS user_key,
       'looked for ' || md5(CAST(n * 3 AS VARCHAR)) || ' ' || md5(CAST(n * 7 AS VARCHAR)) AS search_term,
       DATE '2025-01-01' + CAST(n % 365 AS INTEGER) AS day,
       CASE WHEN n % 10 = 0 THEN NULL ELSE 'Campaign "' || CAST(n % 500 AS VARCHAR) || '", Fall' END AS campaign,
       CAST(n % 1000 AS DECIMAL(12, 4)) / 8 AS spend, n * 0.5 AS share
  FROM generate_series(1, {ROWS}) AS t(n)
"""


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
        yield session


def peak(pid: int) -> int:
    """Bytes of memory that a process has held at most, shared pages included."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


async def download(http: aiohttp.ClientSession, url: str, target: Path) -> None:
    async with http.get(url) as answer:
        assert answer.status == 200, await answer.text()
        with target.open("wb") as file:
            async for piece in answer.content.iter_chunked(1 << 20):
                file.write(piece)


@pytest.fixture(params=["folder", "s3"] if LONG else ["folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Settings of the store, as variables."""
    if request.param == "folder":
        yield {}
        return
    server = S3Server(tmp_path)
    yield {f"REPORT_BUILDER_{name.upper()}": value for name, value in server.settings().items()}
    server.stop()


@pytest.mark.rabbitmq
async def test_a_large_result_goes_through_a_worker_with_little_memory(
    server_folder: Path, http: aiohttp.ClientSession, rabbit: RabbitNode, store: dict[str, str]
) -> None:
    deployment = Deployment(server_folder, {"REPORT_BUILDER_AMQP_URL": rabbit.url, **store})
    api = Api(http, deployment)
    table = server_folder / "numbers.csv"
    first, _ = write_numbers(table, 3)
    try:
        deployment.start_sandbox(table, "--result-files", str(FILES))
        service = deployment.start("run", "--roles", "api,projector,admission")
        await api.ready()
        worker = deployment.start("run", "--roles", "worker", memory=MEMORY)
        collection_id = await api.submit_backfill(first, first, sql=SQL)
        collection = await api.finished(collection_id, seconds=PATIENCE)
        assert collection["backfill_status"] == "completed", deployment.output()
        assert (collection["row_count"], collection["null_count"]) == (ROWS, ROWS // 10)
        sent = sum(file.stat().st_size for file in (server_folder / "sandbox" / "results").iterdir())
        assert sent > (1_000_000_000 if LONG else 100_000_000)

        results = f"{deployment.url}/api/data-collections/{collection_id}/results"
        for format in ("parquet", "csv"):
            file = server_folder / f"read.{format}"
            await download(http, f"{results}?format={format}", file)
            read = duckdb.execute(
                f"SELECT count(*), count(DISTINCT id), sum(id), count(campaign), sum(spend * 8)::BIGINT FROM '{file}'"
            ).fetchall()
            spend = sum(n % 1000 for n in range(1, 1001)) * (ROWS // 1000)
            assert read == [(ROWS, ROWS, ROWS * (ROWS + 1) // 2, ROWS - ROWS // 10, spend)]
        for process in (worker, service):
            held = peak(process.pid)
            print(f"{sent / 1e6:.0f} MB through a process that held {held / 1e6:.0f} MB at most")
            assert held < MEMORY
    finally:
        deployment.stop()
