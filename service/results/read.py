"""Reading results back: the Parquet files of many segments as one table, in the format asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

from service.results.tables import sql_text, tables

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
    """Writes all rows to `target`, oldest segment first, with `segment_start`, `segment_end` and
    `segment_version` as the first columns.

    Columns are matched by name: one that some segments lack is null there, and none is dropped.
    """
    await asyncio.to_thread(_write, list(results), format, target)


def _write(results: list[SegmentResult], format: Format, target: Path) -> None:
    with tables() as session:
        session.execute(
            "CREATE TEMPORARY TABLE segment (segment_start DATE, segment_end DATE, segment_version INTEGER, file VARCHAR)"
        )
        if results:
            session.executemany(
                "INSERT INTO segment VALUES ($1, $2, $3, $4)",
                [[result.start, result.end, result.version, str(result.file)] for result in results],
            )
            # Two segments may share one file, as content is stored once: it is read once and joined to both.
            files = sorted({str(result.file) for result in results})
            table = (
                "SELECT segment.* EXCLUDE (file), result.* EXCLUDE (filename)"
                " FROM read_parquet($files, union_by_name => true, filename => true) AS result"
                " JOIN segment ON segment.file = result.filename ORDER BY segment_start"
            )
            parameters: dict[str, object] = {"files": files}
        else:
            table, parameters = "SELECT * EXCLUDE (file) FROM segment", {}
        session.execute(f"COPY ({table}) TO {sql_text(str(target))} ({_COPY[format]})", parameters)
