"""How fast the read models are built again, beside the same fold in memory: onto empty tables, where everything is
written, and onto equal ones, where nothing is.

The fold in memory has the rows of the log already, makes events of them, decodes them and applies them to rows that
nobody writes. Beside COPY it says how fast the fold itself is, on any machine.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import asyncpg
import msgspec

from db.pool import open_pool
from events.envelope import RecordedEvent
from events.reader import COLUMNS, NEXT, no_collector
from projections.rebuild import rebuild, verify
from projections.rows import Rows
from projections.runner import TABLES, fold, project_batch
from tests.bench.lines import Line, alone, beside, number
from tests.bench.measuring import WrongRows
from tests.bench.place import Outcome, Place
from tests.bench.processor import processor_seconds
from tests.bench.rounds import in_turns, say
from tests.histories import fill_history
from tests.postgres import Database

EVENTS, QUICK = 300_000, 60_000
"""In each round."""

LONG, LONG_QUICK = 1_000_000, 200_000
LONG_ROUNDS = 2

PROJECTED = 20_000
"""So many for the projector, whose speed is the same for any number."""

EMPTY, EQUAL = "rebuild of empty tables", "rebuild of equal tables"
MEMORY = "the same fold in memory"
COPY = "COPY … TO STDOUT of the same rows"

MOST_MEMORY = 512.0
"""MiB, whatever the log's length."""


class Measured(msgspec.Struct, frozen=True):
    """Events per second, from the start to the end; microseconds of processor time for each, ours and PostgreSQL's."""

    rate: float
    ours: float
    postgres: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f} events/s"


class Apart(msgspec.Struct, frozen=True):
    """A rebuild in a process of its own: seconds from its start to its end, and the MiB that it has had at most."""

    seconds: float
    mebibytes: float


async def run(place: Place) -> Outcome:
    events = QUICK if place.quick else EVENTS
    async with place.server.fresh_database() as database:
        await fill_history(database, events)
        bench = _Bench(place, database)
        projector = await bench.projector()
        say(f"rebuild  projector: {projector}")
        contenders = {EMPTY: bench.empty, EQUAL: bench.equal, MEMORY: bench.memory, COPY: bench.copy}
        found = await in_turns("rebuild", contenders, place.rounds)
        await bench.verified()
    long, apart, verified = await _long(place)
    rates = {name: [each.rate for each in measured] for name, measured in found.items()}
    lines = [
        beside(EMPTY, "events", "/s", rates[EMPTY], MEMORY, rates[MEMORY], better="more", target=0.5),
        beside(EQUAL, "events", "/s", rates[EQUAL], MEMORY, rates[MEMORY], better="more"),
        beside("fold in memory", "events", "/s", rates[MEMORY], COPY, rates[COPY], better="more"),
        alone(f"{EMPTY}, {_long_events(place):,} events", "events", "/s", [each.rate for each in long], better="more",
              target=100_000.0),
    ]  # fmt: skip
    told = {
        **{name: _median(measured) for name, measured in found.items()},
        "projector": projector,
        f"verify of {_long_events(place):,} events": verified,
    }
    text = [
        f"{name}: {each}; µs of processor time for each: ours {number(each.ours)}, PostgreSQL's {number(each.postgres)}"
        for name, each in told.items()
    ]
    text.append(
        f"rebuild of {_long_events(place):,} events in a process of its own: {apart.seconds:.1f} s with its start,"
        f" {apart.mebibytes:,.0f} MiB at most"
    )
    return Outcome(lines, "\n".join(text), {"rounds": found, "long": long, "apart": apart, **told})


