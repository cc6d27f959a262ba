"""Reading results back: the Parquet files of many segments as one table, in the format asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import msgspec

from service.results.convert import LARGEST_ROW_GROUP, ROW_GROUP_BYTES, VECTOR
from service.results.schema import REALS, Column, Schema, Unified, unify
from service.results.tables import Session, sql_name, sql_text, with_tables
from service.results.xlsx import write_xlsx

Format = Literal["csv", "json", "parquet", "xlsx"]

MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
EXACT = 2**53  # up to here every whole number is a floating-point number
OURS = {"segment_start": "DATE", "segment_end": "DATE", "segment_version": "INTEGER"}


class SegmentResult(msgspec.Struct, frozen=True):
    """A completed segment's file; the window is inclusive at both ends."""

    start: date
    end: date
    version: int
    file: Path


class Table(msgspec.Struct, frozen=True):
    """What all results are read as: SQL with its parameters, oldest segment first and in AMC's order within one, with
    `segment_start`, `segment_end` and `segment_version` as the first columns."""

    sql: str
    parameters: dict[str, object]
    columns: list[Unified]
    rows: int

    @property
    def drifted(self) -> list[Unified]:
        """The columns that are not the same in all results."""
        return [column for column in self.columns if column.drifted]


async def write_table(results: Sequence[SegmentResult], format: Format, target: Path) -> list[Unified]:
    """Writes all rows to `target`; answers the columns that are not the same in all results.

    Columns are matched by name: one that some segments lack is null there, and none is dropped; one whose type has
    changed has a type that holds every value exactly. Those of the newest segment come first, in its order. In JSON,
    which has no such numbers, NaN and infinities are null. Raises TooLarge where a format does not hold it.
    """
    return await with_tables(lambda session: _write(session, results, format, target))


def _write(session: Session, results: Sequence[SegmentResult], format: Format, target: Path) -> list[Unified]:
    ordered = sorted(results, key=lambda result: result.start)
    table = _table(session, ordered, finite=format == "json")
    if format == "xlsx":
        write_xlsx(session, table.sql, table.parameters, table.rows, target)
    else:
        width = len(OURS) + len(table.columns)
        group = max(VECTOR, ROW_GROUP_BYTES // (32 * width) // VECTOR * VECTOR)
        how = {
            "csv": "FORMAT csv, HEADER",
            "json": "FORMAT json, ARRAY true",
            "parquet": f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {min(group, LARGEST_ROW_GROUP)}",
        }[format]
        session.duckdb.execute(f"COPY ({table.sql}) TO {sql_text(str(target))} ({how})", table.parameters)
    return table.drifted


def _table(session: Session, results: Sequence[SegmentResult], *, finite: bool) -> Table:
    if not results:
        nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in OURS.items())
        return Table(f"SELECT {nothing} LIMIT 0", {}, [], 0)
    schemas, rows = _read_schemas(session, sorted({str(result.file) for result in results}))
    of = [schemas[str(result.file)] for result in results]
    columns = unify(of[::-1])
    names = _free_names(columns)
    pieces: list[str] = []
    parameters: dict[str, object] = {}
    for number, (schema, run) in enumerate(_runs(results, of)):
        parameters |= {
            f"files_{number}": [str(result.file) for result in run],
            f"starts_{number}": [result.start for result in run],
            f"ends_{number}": [result.end for result in run],
            f"versions_{number}": [result.version for result in run],
        }
        nth = "1" if len(run) == 1 else "file_index::BIGINT + 1"
        there = {column.key: column for column in schema}
        selected = [
            f"($starts_{number}::DATE[])[{nth}] AS segment_start",
            f"($ends_{number}::DATE[])[{nth}] AS segment_end",
            f"($versions_{number}::INTEGER[])[{nth}] AS segment_version",
        ] + [
            f"{_as(there.get(column.name.lower()), column.type, finite=finite)} AS {sql_name(name)}"
            for column, name in zip(columns, names, strict=True)
        ]
        pieces.append(f"SELECT {', '.join(selected)} FROM read_parquet($files_{number})")  # noqa: S608
    return Table(" UNION ALL ".join(pieces), parameters, columns, sum(rows[str(result.file)] for result in results))


def _runs(results: Sequence[SegmentResult], schemas: Sequence[Schema]) -> Iterator[tuple[Schema, list[SegmentResult]]]:
    """Results that follow each other and have the same columns, which one SELECT reads: DuckDB keeps their order, and
    `file_index` tells them apart, unless a result has a column of that name."""

    def alike(number: int) -> object:
        schema = schemas[number]
        alone = number if any(column.key == "file_index" for column in schema) else None
        return [(column.name, column.type) for column in schema], alone

    for _, numbers in itertools.groupby(range(len(results)), alike):
        run = list(numbers)
        yield schemas[run[0]], [results[number] for number in run]


def _as(column: Column | None, type: str, *, finite: bool) -> str:
    """The column of one result as that of the whole table."""
    if column is None:
        return f"NULL::{type}"
    value = sql_name(column.name)
    if column.type != type:
        value = f"CAST({value} AS {type})"
    return f"CASE WHEN isfinite({value}) THEN {value} END" if finite and type in REALS else value


def _free_names(columns: Sequence[Unified]) -> list[str]:
    """The columns' names, those that are ours with a number behind them."""
    taken = set(OURS) | {column.name.lower() for column in columns}
    names = []
    for column in columns:
        name = column.name
        if name.lower() in OURS:
            name = next(free for n in itertools.count(1) if (free := f"{column.name}_{n}").lower() not in taken)
            taken.add(name.lower())
        names.append(name)
    return names


def _read_schemas(session: Session, files: list[str]) -> tuple[dict[str, Schema], dict[str, int]]:
    """Of each file its columns, and how many rows it has."""
    schemas: dict[str, list[Column]] = {file: [] for file in files}
    for file, name, kind in session.duckdb.execute(
        "SELECT file_name, name, duckdb_type FROM parquet_schema($files) WHERE duckdb_type IS NOT NULL",
        {"files": files},
    ).fetchall():
        schemas[file].append(Column(name, kind))
    types: dict[str, set[str]] = {}
    for column in itertools.chain.from_iterable(schemas.values()):
        types.setdefault(column.key, set()).add(column.type)
    mixed = {key for key, found in types.items() if "BIGINT" in found and found & set(REALS)}
    if mixed:
        for file, number in _beyond_double(session, files):
            if (column := schemas[file][number]).type == "BIGINT" and column.key in mixed:
                schemas[file][number] = Column(column.name, column.type, within_double=False)
    rows = session.duckdb.execute(
        "SELECT file_name, num_rows FROM parquet_file_metadata($files)", {"files": files}
    ).fetchall()
    return {file: tuple(columns) for file, columns in schemas.items()}, dict(rows)


def _beyond_double(session: Session, files: list[str]) -> list[Any]:
    """File and number of each column that may hold whole numbers which no floating-point number equals."""
    return session.duckdb.execute(
        "SELECT DISTINCT file_name, column_id FROM parquet_metadata($files) WHERE num_values > stats_null_count"
        " AND NOT coalesce(TRY_CAST(stats_min_value AS HUGEINT) >= -$exact"
        "                  AND TRY_CAST(stats_max_value AS HUGEINT) <= $exact, false)",
        {"files": files, "exact": EXACT},
    ).fetchall()
