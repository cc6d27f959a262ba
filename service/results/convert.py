"""AMC's CSV files to one Parquet file, typed as AMC declared the columns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import duckdb

from events.types.segment import ResultColumn
from service.results.tables import sql_text, tables

# AMC's data types; a type that is not here is kept as text, so that nothing is lost.
TYPES = {
    "STRING": "VARCHAR",
    "BOOLEAN": "BOOLEAN",
    "BYTE": "TINYINT",
    "SHORT": "SMALLINT",
    "INTEGER": "INTEGER",
    "LONG": "BIGINT",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
}


class BadResult(Exception):
    """The files are not the CSV that AMC announced; the message quotes what does not fit."""


def column_type(column: ResultColumn) -> str:
    """The Parquet (DuckDB) type for AMC's; a DECIMAL keeps its precision and scale."""
    if column.data_type == "DECIMAL":
        return f"DECIMAL({column.precision or 38}, {column.scale or 0})"
    return TYPES.get(column.data_type, "VARCHAR")


async def csv_to_parquet(files: Sequence[Path], columns: Sequence[ResultColumn], target: Path) -> int:
    """Converts the parts of one result, each with its header, and answers the number of rows.

    Comma, double quote, backslash escape; an empty field is null. Raises BadResult.
    """
    return await asyncio.to_thread(_convert, list(files), list(columns), target)


def _convert(files: list[Path], columns: list[ResultColumn], target: Path) -> int:
    with tables() as session:
        try:
            for file in files:
                _check_header(file, [column.name for column in columns])
            # Strict reading: a short line, a bad number or an open quote is an error, never a dropped row.
            source = (
                f"read_csv($files, columns = {{{_types(columns)}}}, header = true, auto_detect = false, delim = ',',"
                """ quote = '"', escape = '\\', strict_mode = true, nullstr = '')"""
            )
            copy = f"COPY (SELECT * FROM {source}) TO {sql_text(str(target))} (FORMAT parquet, COMPRESSION zstd)"  # noqa: S608
            session.execute(copy, {"files": [str(file) for file in files]})
            counted = session.execute(f"SELECT count(*) FROM read_parquet({sql_text(str(target))})")  # noqa: S608
            return int(counted.fetchall()[0][0])
        except duckdb.Error as error:
            raise BadResult(str(error).partition("\n")[0]) from error


def _types(columns: list[ResultColumn]) -> str:
    return ", ".join(f"{sql_text(column.name)}: {sql_text(column_type(column))}" for column in columns)


def _check_header(file: Path, names: list[str]) -> None:
    """The file's first line must name the columns that AMC announced, in order."""
    with file.open(encoding="utf-8", errors="replace") as content:
        header = content.readline().rstrip("\r\n")
    found = [name.strip('"') for name in header.split(",")]
    if found != names and "," not in "".join(names):
        raise BadResult(f"the header is {header[:200]!r}; AMC announced the columns {', '.join(names)}")