def _median(measured: list[Measured]) -> Measured:
    return sorted(measured, key=lambda each: each.ours + each.postgres)[len(measured) // 2]


async def _long(place: Place) -> tuple[list[Measured], Apart, Measured]:
    """Rebuilds, and a verification, of a long log."""
    async with place.server.fresh_database() as database:
        await fill_history(database, _long_events(place))
        bench = _Bench(place, database)
        measured = []
        for _ in range(1 if place.quick else LONG_ROUNDS):
            measured.append(await bench.empty())
            say(f"rebuild of {_long_events(place):,} events: {measured[-1]}")
        return measured, await rebuild_apart(place, database), await bench.verified()


def _long_events(place: Place) -> int:
    return LONG_QUICK if place.quick else LONG


async def at_scale(place: Place, events: int) -> list[Line]:
    """The lines of one rebuild of so many events, onto empty tables, by a process of its own."""
    async with place.server.fresh_database() as database:
        await fill_history(database, events)
        found = await rebuild_apart(place, database)
        await _Bench(place, database).verified()
    scenario = f"{EMPTY}, {events:,} events"
    return [
        alone(scenario, "events", "/s", [events / found.seconds], better="more"),
        alone(scenario, "memory", "MiB", [found.mebibytes], better="less", target=MOST_MEMORY),
    ]


async def rebuild_apart(place: Place, database: Database) -> Apart:
    """The command, as an operator runs it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REPORT_BUILDER_")}
    begun = time.perf_counter()
    with (Path(place.folder) / "rebuild.txt").open("w+b") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "projections", "rebuild"],
            env=environment | {"REPORT_BUILDER_DATABASE_URL": database.service_url},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        with place.profiler.processes("rebuild", process.pid):
            _, status, used = await asyncio.to_thread(os.wait4, process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise WrongRows(f"the rebuild ended with {process.returncode}: {said.read().decode()}")
    return Apart(seconds, used.ru_maxrss / 1024)


class _Bench:
    """What is measured, on a database whose log is filled."""

    def __init__(self, place: Place, database: Database) -> None:
        self._place = place
        self._database = database

    async def empty(self) -> Measured:
        await self._empty()
        return await self._measure(self._rebuild)

    async def equal(self) -> Measured:
        # The last rebuild's own event, which a projector at work would have applied.
        await self._project(None)
        return await self._measure(self._rebuild)

    async def projector(self) -> Measured:
        """Which applies the log in small batches; its rows are what a rebuild makes."""
        await self._empty()
        measured = await self._measure(partial(self._project, PROJECTED))
        await self.verified()
        return measured

    async def verified(self) -> Measured:
        async def check() -> int:
            verified = await verify(self._database.service_url)
            if verified.differences:
                raise WrongRows(f"the read models differ from the log: {verified.first}")
            return verified.position

        return await self._measure(check)

    async def memory(self) -> Measured:
        """Only what is done with rows that are there counts; they are fetched a part at a time."""
        connection = await asyncpg.connect(self._database.service_url)
        rows, position, seconds, processor = Rows(TABLES), 0, 0.0, 0.0
        try:
            with no_collector():
                while records := await connection.fetch(NEXT, position, 50_000):
                    begun, used = time.perf_counter(), time.process_time()
                    fold([RecordedEvent(*record) for record in records], rows)
                    seconds += time.perf_counter() - begun
                    processor += time.process_time() - used
                    position += len(records)
            for table in TABLES:
                live = await connection.fetchval(f"SELECT count(*) FROM {table.name}")
                if live != len(rows.of(table)):
                    raise WrongRows(f"{table.name}: {len(rows.of(table))} rows in memory, {live} rebuilt")
        finally:
            await connection.close()
        return Measured(position / seconds, processor / position * 1e6, 0.0)

    async def copy(self) -> Measured:
        async def leave(data: bytes) -> None:
            pass

        async def copy() -> int:
            status = await connection.copy_from_query(
                f"SELECT {COLUMNS} FROM report_builder_audit ORDER BY position", output=leave
            )
            return int(status.rpartition(" ")[2])

        connection = await asyncpg.connect(self._database.service_url)
        try:
            return await self._measure(copy)
        finally:
            await connection.close()

    async def _rebuild(self) -> int:
        return (await rebuild(self._database.service_url)).position

    async def _project(self, events: int | None) -> int:
        """So many events, or all that there are."""
        pool = await open_pool(self._database.service_url)
        try:
            position, applied = 0, 1
            while applied and (events is None or position < events):
                position, applied = await project_batch(pool)
            return position
        finally:
            await pool.close()

    async def _empty(self) -> None:
        admin = await asyncpg.connect(self._database.admin_url)
        try:
            await admin.execute(f"TRUNCATE {', '.join(table.name for table in TABLES)}")
            await admin.execute("UPDATE projection_checkpoints SET position = 0")
            await admin.execute("CHECKPOINT")
        finally:
            await admin.close()

    async def _measure(self, work: Callable[[], Awaitable[int]]) -> Measured:
        """`work` answers how many events it has been through."""
        theirs, ours = processor_seconds([self._place.postmaster]), time.process_time()
        begun = time.perf_counter()
        events = await work()
        seconds = time.perf_counter() - begun
        await asyncio.sleep(0.05)  # until the server has waited for what has ended
        return Measured(
            events / seconds,
            (time.process_time() - ours) / events * 1e6,
            (processor_seconds([self._place.postmaster]) - theirs) / events * 1e6,
        )
