"""Results in an S3-compatible store: the same rows, and what happens while it is away, or has been tampered with."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import duckdb
import msgspec
import pytest
import structlog

from db.pool import Pool
from service.amc.sandbox.server import RunningSandbox
from tests.postgres import Database
from tests.s3 import SECRET_ACCESS_KEY, S3Server
from tests.service import Numbers, Service, serving, settings_for


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    written = io.StringIO()
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(written), cache_logger_on_first_use=False)
    yield written
    structlog.configure(**before)


@pytest.fixture
async def stored(
    database: Database, tmp_path: Path, sandbox: RunningSandbox, s3: S3Server, lines: io.StringIO
) -> AsyncIterator[Service]:
    settings = msgspec.structs.replace(settings_for(database, tmp_path, sandbox), **s3.settings(tmp_path.name))
    async with serving(settings) as service:
        yield service


async def test_rows_are_the_same_in_every_form_and_no_file_stays_on_this_machine(
    stored: Service, numbers: Numbers, tmp_path: Path, s3: S3Server
) -> None:
    history = {"lookback_config": numbers.window(5), "segmentation_config": {"type": "daily"}}
    submitted = await stored.submitted({"schedule_type": "backfill", "backfill_config": history})
    assert (await stored.finished(submitted))["backfill_status"] == "completed"
    assert sorted(row["value"] for row in await stored.rows(submitted)) == [1, 2, 3, 4, 5]
    path = f"/api/data-collections/{submitted['collection_id']}/results"
    for format in ("csv", "parquet", "xlsx"):
        answer = await stored.get(f"{path}?format={format}")
        assert answer.status == 200, answer.body
        (tmp_path / f"read.{format}").write_bytes(answer.body)
    sums = duckdb.execute(f"SELECT sum(value) FROM '{tmp_path}/read.csv'").fetchall()
    assert sums == duckdb.execute(f"SELECT sum(value) FROM '{tmp_path}/read.parquet'").fetchall() == [(15,)]
    assert len(list(s3.object(tmp_path.name).rglob("*.parquet"))) == 5
    assert [file.name for file in (tmp_path / "results").rglob("*")] == ["tmp"]


async def test_while_the_store_is_away_results_wait_and_then_are_there(
    stored: Service, numbers: Numbers, s3: S3Server, lines: io.StringIO, pool: Pool
) -> None:
    first = await stored.submitted(window=numbers.window(2))
    await stored.finished(first)
    s3.stop()
    try:
        submitted = await stored.submitted(window=numbers.window(3))
        while "result_not_stored" not in lines.getvalue():
            await asyncio.sleep(0.05)
        refused = await stored.get(f"/api/data-collections/{first['collection_id']}/results")
        assert (refused.status, refused.json["code"]) == (503, "store_unavailable")
        assert refused.headers["Retry-After"]
    finally:
        s3.start()
    collection = await stored.finished(submitted, seconds=60)
    assert (collection["backfill_status"], collection["row_count"]) == ("completed", 3)
    assert len(await stored.rows(first)) == 2
    said = lines.getvalue() + refused.body.decode()
    for row in await pool.fetch("SELECT configuration::text, metadata::text FROM report_builder_audit"):
        said += row["configuration"] + row["metadata"]
    assert SECRET_ACCESS_KEY not in said


async def test_a_flipped_bit_in_the_store_is_named_and_never_read(
    stored: Service, numbers: Numbers, tmp_path: Path, s3: S3Server
) -> None:
    submitted = await stored.submitted(window=numbers.window(3))
    await stored.finished(submitted)
    progress = await stored.read(f"/api/data-collections/{submitted['collection_id']}/progress")
    checksum = progress["segments"][0]["checksum"]
    (file,) = s3.object(tmp_path.name).rglob(f"{checksum}.parquet")
    key = str(file.relative_to(s3.object("")))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    s3.put(key, bytes(content))
    answer = await stored.get(f"/api/data-collections/{submitted['collection_id']}/results")
    assert (answer.status, answer.json["code"]) == (500, "result_damaged")
    assert checksum in answer.json["detail"]
    s3.delete(key)
    answer = await stored.get(f"/api/data-collections/{submitted['collection_id']}/results")
    assert (answer.status, answer.json["code"]) == (500, "result_missing")
