"""Reading results back: the Parquet files of many segments as one table, in the format asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Literal

import duckdb
import msgspec

from service.results.tables import sql_name, sql_text, tables

Format = Literal["csv", "json", "parquet"]

MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
_COPY: dict[Format, str] = {
    "csv": "FORMAT csv, HEADER",
    "json": "FORMAT json, ARRAY true",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}


class SegmentResult(msgspec.Struct, frozen=True):
    """A completed segment's file; the window is inclusive at both ends."""

    start: date
    end: date
    version: int
    file: Path


async def write_table(results: Sequence[SegmentResult], format: Format, target: Path) -> None:
    """Writes all rows to `target`, oldest segment first and in AMC's order within one, with `segment_start`,
    `segment_end` and `segment_version` as the first columns.

    Columns are matched by name: one that some segments lack is null there, and none is dropped. In JSON, which
    has no such numbers, NaN and infinities are null.
    """
    await asyncio.to_thread(_write, list(results), format, target)


# Two segments may share one file, as content is stored once: it is read once and joined to both.
_TABLE = """
  WITH segment AS (
    SELECT unnest($starts::DATE[]) AS segment_start, unnest($ends::DATE[]) AS segment_end,
           unnest($versions::INTEGER[]) AS segment_version, unnest($paths::VARCHAR[]) AS segment_file
  )
  SELECT segment.* EXCLUDE (segment_file), result.* EXCLUDE (result_file, file_row_number)
    FROM read_parquet($files, union_by_name => true, filename => 'result_file', file_row_number => true) AS result
    JOIN segment ON segment_file = result_file
   ORDER BY segment.segment_start, result.file_row_number
"""
_NOTHING = "SELECT NULL::DATE AS segment_start, NULL::DATE AS segment_end, NULL::INTEGER AS segment_version LIMIT 0"


def _write(results: list[SegmentResult], format: Format, target: Path) -> None:
    table = _TABLE if results else _NOTHING
    parameters: dict[str, object] = {
        "starts": [result.start for result in results],
        "ends": [result.end for result in results],
        "versions": [result.version for result in results],
        "paths": [str(result.file) for result in results],
        "files": sorted({str(result.file) for result in results}),
    }
    with tables() as session:
        if format == "json" and results:
            table = _finite(session, table, parameters)
        session.execute(f"COPY ({table}) TO {sql_text(str(target))} ({_COPY[format]})", parameters if results else {})


def _finite(session: duckdb.DuckDBPyConnection, table: str, parameters: dict[str, object]) -> str:
    """The table with null in place of floating-point numbers that JSON cannot hold."""
    kinds = session.execute(f"DESCRIBE {table}", parameters).fetchall()
    names = [sql_name(name) for name, kind, *_ in kinds if kind in ("DOUBLE", "FLOAT")]
    if not names:
        return table
    replaced = ", ".join(f"CASE WHEN isfinite({name}) THEN {name} END AS {name}" for name in names)
    return f"SELECT * REPLACE ({replaced}) FROM ({table})"  # noqa: S608
