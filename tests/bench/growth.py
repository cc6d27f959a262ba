"""What the length of the log costs: appends, reading the log back, a page of activity and a collection's progress, each
on logs of several lengths, side by side, and held against its own value on the shortest.

The logs are whole histories (tests/histories.py), with their read models and the index of activity.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from statistics import median
from uuid import UUID

from db.pool import Pool, open_pool
from events.reader import read_after
from events.writer import AppendWriter
from projections.activity import index_activity
from projections.rebuild import rebuild
from service.audit.pages import read_page
from service.audit.queries import Filters
from service.data_collections.progress import FIGURES
from service.data_collections.routes import segments_statement
from tests.bench.lines import Line, beside
from tests.bench.measuring import CALLERS, WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.rounds import in_turns, say
from tests.bench.sample import new_request
from tests.histories import fill_history
from tests.postgres import Database

SIZES = (10_000, 100_000, 1_000_000)
APPENDED = 2_048
"""Events of a round: few enough that the shortest log stays by far the shortest."""

REPLAYED = 40_000
"""Events of a round: several times all that a history has, as some of its stretches have longer events."""

READS = 200
"""Pages of a round, whose median counts."""

WITHIN = 1.3


class Log:
    """A log of one length, with what is measured on it."""

    def __init__(self, events: int, pool: Pool, writer: AppendWriter) -> None:
        self.name = f"{events:,} events"
        self._events = events
        self._pool = pool
        self._writer = writer
        self._collection: UUID | None = None
        self._replayed = 0

    async def find(self) -> None:
        """Looks up what its pages are of: a backfill from the middle, as long as that of every other log."""
        self._collection = await self._pool.fetchval(
            "SELECT (array_agg(collection_id ORDER BY created_at))[(count(*) + 1) / 2] FROM report_data_collections"
            " WHERE finished_at IS NOT NULL"
            " AND segments_total = (SELECT max(segments_total) FROM report_data_collections)"
        )

    async def append(self) -> float:
        """Events a second."""
        requests = iter([new_request() for _ in range(APPENDED)])

        async def call() -> None:
            for request in requests:
                await self._writer.append(request)

        begun = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(CALLERS)))
        return APPENDED / (time.perf_counter() - begun)

    async def replay(self) -> float:
        """Events a second, each decoded; goes on where the round before has ended."""
        begun, read = time.perf_counter(), 0
        async with self._pool.acquire() as connection:
            while read < REPLAYED:
                events = await read_after(connection, self._replayed, 1000)
                if not events:
                    self._replayed = 0
                    continue
                for event in events:
                    assert event.data
                read += len(events)
                self._replayed = events[-1].position
        return read / (time.perf_counter() - begun)

    async def activity(self) -> float:
        """Milliseconds of a page of 50 from the log's middle."""

        async def page() -> None:
            if len((await read_page(self._pool, Filters(), "newest", self._events // 2, 50)).rows) != 50:
                raise WrongRows(f"a page in the middle of {self.name} has not 50 events")

        return await _median_ms(page)

    async def progress(self) -> float:
        """Milliseconds of a collection's progress, with its segments."""
        assert self._collection is not None
        statement, values = segments_statement(self._collection, None, None)

        async def read() -> None:
            await self._pool.fetch(statement, *values)
            if await self._pool.fetchrow(FIGURES, self._collection) is None:
                raise WrongRows(f"the progress of {self._collection} is not there")

        return await _median_ms(read)


async def _median_ms(work: Callable[[], Awaitable[None]]) -> float:
    taken = []
    for _ in range(READS):
        begun = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - begun) * 1000)
    return median(taken)


async def run(place: Place) -> Outcome:
    return Outcome(await measure(place, SIZES[:2] if place.quick else SIZES))


async def measure(place: Place, sizes: Sequence[int]) -> list[Line]:
    """The lines of these lengths; the first is the shortest, with which the others are compared."""
    async with AsyncExitStack() as stack:
        logs = []
        for events in sizes:
            database = await stack.enter_async_context(place.server.fresh_database())
            logs.append(await _filled(stack, database, events))
        lines = []
        for measure, name, unit in (
            (Log.append, "append", "/s"),
            (Log.replay, "replay", "/s"),
            (Log.activity, "activity page, median", "ms"),
            (Log.progress, "progress, median", "ms"),
        ):
            for log in logs:
                await measure(log)  # warm
            found = await in_turns(
                f"growth, {name}", {log.name: partial(measure, log) for log in logs}, place.rounds, "{:,.2f}".format
            )
            # More is better of a rate, less of a time; either may become a factor of 1.3 worse.
            for log in logs[1:]:
                lines.append(
                    beside(
                        f"growth, {log.name}", name, unit, found[log.name], logs[0].name, found[logs[0].name],
                        better="more" if unit == "/s" else "less",
                        target=1 / WITHIN if unit == "/s" else WITHIN,
                    )
                )  # fmt: skip
        return lines


async def _filled(stack: AsyncExitStack, database: Database, events: int) -> Log:
    begun = time.perf_counter()
    await fill_history(database, events)
    await rebuild(database.service_url)
    pool = await open_pool(database.service_url, size=3)
    stack.push_async_callback(pool.close)
    async with pool.acquire() as connection:
        while await index_activity(connection):
            pass
    writer = AppendWriter(pool)
    stack.push_async_callback(writer.close)
    log = Log(events, pool, writer)
    await log.find()
    say(f"growth  {log.name} in {time.perf_counter() - begun:.0f} s")
    return log
