"""Segments whose results have different columns, read as one table over HTTP."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb

from events.envelope import stream_of
from events.types.segment import Completed, Dispatched, Executed, Submitted
from service.results.folder_store import FolderStore
from service.results.tables import sql_text
from tests.backfill import Seed
from tests.service import Service

LAST = date(2026, 1, 31)


async def kept(service: Service, sql: str) -> tuple[str, int]:
    """Checksum and bytes of the result of `sql`, once it is in the service's store."""
    store = FolderStore(service.settings.data_dir / "results")
    with store.scratch_folder() as folder:
        file = Path(folder) / "result.parquet"
        with duckdb.connect() as database:
            database.execute(f"COPY ({sql}) TO {sql_text(str(file))} (FORMAT parquet)")
        return await store.keep(file)


async def completed(service: Service, *results: str) -> str:
    """A collection whose days, oldest first, have these results; answers its path."""
    seed = Seed(service.program.pool)
    await seed.instance()
    collection_id = await seed.collection(len(results), last=LAST)
    await seed.project()
    rows = await service.program.pool.fetch(
        "SELECT segment_id FROM report_data_weeks WHERE collection_id = $1 ORDER BY week_start", collection_id
    )
    for number, (row, sql) in enumerate(zip(rows, results, strict=True)):
        checksum, size = await kept(service, sql)
        stream, execution = stream_of("segment", row["segment_id"]), f"execution-{number}"
        await seed.append(stream, Dispatched(collection_id, 1, "submit", "admitted"))
        await seed.append(stream, Submitted(collection_id, execution, False))
        await seed.append(stream, Executed(collection_id, execution, ()))
        await seed.append(stream, Completed(collection_id, execution, 1, size, checksum, {}))
    await seed.project()
    await seed.writer.close()
    return f"/api/data-collections/{collection_id}/results"


async def test_columns_that_drifted_are_unified_and_announced(api: Service) -> None:
    path = await completed(
        api,
        "SELECT 9007199254740993 AS clicks, 'gone' AS \"été\", 1.5::DOUBLE AS share",
        "SELECT 0.5::DOUBLE AS Clicks, 2.5::DOUBLE AS share, DATE '2026-01-30' AS day",
    )
    answer = await api.get(f"{path}?format=json")
    first, second = (str(LAST - timedelta(days=1)), str(LAST))
    ours = {"segment_version": 1}
    assert answer.json == [
        {"segment_start": first, "segment_end": first, **ours, "Clicks": "9007199254740993", "share": 1.5,
         "day": None, "été": "gone"},
        {"segment_start": second, "segment_end": second, **ours, "Clicks": "0.5", "share": 2.5,
         "day": "2026-01-30", "été": None},
    ]  # fmt: skip
    assert answer.headers["Report-Drift"] == (
        '"Clicks";types="DOUBLE BIGINT";as="VARCHAR";names="Clicks clicks", "day";missing=1, %"%c3%a9t%c3%a9";missing=1'
    )


async def test_without_drift_nothing_is_announced(api: Service) -> None:
    path = await completed(api, "SELECT 1 AS n", "SELECT 2 AS n")
    answer = await api.get(f"{path}?format=json")
    assert [row["n"] for row in answer.json] == [1, 2]
    assert "Report-Drift" not in answer.headers


async def test_a_table_that_a_workbook_does_not_hold_is_refused_with_what_does(api: Service) -> None:
    path = await completed(api, "SELECT range AS n FROM range(1048576)")
    answer = await api.get(f"{path}?format=xlsx")
    assert (answer.status, answer.json["code"]) == (409, "table_too_large")
    assert "ask for csv or parquet" in answer.json["detail"]
