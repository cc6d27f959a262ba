"""DuckDB, once per process: starting an instance costs more than converting a result."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

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


def sql_name(name: str) -> str:
    """The name of a column as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


@cache
def _instance() -> duckdb.DuckDBPyConnection:
    # What does not fit into memory goes to the machine's folder for such files, not to the working folder.
    spill = Path(tempfile.gettempdir()) / f"report-builder-{os.getpid()}"
    return duckdb.connect(config={"threads": 2, "temp_directory": str(spill)})
