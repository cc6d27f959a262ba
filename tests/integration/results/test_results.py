"""Results over HTTP: what AMC's CSV became, and what happens when it cannot be read."""

from __future__ import annotations

import asyncio
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from service.amc.sandbox.options import SandboxOptions, TableFile
from service.amc.sandbox.server import running_sandbox
from tests.postgres import Database
from tests.service import Numbers, Service, serving, settings_for


def daily(numbers: Numbers, days: int) -> dict[str, Any]:
    history = {"lookback_config": numbers.window(days), "segmentation_config": {"type": "daily"}}
    return {"schedule_type": "backfill", "backfill_config": history}


async def results(service: Service, submitted: Any, format: str) -> bytes:
    path = f"/api/data-collections/{submitted['collection_id']}/results?format={format}"
    answer = await service.get(path)
    assert answer.status == 200, answer.body
    return answer.body


async def test_types_survive_the_way_through_csv(service: Service, numbers: Numbers, tmp_path: Path) -> None:
    sql = """SELECT CAST(SUM(value) AS DECIMAL(12, 4)) / 8 AS spend, date AS day,
      CAST(date AS TIMESTAMP) AS moment, SUM(value) > 1 AS many, SUM(value) * 0.1 AS share,
      CASE WHEN SUM(value) = 1 THEN NULL ELSE 'a, "b"' || chr(10) || 'c\\d é' END AS label
      FROM numbers GROUP BY date"""
    submitted = await service.submitted(
        workflow=await service.workflow(sql), window=numbers.window(2), schedule={"schedule_type": "once"}
    )
    assert (await service.finished(submitted))["backfill_status"] == "completed"
    file = tmp_path / "read.parquet"
    file.write_bytes(await results(service, submitted, "parquet"))
    with duckdb.connect() as database:
        kinds = {row[0]: row[1] for row in database.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()}
        rows = database.execute(f"SELECT day, moment, many, label FROM '{file}' ORDER BY day").fetchall()
    assert kinds["day"] == "DATE"
    assert kinds["moment"] == "TIMESTAMP"
    assert kinds["many"] == "BOOLEAN"
    assert [row[0] for row in rows] == [numbers.first, numbers.first + timedelta(days=1)]
    assert [row[2] for row in rows] == [False, True]
    assert [row[3] for row in rows] == [None, 'a, "b"\nc\\d é']
    assert rows[0][1].date() == numbers.first


async def test_segments_with_equal_content_share_a_file_and_are_both_read(service: Service, numbers: Numbers) -> None:
    workflow = await service.workflow("SELECT 'same' AS word, COUNT(*) AS days FROM numbers")
    submitted = await service.submitted(daily(numbers, 5), workflow=workflow)
    await service.finished(submitted)
    progress = await service.read(f"/api/data-collections/{submitted['collection_id']}/progress")
    assert len({segment["checksum"] for segment in progress["segments"]}) == 1
    rows = await service.rows(submitted)
    assert [row["word"] for row in rows] == ["same"] * 5
    assert [row["segment_start"] for row in rows] == [
        (numbers.first + timedelta(days=number)).isoformat() for number in range(5)
    ]


async def test_a_result_of_several_files_is_whole(database: Database, tmp_path: Path, numbers: Numbers) -> None:
    table = TableFile(name="numbers", path=numbers.file, date_column="date")
    async with (
        running_sandbox(SandboxOptions(tables=(table,), result_files=3, gzip_results=True)) as sandbox,
        serving(settings_for(database, tmp_path, sandbox)) as service,
    ):
        submitted = await service.submitted(window=numbers.window(20))
        assert (await service.finished(submitted))["row_count"] == 20
        assert sorted(row["value"] for row in await service.rows(submitted)) == list(range(1, 21))


async def test_a_window_without_rows_is_complete_and_empty(service: Service, numbers: Numbers) -> None:
    empty = str(numbers.first - timedelta(days=10))
    submitted = await service.submitted(window={"type": "custom", "startDate": empty, "endDate": empty})
    collection = await service.finished(submitted)
    assert (collection["backfill_status"], collection["row_count"]) == ("completed", 0)
    assert await service.rows(submitted) == []
    assert await results(service, submitted, "csv") == b"segment_start,segment_end,segment_version,date,value\n"


async def test_a_lost_file_is_an_error_and_never_a_shorter_table(service: Service, numbers: Numbers) -> None:
    submitted = await service.submitted(daily(numbers, 3))
    await service.finished(submitted)
    progress = await service.read(f"/api/data-collections/{submitted['collection_id']}/progress")
    checksum = progress["segments"][1]["checksum"]
    (file,) = (service.settings.data_dir / "results").rglob(f"{checksum}.parquet")
    file.unlink()
    for format in ("csv", "json", "parquet"):
        answer = await service.get(f"/api/data-collections/{submitted['collection_id']}/results?format={format}")
        assert (answer.status, answer.json["code"]) == (500, "result_missing")
        assert checksum in answer.json["detail"]
        assert progress["segments"][1]["week_start"] in answer.json["detail"]


async def test_before_any_segment_is_complete_the_table_is_empty(api: Service, numbers: Numbers) -> None:
    submitted = await api.submitted(daily(numbers, 2))
    query = f"min_position={submitted['position']}"
    answer = await api.get(f"/api/data-collections/{submitted['collection_id']}/results?{query}")
    assert answer.body == b"segment_start,segment_end,segment_version\n"
    assert answer.headers["Report-Segments"] == "completed=0, total=2"


async def test_nothing_is_left_in_the_scratch_folder(service: Service, numbers: Numbers) -> None:
    submitted = await service.submitted(window=numbers.window(3))
    await service.finished(submitted)
    for format in ("csv", "json", "parquet"):
        await results(service, submitted, format)
    assert list((service.settings.data_dir / "results" / "tmp").iterdir()) == []


async def test_a_large_table_does_not_hold_up_other_requests(
    service: Service, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = await service.submitted(window=numbers.window(3))
    await service.finished(submitted)

    def slowly(*_: Any) -> list[Any]:
        time.sleep(1.5)
        shutil.copy(numbers.file, _[3])
        return []

    monkeypatch.setattr("service.results.read._write", slowly)
    reading = asyncio.create_task(results(service, submitted, "csv"))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await service.read("/healthz")
    assert time.monotonic() - started < 1
    assert await reading == numbers.file.read_bytes()


async def test_head_has_the_length_and_no_body(service: Service, numbers: Numbers) -> None:
    submitted = await service.submitted(window=numbers.window(3))
    await service.finished(submitted)
    path = f"/api/data-collections/{submitted['collection_id']}/results"
    whole = await service.get(path)
    head = await service.send("HEAD", path)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(whole.body)))


async def test_sql_that_amc_rejects_fails_the_segment_with_amcs_words(service: Service, numbers: Numbers) -> None:
    workflow = await service.workflow("SELECT nothing FROM nowhere")
    submitted = await service.submitted(workflow=workflow, window=numbers.window(3))
    collection = await service.finished(submitted)
    assert collection["backfill_status"] == "failed"
    progress = await service.read(f"/api/data-collections/{submitted['collection_id']}/progress")
    assert "nowhere" in progress["segments"][0]["error"]
    assert await service.rows(submitted) == []
