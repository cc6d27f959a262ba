"""Result files as AMC writes them: CSV with a header row, split over several files where asked.

Comma, double quote, backslash as escape; null is an empty field; `yyyy-MM-dd`,
`yyyy-MM-dd'T'HH:mm:ss.SSS`, TRUE and FALSE. An empty result is a header alone.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import IO

Row = Sequence[object]

_NAMES = {
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOLEAN",
    "TINYINT": "BYTE",
    "SMALLINT": "SHORT",
    "INTEGER": "INTEGER",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}
_WHOLE = {"BIGINT", "HUGEINT", "UBIGINT", "UHUGEINT", "UINTEGER", "USMALLINT", "UTINYINT"}


def output_column(name: str, kind: str, metric: bool) -> dict[str, object]:
    """A column as `outputColumns` describes it, of DuckDB's type `kind`."""
    column: dict[str, object] = {"name": name, "columnType": "METRIC" if metric else "DIMENSION"}
    if kind.startswith("DECIMAL"):
        precision, scale = kind[len("DECIMAL(") : -1].split(",")
        return {
            **column,
            "dataType": "DECIMAL",
            "dataTypePrecision": int(precision),
            "dataTypeScale": int(scale),
        }
    column["dataType"] = "LONG" if kind in _WHOLE else _NAMES.get(kind, "STRING")
    return column


def write(
    folder: Path,
    stem: str,
    columns: Sequence[tuple[str, str]],
    pages: Iterable[list[Row]],
    *,
    files: int,
    compress: bool,
) -> list[str]:
    """Writes the pages of rows to `files` files in turn; their names, in order.

    `columns` are names with DuckDB's types. Every file has the header row.
    """
    converters = [(index, convert) for index, (_, kind) in enumerate(columns) if (convert := _converter(kind))]
    names = [f"{stem}-{number}.csv{'.gz' if compress else ''}" for number in range(files)]
    with ExitStack() as stack:
        writers = []
        for name in names:
            file = stack.enter_context(_open(folder / name, compress))
            writer = csv.writer(file, quotechar='"', escapechar="\\", doublequote=False, lineterminator="\n")
            writer.writerow([column for column, _ in columns])
            writers.append(writer)
        for page in pages:
            rows = [_converted(row, converters) for row in page] if converters else page
            share = -(-len(rows) // files)
            for number, writer in enumerate(writers):
                writer.writerows(rows[number * share : (number + 1) * share])
    return names


def spoil(file: Path, how: str) -> None:
    """Makes a file that is not packed wrong: other names in its `header`, `no_header`, its last line `cut` short."""
    header, _, rows = file.read_text(encoding="utf-8").partition("\n")
    match how:
        case "header":
            file.write_text(f"other_{header}\n{rows}", encoding="utf-8")
        case "no_header":
            file.write_text(rows, encoding="utf-8")
        case _:
            file.write_text(f"{header}\n{rows.rpartition(',')[0]}", encoding="utf-8")


def _open(path: Path, compress: bool) -> IO[str]:
    if compress:
        return gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=1)
    return path.open("w", encoding="utf-8", newline="")


def _converted(row: Row, converters: Sequence[tuple[int, Callable[[object], str]]]) -> Row:
    changed = list(row)
    for index, convert in converters:
        if changed[index] is not None:
            changed[index] = convert(changed[index])
    return changed


def _converter(kind: str) -> Callable[[object], str] | None:
    if kind.startswith("TIMESTAMP"):
        return _timestamp
    if kind == "BOOLEAN":
        return lambda value: str(value).upper()
    if kind.startswith("DECIMAL"):
        return lambda value: format(value, "f")
    if kind.endswith("[]"):
        return lambda value: json.dumps(value, default=str)
    return None


def _timestamp(value: object) -> str:
    if not isinstance(value, datetime):
        return str(value)
    return value.replace(tzinfo=None).isoformat(timespec="milliseconds")
