"""AMC's CSV files to one Parquet file, typed as AMC declared the columns.

Comma, double quote, backslash as escape; an empty field is null. A value that its declared type cannot hold
exactly is an error: DuckDB alone would round 1.5 to a whole number. Files are read once, in pieces, and written in
row groups of as many bytes, so that memory does not grow with the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import msgspec

from events.types.segment import ResultColumn
from service.results.parts import MAX_ROW, BadResult, Part, read_part
from service.results.tables import Session, sql_name, sql_text, with_tables

# Results of more bytes are converted one at a time in a process: the others would share DuckDB's memory.
LARGE = 1024 * 1024
ROW_GROUP_BYTES = 16 * 1024 * 1024
LARGEST_ROW_GROUP = 122_880  # rows; DuckDB's own
VECTOR = 2048  # rows that DuckDB works on at once

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

_one_at_a_time = ThreadPoolExecutor(1, thread_name_prefix="large-results")


class Converted(msgspec.Struct, frozen=True):
    """What became of the files: the rows, and for each column that has any the nulls, which were empty fields."""

    rows: int
    nulls: dict[str, int]


def column_type(column: ResultColumn) -> tuple[str, str]:
    """DuckDB's type for AMC's, and the pattern of what it holds. A DECIMAL keeps its precision and scale; one
    that does not say them is kept as text."""
    if column.data_type != "DECIMAL":
        return TYPES.get(column.data_type, TEXT)
    precision, scale = column.precision, column.scale
    if precision is None or scale is None or not 0 <= scale <= precision <= 38:
        return TEXT
    return f"DECIMAL({precision}, {scale})", rf"[+-]?([0-9]+\.?[0-9]{{0,{scale}}}0*|\.[0-9]{{0,{scale}}}0*)"


async def csv_to_parquet(files: Sequence[Path], columns: Sequence[ResultColumn], target: Path) -> Converted:
    """Converts the parts of one result, each with its header; they stay in order. Raises BadResult, and OSError where
    the machine has no room."""
    size = sum(file.stat().st_size for file in files)
    return await with_tables(
        lambda session: _convert(session, files, columns, target), _one_at_a_time if size > LARGE else None
    )


def _convert(session: Session, files: Sequence[Path], columns: Sequence[ResultColumn], target: Path) -> Converted:
    names = [column.name for column in columns]
    if len({name.lower() for name in names}) < len(names):
        raise BadResult(f"two columns have the same name: {', '.join(names)}; name them apart in the SQL")
    parts = [
        read_part(file, names, target.with_name(f"plain-{number}.csv"), session.go_on)
        for number, file in enumerate(files)
    ]
    source = " UNION ALL ".join(_source(part, names) for part in parts)
    copy = (
        f"COPY (SELECT {', '.join(map(_typed, columns))} FROM ({source}))"  # noqa: S608
        f" TO {sql_text(str(target))}"
        f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_row_group(parts)}, RETURN_STATS true)"
    )
    try:
        written = session.duckdb.execute(copy).fetchone()
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise OSError(str(error)) from error  # the machine's fault, not the file's: to be tried again
    except duckdb.Error as error:
        raise BadResult(_said(error)) from error
    assert written is not None
    _, rows, _, _, statistics, *_ = written
    nulls = {name: int(statistics[sql_name(name)]["null_count"]) for name in names}
    return Converted(int(rows), {name: count for name, count in nulls.items() if count})


def _source(part: Part, names: Sequence[str]) -> str:
    """The rows of one file, all columns as text. Strict reading: a short line, a long one or an open quote is an
    error, never a dropped row."""
    texts = ", ".join(f"{sql_text(name)}: 'VARCHAR'" for name in names)
    return (
        f"SELECT * FROM read_csv({sql_text(str(part.file))}, columns = {{{texts}}}, header = true,"  # noqa: S608
        f""" auto_detect = false, delim = ',', quote = '"', escape = {sql_text(part.escape)}, strict_mode = true,"""
        f" nullstr = '', max_line_size = {MAX_ROW}, buffer_size = {2 * MAX_ROW})"
    )


def _row_group(parts: Sequence[Part]) -> int:
    """Rows of about as many bytes, whole vectors of them: a writer holds a row group until it is full."""
    rows = ROW_GROUP_BYTES // max(part.row_bytes for part in parts)
    return min(LARGEST_ROW_GROUP, max(VECTOR, rows // VECTOR * VECTOR))


def _typed(column: ResultColumn) -> str:
    """The column's text as its type, or the error that names both."""
    kind, pattern = column_type(column)
    name = sql_name(column.name)
    if kind == "VARCHAR":
        return name
    problem = sql_text(f"column {column.name}: AMC announced {column.data_type}, the file has ")
    # What reads back as it was written needs no second look; the pattern costs more than both casts.
    same = "" if kind in SPELLED_FREELY else f" WHEN CAST(TRY_CAST({name} AS {kind}) AS VARCHAR) = {name}"
    return (
        f"CASE{same and f'{same} THEN TRY_CAST({name} AS {kind})'} WHEN {name} IS NULL THEN NULL"
        f" WHEN regexp_full_match({name}, {sql_text(pattern)}) THEN CAST({name} AS {kind})"
        f" ELSE error({problem} || {name}[:100]) END AS {name}"
    )


# AMC spells these otherwise than DuckDB does, or writing them costs more than the pattern.
SPELLED_FREELY = ("BOOLEAN", "DOUBLE", "TIMESTAMP")


def _said(error: duckdb.Error) -> str:
    """DuckDB's message without its advice about settings."""
    said = str(error).partition("Possible")[0].partition("LINE 1")[0]
    return " ".join(said.split())[:500]
