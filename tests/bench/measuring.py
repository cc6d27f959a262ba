"""What the contenders share: callers that loop for a while, what they counted, and the check of the rows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import asyncpg
import msgspec

CALLERS = 256


class Load(msgspec.Struct, frozen=True):
    """How long a contender is loaded, in seconds; what happens in the warm-up is not counted."""

    warm_up: float
    measured: float


class Result(msgspec.Struct, frozen=True):
    """Events per second in the measured time; latencies of single appends in seconds, where they are known."""

    rate: float
    latencies: list[float] = []


class WrongRows(Exception):
    """A contender's table does not hold what it was told to record: its speed means nothing."""


class Loop:
    """Runs callers that each append one event after another, and counts what ends in the measured time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._latencies: list[float] = []
        self._lock = threading.Lock()
        self.appended = 0
        self.begin()

    def begin(self) -> None:
        """The warm-up starts now."""
        self._from = time.perf_counter() + self._load.warm_up
        self._until = self._from + self._load.measured

    async def run(self, append: Callable[[], Awaitable[None]]) -> Result:
        """`CALLERS` tasks at once; each waits for its event before it makes the next."""
        self.begin()
        await asyncio.gather(*(self._call(append) for _ in range(CALLERS)))
        return self.result()

    async def _call(self, append: Callable[[], Awaitable[None]]) -> None:
        while (start := time.perf_counter()) < self._until:
            await append()
            self._count(start)

    def call_blocking(self, append: Callable[[], None]) -> None:
        """The same for a thread."""
        while (start := time.perf_counter()) < self._until:
            append()
            with self._lock:
                self._count(start)

    def _count(self, start: float) -> None:
        end = time.perf_counter()
        self.appended += 1
        if self._from <= end < self._until:
            self._latencies.append(end - start)

    def result(self) -> Result:
        return Result(len(self._latencies) / self._load.measured, self._latencies)


async def check_rows(url: str, table: str, appended: int, *, position: str = "position", id: str = "id") -> None:
    """Raises WrongRows unless the table has one row for each append, at positions 1, 2, 3 …, no id twice."""
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            f"SELECT count(*) AS rows, count(DISTINCT {id}) AS ids,"
            f"       coalesce(min({position}), 1) AS first, coalesce(max({position}), 0) AS last FROM {table}"
        )
    finally:
        await connection.close()
    assert row is not None
    if (row["rows"], row["ids"], row["first"], row["last"]) != (appended, appended, 1, appended):
        raise WrongRows(f"{table}: {appended} appends were confirmed, but it has {dict(row)}")
