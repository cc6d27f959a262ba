"""Runs a workflow's SQL in DuckDB over one window. Blocking: called in threads, never on the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Literal

import duckdb
import msgspec

from service.amc.sandbox import results, rules, tables
from service.amc.sandbox.executions import Execution
from service.amc.sandbox.options import SandboxOptions
from service.amc.sandbox.parameters import Rewritten, SqlError, rewrite
from service.amc.sandbox.tables import Table, quoted
from service.amc.sandbox.windows import Window

_PAGE = 20_000
_KEPT_QUERIES = 200
_FIND_ERRORS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.SyntaxException,
    duckdb.NotImplementedException,
    duckdb.PermissionException,
)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an execution ended."""

    status: Literal["SUCCEEDED", "FAILED", "REJECTED"]
    reason: str = ""
    columns: list[dict[str, object]] = msgspec.field(default_factory=list)
    files: list[str] = msgspec.field(default_factory=list)


class Engine:
    """One DuckDB database of tables that nobody can change; a cursor of its own for each execution."""

    def __init__(self, options: SandboxOptions, folder: Path, today: Callable[[], date]) -> None:
        self._options = options
        self._folder = folder
        self._today = today
        self._loaded_for = today()
        self._connection = duckdb.connect()
        self._running: dict[str, duckdb.DuckDBPyConnection] = {}
        self._lock = threading.Lock()
        self._moving = threading.Lock()
        self._checked: dict[tuple[str, ...], rules.Query] = {}
        self.tables: dict[str, Table] = {}

    def open(self) -> None:
        """Loads the tables. Raises BadTable."""
        options = self._options
        self._loaded_for = self._today()
        self.tables = tables.load(
            self._connection,
            options.tables,
            shift_dates=options.shift_dates,
            with_generated=options.generated,
            today=self._loaded_for,
            threads=options.threads,
        )

    def close(self) -> None:
        """Frees the database."""
        self._connection.close()

    def interrupt(self, execution_id: str) -> None:
        """Stops the execution if it is computing now."""
        with self._lock:
            cursor = self._running.get(execution_id)
            if cursor is not None:
                cursor.interrupt()

    def run(self, execution: Execution) -> Outcome:
        """Computes the execution's result into files, or says why not."""
        with self._lock:
            cursor = self._running[execution.execution_id] = self._connection.cursor()
        try:
            return self._run(cursor, execution)
        except SqlError as error:
            return Outcome(status="REJECTED", reason=str(error))
        except _FIND_ERRORS as error:
            return Outcome(status="REJECTED", reason=f"Unable to compile query: {_first_line(error)}")
        except duckdb.InterruptException:
            return Outcome(status="FAILED", reason="Workflow execution timed out.")
        except duckdb.Error as error:
            return Outcome(status="FAILED", reason=f"Workflow execution failed: {_first_line(error)}")
        finally:
            with self._lock:
                del self._running[execution.execution_id]
            cursor.close()

    def compile_error(self, execution: Execution) -> str | None:
        """What is wrong with the SQL, without computing anything."""
        outcome = self.run(msgspec.structs.replace(execution, dry_run=True))
        return outcome.reason if outcome.status == "REJECTED" else None

    def _keep_up(self) -> None:
        """Moves the tables along where the day has changed since."""
        with self._moving:
            today = self._today()
            if today != self._loaded_for:
                shifted = self._options.tables if self._options.shift_dates else ()
                with self._connection.cursor() as cursor:
                    tables.move(cursor, shifted, self._options.generated, self._loaded_for, today)
                self._loaded_for = today

    def _run(self, cursor: duckdb.DuckDBPyConnection, execution: Execution) -> Outcome:
        self._keep_up()
        window = execution.window
        rewritten = rewrite(execution.sql, execution.declared, execution.values, _built_in(window))
        query = self._check(cursor, rewritten)
        self._make_views(cursor, window, query.tables, rewritten)
        for name, (kind, value) in rewritten.variables.items():
            cursor.execute(f"SET VARIABLE {name} = CAST($value AS {kind})", {"value": value})
        sql = rewritten.sql
        if query.threshold_sql and self._counts_users(query.tables, rewritten):
            sql = query.threshold_sql
        if execution.dry_run:
            cursor.execute(f"EXPLAIN {sql}")
            return Outcome(status="SUCCEEDED")
        cursor.execute(sql)
        columns = [(str(column[0]), str(column[1])) for column in cursor.description or ()]
        metrics = [*query.metrics, *([False] * len(columns))]
        return Outcome(
            status="SUCCEEDED",
            columns=[
                results.output_column(name, kind, metric)
                for (name, kind), metric in zip(columns, metrics, strict=False)
            ],
            files=results.write(
                self._folder,
                execution.execution_id,
                columns,
                _pages(cursor),
                files=max(1, self._options.result_files),
                compress=self._options.gzip_results,
            ),
        )

    def _check(self, cursor: duckdb.DuckDBPyConnection, rewritten: Rewritten) -> rules.Query:
        # A backfill runs one text over hundreds of windows: parsed once.
        key = (rewritten.sql, *rewritten.extensions)
        query = self._checked.get(key)
        if query is None:
            readable = {*self.tables, *rewritten.extensions}
            query = rules.check(cursor, rewritten.sql, readable, self._options.min_users)
            if len(self._checked) >= _KEPT_QUERIES:
                self._checked = {}
            self._checked[key] = query
        return query

    def _make_views(
        self,
        cursor: duckdb.DuckDBPyConnection,
        window: Window,
        names: tuple[str, ...],
        rewritten: Rewritten,
    ) -> None:
        """The tables that the SQL sees: temporary views of this cursor, cut to the window."""
        for name in names:
            extension = rewritten.extensions.get(name)
            table = self.tables.get((extension.table if extension else name).lower())
            if table is None:
                raise SqlError(f"Unable to compile query: Object '{name}' not found.")
            cut = window.extended(extension.before, extension.after) if extension else window
            cursor.execute(
                f"CREATE TEMP VIEW {quoted(name)} AS "  # noqa: S608 - bounds are dates, names are quoted
                f"SELECT * FROM {tables.SCHEMA}.{quoted(table.name)} WHERE {_condition(table, cut)}"
            )

    def _counts_users(self, names: tuple[str, ...], rewritten: Rewritten) -> bool:
        extended = {view: extension.table for view, extension in rewritten.extensions.items()}
        return all(self.tables[extended.get(name, name).lower()].has_users for name in names)


def _condition(table: Table, window: Window) -> str:
    column = quoted(table.date_column)
    if table.kind == "date":
        first, end = window.dates()
        return f"{column} >= DATE '{first}' AND {column} < DATE '{end}'"
    start, stop = (bound.replace(tzinfo=None).isoformat(sep=" ") for bound in (window.start, window.end))
    return f"{column} >= TIMESTAMP '{start}' AND {column} < TIMESTAMP '{stop}'"


def _built_in(window: Window) -> dict[str, tuple[str, object]]:
    return {
        "TIME_WINDOW_START": ("TIMESTAMP", window.start.replace(tzinfo=None).isoformat()),
        "TIME_WINDOW_END": ("TIMESTAMP", window.end.replace(tzinfo=None).isoformat()),
        "TIME_WINDOW_TIME_ZONE": ("VARCHAR", window.zone),
    }


def _pages(cursor: duckdb.DuckDBPyConnection) -> Iterator[list[results.Row]]:
    while page := cursor.fetchmany(_PAGE):
        yield list(page)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
