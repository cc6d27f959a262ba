"""DuckDB, once per process: starting an instance costs more than converting a result."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import duckdb

_lock = threading.Lock()


@contextmanager
def tables() -> Iterator[duckdb.DuckDBPyConnection]:
    """A session of its own on the process's instance, in memory; to be used in one thread."""
    with _lock:
        session = _instance().cursor()
    try:
        yield session
    finally:
        session.close()


def sql_text(text: str) -> str:
    """The text as an SQL literal, where DuckDB takes no parameter."""
    return "'" + text.replace("'", "''") + "'"


@cache
def _instance() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 2})
