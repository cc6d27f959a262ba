"""AMC's CSV files to one Parquet file, typed as AMC declared the columns.

Comma, double quote, backslash as escape; an empty field is null. A value that its declared type cannot hold
exactly is an error: DuckDB alone would round 1.5 to a whole number.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Sequence
from pathlib import Path

import duckdb

from events.types.segment import ResultColumn
from service.results.tables import sql_name, sql_text, tables

CHUNK = 1024 * 1024
MAX_FIELD = 2**31 - 1
WHOLE = "[+-]?[0-9]+"
REAL = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity|nan)"

# AMC's data types, each with DuckDB's type and the text that it may be read from. FLOAT too gets 64 bits: 0.1
# would be read back as 0.10000000149. A type that is not here is kept as text, so that nothing is lost.
TYPES = {
    "BOOLEAN": ("BOOLEAN", "(?i:true|false)"),
    "BYTE": ("TINYINT", WHOLE),
    "SHORT": ("SMALLINT", WHOLE),
    "INTEGER": ("INTEGER", WHOLE),
    "LONG": ("BIGINT", WHOLE),
    "FLOAT": ("DOUBLE", REAL),
    "DOUBLE": ("DOUBLE", REAL),
    "DATE": ("DATE", "[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "TIMESTAMP": ("TIMESTAMP", r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z?"),
}
TEXT = ("VARCHAR", "")


class BadResult(Exception):
    """The files are not the CSV that AMC announced; the message quotes what does not fit."""


def column_type(column: ResultColumn) -> tuple[str, str]:
    """DuckDB's type for AMC's, and the pattern of what it holds. A DECIMAL keeps its precision and scale; one
    that does not say them is kept as text."""
    if column.data_type != "DECIMAL":
        return TYPES.get(column.data_type, TEXT)
    precision, scale = column.precision, column.scale
    if precision is None or scale is None or not 0 <= scale <= precision <= 38:
        return TEXT
    return f"DECIMAL({precision}, {scale})", rf"[+-]?([0-9]+\.?[0-9]{{0,{scale}}}0*|\.[0-9]{{0,{scale}}}0*)"


async def csv_to_parquet(files: Sequence[Path], columns: Sequence[ResultColumn], target: Path) -> int:
    """Converts the parts of one result, each with its header, and answers the number of rows. Raises BadResult."""
    return await asyncio.to_thread(_convert, list(files), list(columns), target)


def _convert(files: list[Path], columns: list[ResultColumn], target: Path) -> int:
    names = [column.name for column in columns]
    if len({name.lower() for name in names}) < len(names):
        raise BadResult(f"two columns have the same name: {', '.join(names)}; name them apart in the SQL")
    plain = [_plain(file, names, target.with_name(f"plain-{n}.csv")) for n, file in enumerate(files)]
    texts = ", ".join(f"{sql_text(name)}: 'VARCHAR'" for name in names)
    # Strict reading: a short line, a long one or an open quote is an error, never a dropped row.
    source = (
        f"read_csv($files, columns = {{{texts}}}, header = true, auto_detect = false, delim = ',',"
        """ quote = '"', escape = '"', strict_mode = true, nullstr = '')"""
    )
    copy = (
        f"COPY (SELECT {', '.join(map(_typed, columns))} FROM {source})"  # noqa: S608
        f" TO {sql_text(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    )
    with tables() as session:
        try:
            session.execute(copy, {"files": [str(file) for file in plain]})
            counted = session.execute(f"SELECT count(*) FROM read_parquet({sql_text(str(target))})")  # noqa: S608
            return int(counted.fetchall()[0][0])
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise OSError(str(error)) from error  # the machine's fault, not the file's: to be tried again
        except duckdb.Error as error:
            raise BadResult(_said(error)) from error


def _typed(column: ResultColumn) -> str:
    """The column's text as its type, or the error that names both."""
    kind, pattern = column_type(column)
    name = sql_name(column.name)
    if kind == "VARCHAR":
        return name
    problem = sql_text(f"column {column.name}: AMC announced {column.data_type}, the file has ")
    return (
        f"CASE WHEN {name} IS NULL THEN NULL"
        f" WHEN regexp_full_match({name}, {sql_text(pattern)}) THEN CAST({name} AS {kind})"
        f" ELSE error({problem} || {name}[:100]) END AS {name}"
    )


def _plain(file: Path, names: list[str], target: Path) -> Path:
    """The file, checked to have this header, as CSV without escapes: itself, or a copy at `target`.

    DuckDB takes a backslash for an escape inside quotes only.
    """
    escaped = _has_backslash(file)
    try:
        with file.open(encoding="utf-8", newline="") as content:
            csv.field_size_limit(MAX_FIELD)
            rows = csv.reader(content, escapechar="\\", strict=True)
            header = next(rows, [])
            if header != names:
                raise BadResult(
                    f"the header is {','.join(header)[:200]!r}; AMC announced the columns {', '.join(names)}"
                )
            if not escaped:
                return file
            with target.open("w", encoding="utf-8", newline="") as copy:
                writer = csv.writer(copy, lineterminator="\n")
                writer.writerow(header)
                writer.writerows(rows)
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadResult(f"{file.name} is not CSV in UTF-8: {error}") from error
    return target


def _has_backslash(file: Path) -> bool:
    with file.open("rb") as content:
        return any(b"\\" in piece for piece in iter(lambda: content.read(CHUNK), b""))


def _said(error: duckdb.Error) -> str:
    """DuckDB's message without its advice about settings."""
    said = str(error).partition("Possible fixes")[0].partition("LINE 1")[0]
    return " ".join(said.split())[:500]
