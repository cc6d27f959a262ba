"""The tables behind the SQL: loaded once, then the database is shut off from files and settings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Literal

import duckdb
import msgspec

from service.amc.sandbox import generated
from service.amc.sandbox.options import TableFile

SCHEMA = "source"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table and the column by which windows cut it."""

    name: str
    date_column: str
    kind: Literal["date", "timestamp"]
    has_users: bool
    """Whether it has `user_id`, which aggregation thresholds count."""


class BadTable(ValueError):
    """A file that cannot be a table, with the reason."""


def load(
    connection: duckdb.DuckDBPyConnection,
    files: Iterable[TableFile],
    *,
    shift_dates: bool,
    with_generated: bool,
    today: date,
    threads: int,
) -> dict[str, Table]:
    """Loads every table into `SCHEMA` as of `today` and locks the database. Names are the keys, in lower case.

    Raises BadTable for a missing file, an unknown column or one that holds no dates.
    """
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET threads = {int(threads)}")
    connection.execute(f"CREATE SCHEMA {SCHEMA}")
    if with_generated:
        generated.create(connection, SCHEMA, today)
    for file in files:
        _load_file(connection, file, today if shift_dates else None)
    date_columns = {file.name: file.date_column for file in files}
    names = [*(generated.TABLES if with_generated else ()), *date_columns]
    tables = {
        name.lower(): _describe(connection, name, date_columns.get(name, generated.DATE_COLUMN)) for name in names
    }
    # From here on SQL comes from workflows: no file, no network, no way back.
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return tables


def move(
    connection: duckdb.DuckDBPyConnection,
    shifted: Iterable[TableFile],
    with_generated: bool,
    was: date,
    today: date,
) -> None:
    """Brings the tables that were loaded, or moved, for the day `was` to another: shifted ones move by as many
    days, generated ones gain the days between."""
    for file in shifted:
        target, column = f"{SCHEMA}.{quoted(file.name)}", quoted(file.date_column)
        days = (today - was).days
        connection.execute(
            f"UPDATE {target} SET {column} = {column} + to_days({days})"  # noqa: S608 - names are quoted
        )
    if with_generated:
        generated.extend(connection, SCHEMA, was, today)


def quoted(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _load_file(connection: duckdb.DuckDBPyConnection, file: TableFile, today: date | None) -> None:
    reader = "read_parquet" if file.path.suffix == ".parquet" else "read_csv"
    target, column = f"{SCHEMA}.{quoted(file.name)}", quoted(file.date_column)
    try:
        connection.execute(
            f"CREATE TABLE loading AS SELECT * FROM {reader}($path)",  # noqa: S608 - one of two names
            {"path": str(file.path)},
        )
        columns = {str(row[0]): str(row[1]) for row in connection.execute("DESCRIBE loading").fetchall()}
        if file.date_column not in columns:
            raise BadTable(f"{file.path} has no column {file.date_column}; it has {', '.join(columns)}")
        moment = _moment(file, column, columns[file.date_column])
        shift = "0"
        if today is not None:
            shift = f"(SELECT DATE '{today}' - 1 - max(CAST({moment} AS DATE)) FROM loading)"  # noqa: S608
        moved = f"{moment} + CAST({shift} AS INTEGER)"
        if not moment.endswith("AS DATE)"):
            moved = f"{moment} + to_days(CAST({shift} AS INTEGER))"
        # In order of time, so that a window reads only its own part of the table.
        connection.execute(
            f"CREATE TABLE {target} AS SELECT * REPLACE ({moved} AS {column}) FROM loading ORDER BY {column}"  # noqa: S608
        )
        connection.execute("DROP TABLE loading")
    except duckdb.Error as error:
        raise BadTable(f"{file.path} cannot be read as table {file.name}: {error}") from error


def _moment(file: TableFile, column: str, kind: str) -> str:
    if kind == "DATE" or kind == "VARCHAR":
        return f"CAST({column} AS DATE)"
    if kind.startswith("TIMESTAMP"):
        # The session's zone is UTC, so one with a zone becomes its UTC time.
        return f"CAST({column} AS TIMESTAMP)"
    raise BadTable(f"column {file.date_column} of {file.path} holds {kind}, not dates")


def _describe(connection: duckdb.DuckDBPyConnection, name: str, date_column: str) -> Table:
    rows = connection.execute(f"DESCRIBE {SCHEMA}.{quoted(name)}").fetchall()
    columns = {str(row[0]).lower(): str(row[1]) for row in rows}
    return Table(
        name=name,
        date_column=date_column,
        kind="date" if columns[date_column.lower()] == "DATE" else "timestamp",
        has_users="user_id" in columns,
    )
