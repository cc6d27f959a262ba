"""DuckDB, once per process: starting an instance costs more than converting a result.

It works within `MEMORY`, spills to the machine's folder for temporary files, and each session runs in the one thread
that uses it. More threads would hold more of a file at once, and leave its rows in no order; what a machine has of
them is used by many results, and by many processes.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import duckdb

MEMORY = "200MB"

Answer = TypeVar("Answer")

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


class Stopped(Exception):
    """Nobody waits for the work any more."""


class Session:
    """A session for long work: used in one thread, stopped from any."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.duckdb = connection
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Breaks off what the session computes, and what its thread does beside."""
        self._stopped.set()
        with suppress(duckdb.Error):  # it has just come to its end
            self.duckdb.interrupt()

    def go_on(self) -> None:
        """To be called between the pieces of long work. Raises Stopped."""
        if self._stopped.is_set():
            raise Stopped


async def with_tables(work: Callable[[Session], Answer], executor: Executor | None = None) -> Answer:
    """What `work` answers, computed in a thread. Where the waiting task is cancelled the work is stopped first, so that
    nothing writes to files that its caller then removes."""
    session: Session | None = None
    cancelled = False

    def run() -> Answer:
        nonlocal session
        with tables() as connection:
            session = Session(connection)
            if cancelled:
                raise Stopped
            return work(session)

    working = asyncio.get_running_loop().run_in_executor(executor, run)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        cancelled = True
        while not working.done():
            if session is not None:
                session.stop()  # again and again: a stop between two statements is lost
            await asyncio.wait((working,), timeout=0.1)
        if not working.cancelled():
            working.exception()  # of no interest to anybody
        raise


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
    return duckdb.connect(config={"threads": 1, "memory_limit": MEMORY, "temp_directory": str(spill)})
