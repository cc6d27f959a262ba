"""What those who append share: callers that loop for a while, what they counted, and the check of the rows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import asyncpg
import msgspec

from tests.postgres import TEMPLATE, Server

CALLERS = 256


class Load(msgspec.Struct, frozen=True):
    """How long a contender is loaded, in seconds; what happens in the warm-up is not counted."""

    warm_up: float
    measured: float


class Result(msgspec.Struct, frozen=True):
    """Events per second in the measured time; latencies of single appends in seconds, where they are known."""

    rate: float
    latencies: list[float] = []

    def milliseconds(self, percent: int) -> float:
        """So many of a hundred appends took at most this."""
        return sorted(self.latencies)[len(self.latencies) * percent // 100] * 1000

    def __str__(self) -> str:
        return f"{self.rate:,.0f} events/s"


class NotDurable(Exception):
    """The server, or a role on it, answers before the commit is on disk."""


class WrongRows(Exception):
    """A contender's table does not hold what it was told to record: its speed means nothing."""


class Loop:
    """Runs callers that each make one append after another, of `batch` events each, and counts the events whose append
    ends in the measured time."""

    def __init__(self, load: Load, callers: int = CALLERS, batch: int = 1) -> None:
        self._load = load
        self._callers = callers
        self._batch = batch
        self._latencies: list[float] = []
        self._lock = threading.Lock()
        self.appended = 0
        self.begin()

    def begin(self) -> None:
        """The warm-up starts now."""
        self._from = time.perf_counter() + self._load.warm_up
        self._until = self._from + self._load.measured

    async def run(self, append: Callable[[], Awaitable[None]]) -> Result:
        """So many tasks at once; each waits for its append before it makes the next."""
        self.begin()
        await asyncio.gather(*(self._call(append) for _ in range(self._callers)))
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
        self.appended += self._batch
        if self._from <= end < self._until:
            self._latencies.append(end - start)

    def result(self) -> Result:
        return Result(len(self._latencies) * self._batch / self._load.measured, self._latencies)


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


async def require_durability(server: Server) -> None:
    """Raises NotDurable unless a commit waits for the disk, whoever makes it."""
    database = server.database(TEMPLATE)
    for url in (database.admin_url, database.service_url):
        connection = await asyncpg.connect(url)
        try:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                if (value := await connection.fetchval(f"SHOW {setting}")) != "on":
                    raise NotDurable(f"{setting} is {value}: these figures would say nothing about durable appends")
        finally:
            await connection.close()
